// Everything `moge train` can be told, under Megatron's names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "moge/config/recompute.h"
#include "moge/core/fields.h"

namespace moge {

enum class DecayStyle { kConstant, kLinear, kCosine, kWsd };

/// The model to train: a preset or a folder, and numbers that replace its own.
struct ModelChoice {
  std::string model = "preset:demo";
  std::optional<int64_t> num_layers, hidden_size, num_attention_heads, num_query_groups,
      kv_channels, ffn_hidden_size, max_position_embeddings, vocab_size;
  std::optional<int64_t> num_experts, moe_router_topk, moe_router_num_groups, moe_ffn_hidden_size,
      moe_shared_expert_intermediate_size;
  std::optional<double> rotary_base, norm_epsilon, init_method_std;

  void visit(FieldList& v) {
    v("model", model, "model folder, --save folder or preset:NAME").called("MODEL");
    v("num-layers", num_layers, "decoder layers");
    v("hidden-size", hidden_size, "width of the residual stream");
    v("num-attention-heads", num_attention_heads, "query heads");
    v("num-query-groups", num_query_groups, "key-value heads");
    v("kv-channels", kv_channels, "width of a head");
    v("ffn-hidden-size", ffn_hidden_size, "width of a dense layer's MLP");
    v("max-position-embeddings", max_position_embeddings, "longest context");
    v("vocab-size", vocab_size, "tokens of the vocabulary (default: the tokenizer's)");
    v("num-experts", num_experts, "routed experts of a layer");
    v("moe-router-topk", moe_router_topk, "experts a token visits, over all groups");
    v("moe-router-num-groups", moe_router_num_groups, "groups the experts form");
    v("moe-ffn-hidden-size", moe_ffn_hidden_size, "width of an expert");
    v("moe-shared-expert-intermediate-size", moe_shared_expert_intermediate_size,
      "width of the shared expert");
    v("rotary-base", rotary_base, "RoPE theta");
    v("norm-epsilon", norm_epsilon, "epsilon of RMSNorm");
    v("init-method-std", init_method_std, "standard deviation of the initial weights");
  }
};

/// Where the tokens come from, and how they become samples.
struct DataConfig {
  std::vector<std::string> data_path, train_data_path, valid_data_path;
  std::string split = "969,30,1";
  std::string tokenizer_model;
  int64_t seq_length = 256;
  bool mock_data = false, reset_position_ids = false, reset_attention_mask = false,
       eod_mask_loss = false;

  void visit(FieldList& v) {
    v("data-path", data_path,
      "prefixes of .bin/.idx files, .jsonl or .txt; weights may stand before")
        .called("[W] PATH");
    v("train-data-path", train_data_path, "training data alone (instead of --data-path, --split)");
    v("valid-data-path", valid_data_path, "validation data alone");
    v("split", split, "shares of --data-path for training, validation and test");
    v("tokenizer-model", tokenizer_model, "folder with tokenizer.json or tokenizer.model")
        .called("DIR");
    v("seq-length", seq_length, "tokens of a sample").between(1, 1 << 20);
    v("mock-data", mock_data, "random tokens instead of data");
    v("reset-position-ids", reset_position_ids, "positions start again at each document");
    v("reset-attention-mask", reset_attention_mask, "attention does not cross documents");
    v("eod-mask-loss", eod_mask_loss, "no loss for predicting what follows an end of document");
  }
};

/// Optimizer, schedule and precision.
struct OptimizerConfig {
  int64_t micro_batch_size = 8, global_batch_size = 8;
  std::vector<int64_t> rampup_batch_size;
  int64_t train_iters = 1000;
  std::optional<int64_t> train_samples;
  double lr = 3e-3, min_lr = 3e-4;
  DecayStyle lr_decay_style = DecayStyle::kCosine;
  std::optional<int64_t> lr_decay_iters;
  int64_t lr_warmup_iters = 0, lr_wsd_decay_iters = 0;
  std::optional<int64_t> lr_decay_samples;
  int64_t lr_warmup_samples = 0, lr_wsd_decay_samples = 0;
  double lr_warmup_fraction = 0.0;
  double weight_decay = 0.1, adam_beta1 = 0.9, adam_beta2 = 0.95, adam_eps = 1e-8, clip_grad = 1.0;
  std::optional<double> moe_aux_loss_coeff;
  double moe_z_loss_coeff = 0.0;
  bool bf16 = false;
  bool sum_in_eighths = false;
  Recompute recompute_granularity = Recompute::kOff;
  bool no_check_for_nan_in_loss_and_grad = false;

