// The sampling options of generate and chat, with llama.cpp's names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moge/core/fields.h"
#include "moge/infer/sampling.h"

namespace moge {

struct SamplingOptions {
  int64_t predict = 128, top_k = 0, logprobs = -1;
  double temp = 0.0, top_p = 1.0, min_p = 0.0, typical_p = 1.0, repeat_penalty = 1.0,
         presence_penalty = 0.0, frequency_penalty = 0.0;
  bool ignore_eos = false;
  std::vector<std::string> stop;

  void visit(FieldList& v) {
    v("predict", predict, "tokens to make at most").letter('n').at_least(0).also("max-tokens");
    v("temp", temp, "temperature; 0: always the likeliest token").at_least(0).also("temperature");
    v("top-k", top_k, "draw from the k likeliest tokens; 0: off").at_least(0);
    v("top-p", top_p, "draw from the likeliest tokens that make up this share").between(0, 1);
    v("min-p", min_p, "no token below this share of the likeliest one's").between(0, 1);
    v("typical-p", typical_p, "locally typical tokens of this total probability; 1: off")
        .between(1e-6, 1)
        .also("typical");
    v("repeat-penalty", repeat_penalty, "divides the logits of tokens seen before; 1: off")
        .also("repetition-penalty");
    v("presence-penalty", presence_penalty, "off the logits of tokens in the answer");
    v("frequency-penalty", frequency_penalty, "the same, times how often they are there");
    v("ignore-eos", ignore_eos, "go on after the end token");
    v("logprobs", logprobs, "report this many alternatives of each token (JSON output)");
    v("stop", stop, "end before this text; may be given several times").called("TEXT");
  }

  infer::SamplingParams params(uint64_t seed) const {
    return {.temperature = static_cast<float>(temp),
            .top_k = top_k,
            .top_p = static_cast<float>(top_p),
            .min_p = static_cast<float>(min_p),
            .typical_p = static_cast<float>(typical_p),
            .repetition_penalty = static_cast<float>(repeat_penalty),
            .presence_penalty = static_cast<float>(presence_penalty),
            .frequency_penalty = static_cast<float>(frequency_penalty),
            .seed = seed,
            .max_tokens = predict,
            .ignore_eos = ignore_eos,
            .num_logprobs = static_cast<int>(logprobs),
            .stop = stop};
  }
};

}  // namespace moge