  void visit(FieldList& v) {
    v("micro-batch-size", micro_batch_size, "samples computed at once").at_least(1);
    v("global-batch-size", global_batch_size, "samples of one optimizer step").at_least(1);
    v("rampup-batch-size", rampup_batch_size,
      "begin with START samples a step, INCREMENT more each time, until all of the batch after "
      "SAMPLES; needs --train-samples")
        .called("START INCREMENT SAMPLES");
    v("train-iters", train_iters, "optimizer steps in all").at_least(0);
    v("train-samples", train_samples,
      "samples in all, in place of --train-iters; the schedule's --lr-...-samples then count")
        .between(0, 1e12);
    v("lr", lr, "highest learning rate").at_least(0);
    v("min-lr", min_lr, "lowest learning rate, where the decay ends").at_least(0);
    v("lr-decay-style", lr_decay_style, {"constant", "linear", "cosine", "WSD"},
      "shape of the learning rate after the warm-up");
    v("lr-decay-iters", lr_decay_iters, "steps until --min-lr (default: --train-iters)")
        .at_least(1);
    v("lr-warmup-iters", lr_warmup_iters, "steps of linear warm-up").at_least(0);
    v("lr-warmup-fraction", lr_warmup_fraction, "the same as a share of the decay's length")
        .between(0, 1);
    v("lr-wsd-decay-iters", lr_wsd_decay_iters, "steps of the final decay of WSD").at_least(0);
    v("lr-decay-samples", lr_decay_samples, "samples until --min-lr (default: --train-samples)")
        .at_least(1);
    v("lr-warmup-samples", lr_warmup_samples, "samples of linear warm-up").at_least(0);
    v("lr-wsd-decay-samples", lr_wsd_decay_samples, "samples of the final decay of WSD")
        .at_least(0);
    v("weight-decay", weight_decay, "decoupled decay of matrices").at_least(0);
    v("adam-beta1", adam_beta1, "decay of the first moment").between(0, 1);
    v("adam-beta2", adam_beta2, "decay of the second moment").between(0, 1);
    v("adam-eps", adam_eps, "added after the root").at_least(0);
    v("clip-grad", clip_grad, "largest gradient norm; 0 = no clipping").at_least(0);
    v("moe-aux-loss-coeff", moe_aux_loss_coeff,
      "factor of the balancing loss (default: the model's router_aux_loss_coef)")
        .at_least(0);
    v("moe-z-loss-coeff", moe_z_loss_coeff, "factor of the router z-loss").at_least(0);
    v("bf16", bf16, "bf16 products with fp32 masters (default: fp32)");
    v("sum-in-eighths", sum_in_eighths,
      "sum every product that ranks could share in eighths, also where that costs more than 3 %");
    v("recompute-granularity", recompute_granularity, {"off", "selective", "full"},
      "what is computed again in the backward pass to save memory");
    v("no-check-for-nan-in-loss-and-grad", no_check_for_nan_in_loss_and_grad,
      "go on when the loss or the gradient is not finite");
  }
};

/// Checkpoints, logs and the end of the run.
struct RunConfig {
  std::string save, load, tensorboard_dir;
  std::optional<int64_t> save_interval, exit_interval;
  std::optional<double> exit_duration_in_mins;
  int64_t keep_last = 2, log_interval = 10, eval_interval = 100, eval_iters = 10;
  bool async_save = false, finetune = false, no_load_optim = false, no_save_optim = false,
       override_opt_param_scheduler = false, log_throughput = false;

  void visit(FieldList& v) {
    v("save", save, "folder for checkpoints and logs; a run that is there is continued")
        .called("DIR");
    v("load", load, "folder to continue from, if it is not --save").called("DIR");
    v("save-interval", save_interval, "steps between checkpoints (default: only the last)")
        .at_least(1);
    v("keep-last", keep_last, "checkpoints to keep; 0 = all").at_least(0);
    v("async-save", async_save, "write checkpoints beside the training (takes one more copy)");
    v("finetune", finetune, "take the weights only: step, optimizer and data start anew");
    v("no-load-optim", no_load_optim, "start with fresh optimizer moments");
    v("no-save-optim", no_save_optim, "leave the moments out of checkpoints");
    v("override-opt_param-scheduler", override_opt_param_scheduler,
      "take the schedule of this command line, not the checkpoint's");
    v("exit-interval", exit_interval, "stop after a step that it divides").at_least(1);
    v("exit-duration-in-mins", exit_duration_in_mins, "save and stop after so long").at_least(0);
    v("log-interval", log_interval, "steps between log lines").at_least(1);
    v("log-throughput", log_throughput, "print the throughput in TFLOP/s");
    v("eval-interval", eval_interval, "steps between validations").at_least(1);
    v("eval-iters", eval_iters, "global batches of one validation; 0 = none").at_least(0);
    v("tensorboard-dir", tensorboard_dir, "event files (default: SAVE/tensorboard)").called("DIR");
  }
};

struct TrainConfig {
  ModelChoice model;
  DataConfig data;
  OptimizerConfig optimizer;
  RunConfig run;
  int64_t seed = 1234;

  void visit(FieldList& v) {
    model.visit(v);
    data.visit(v);
    optimizer.visit(v);
    run.visit(v);
  }
};

}  // namespace moge
