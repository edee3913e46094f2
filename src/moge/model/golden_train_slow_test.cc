// The reference's training runs: 20 steps of AdamW on given batches, step by step.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "moge/model/test_golden.h"
#include "moge/ops/elementwise.h"
#include "moge/ops/optimizer.h"

namespace moge::testing {
namespace {

/// Weights, gradients and moments, and the memory of a step over S sequences of T tokens.
class TrainingRun {
 public:
  TrainingRun(const std::filesystem::path& folder, const kernels::Table& table, int64_t S,
              int64_t T)
      : golden_(folder),
        list_(list_params(config())),
        model_(Model::make(config(), training_weights(config(), golden_.params), DType::kF32, T)),
        scratch_(scratch_size(table, S * T)),
        context_{threads_, table, scratch_},
        arena_(
            static_cast<size_t>(StepBuffers::bytes(config(), S * T, DType::kF32, Recompute::kOff))),
        buffers_(arena_, config(), S * T, DType::kF32, Recompute::kOff),
        positions_(static_cast<size_t>(S * T)),
        mask_(static_cast<size_t>(S * T), 1.0f) {
    for (int64_t s = 0; s <= S; ++s) offsets_.push_back(static_cast<int32_t>(s * T));
    for (int64_t i = 0; i < S * T; ++i) positions_[i] = static_cast<int32_t>(i % T);
    for (Buffer& buffer : state_) buffer = Buffer(static_cast<size_t>(flat().bytes()));
    grads_ = view_params(config(), state_[0].as<float>());
  }
  const ModelConfig& config() const { return golden_.config(); }
  const Params& params() const { return golden_.params; }

  struct Step {
    double cross_entropy, grad_norm;
    std::vector<double> aux;
  };
  Step step(const std::vector<std::vector<int32_t>>& sequences, double alpha,
            AdamWOptions options) {
    std::vector<int32_t> ids, targets;
    for (const auto& sequence : sequences) {
      ids.insert(ids.end(), sequence.begin(), sequence.end());
      targets.insert(targets.end(), sequence.begin() + 1, sequence.end());
      targets.push_back(-1);
    }
    const auto n = static_cast<int64_t>(ids.size());
    const auto predictions = static_cast<double>(ids.size() - sequences.size());
    fill_zero(context_, Tensor::of(state_[0].as<float>(), {flat().numel()}));
    const Batch batch{.ids_T = Tensor::of(ids.data(), {n}),
                      .positions_T = Tensor::of(positions_.data(), {n}),
                      .offsets = offsets_};
    const LossResult loss = loss_forward_backward(
        context_, model_, batch, Tensor::of(targets.data(), {n}), Tensor::of(mask_.data(), {n}),
        {.scale = static_cast<float>(1.0 / predictions), .aux_coeff = alpha}, buffers_, grads_);
    double squares = 0;
    for (const ParamTensor& t : list_) squares += sum_of_squares(context_, tensor_of(grads_, t));
    const double norm = std::sqrt(squares);
    options.grad_scale = static_cast<float>(std::min(1.0, 1.0 / (norm + 1e-6)));
    for (const ParamTensor& t : list_) update(t, options);
    return {loss.loss_sum / predictions, norm, {loss.aux_L.begin(), loss.aux_L.end()}};
  }

 private:
  const Tensor& flat() const { return golden_.params.flat; }
  size_t scratch_size(const kernels::Table& table, int64_t tokens) {
    Arena none(0);
    return scratch_bytes({threads_, table, none}, config(), tokens);
  }
  void update(const ParamTensor& t, AdamWOptions options) {
    if (t.kind == TensorKind::kVector) options.weight_decay = 0;
    const auto part = [&](float* data) { return Tensor::of(data + t.offset, {t.numel}); };
    adamw_step(context_, part(flat().as<float>()), part(state_[1].as<float>()),
               part(state_[2].as<float>()), part(state_[0].as<float>()), options, {});
  }

  ThreadPool threads_{1};
  GoldenModel golden_;
  std::vector<ParamTensor> list_;
  Model model_;
  Arena scratch_;
  Context context_;
  Arena arena_;
  StepBuffers buffers_;
  Buffer state_[3];  // gradients, first and second moments
  Params grads_;
  std::vector<int32_t> positions_, offsets_;
  std::vector<float> mask_;
};

void compare_weights(const TrainingRun& run, const nlohmann::json& sums) {
  for_each_checkpoint_tensor(
      run.config(), run.params(), [&](const std::string& name, const Tensor& t, TensorKind) {
        const auto& want = sums.at(name);
        const float* w = t.as<float>();
        const int64_t n = t.numel();
        double square = 0;
        for (int64_t i = 0; i < n; ++i) square += static_cast<double>(w[i]) * w[i];
        EXPECT_NEAR(std::sqrt(square), want.at("l2").get<double>(),
                    1e-3 * want.at("l2").get<double>())
            << name;
        const int64_t places[] = {0, n / 3, 2 * n / 3, n - 1};
        for (int i = 0; i < 4; ++i)
          EXPECT_NEAR(w[places[i]], want.at("samples").at(i).get<double>(), 2e-3) << name;
      });
}

void compare_all_weights(const TrainingRun& run, const std::filesystem::path& file) {
  const Checkpoint trained = Checkpoint::open_file(file);
  double square = 0, square_of = 0;
  for_each_checkpoint_tensor(
      run.config(), run.params(), [&](const std::string& name, const Tensor& t, TensorKind) {
        const Difference d =
            difference({t.as<float>(), t.as<float>() + t.numel()}, floats_of(trained, name));
        EXPECT_LE(d.worst, 2e-3) << name;
        square += d.square;
        square_of += d.square_of;
      });
  EXPECT_LE(std::sqrt(square / square_of), 1e-4);
}

class GoldenTraining : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(GoldenTraining, EveryStepMatches) {
  const auto json = read_json(GetParam() / "train.json");
  const auto& optimizer = json.at("optimizer");
  const auto batches = json.at("batches").get<std::vector<std::vector<std::vector<int32_t>>>>();
  for (const kernels::Table* table : tables_under_test()) {
    SCOPED_TRACE(table->isa);
    TrainingRun run(GetParam(), *table, static_cast<int64_t>(batches[0].size()),
                    static_cast<int64_t>(batches[0][0].size()));
    for (size_t s = 0; s < batches.size(); ++s) {
      const auto got =
          run.step(batches[s], optimizer.at("aux_loss_alpha").get<double>(),
                   {.lr = 1e-3f, .weight_decay = 0.1f, .step = static_cast<int64_t>(s + 1)});
      const auto& want = json.at("steps").at(s);
      const double ce = want.at("cross_entropy").get<double>();
      const double norm = want.at("grad_norm").get<double>();
      ASSERT_NEAR(got.cross_entropy, ce, 1e-5 * ce) << "step " << s;
      ASSERT_NEAR(got.grad_norm, norm, 1e-5 * norm) << "step " << s;
      const auto& aux = want.at("aux_loss");
      for (size_t l = 0; l < aux.size(); ++l)
        EXPECT_NEAR(got.aux[l], aux[l].get<double>(), 1e-5 * aux[l].get<double>());
    }
    compare_weights(run, json.at("final_weights"));
    if (std::filesystem::exists(GetParam() / "trained.safetensors"))
      compare_all_weights(run, GetParam() / "trained.safetensors");
  }
}
INSTANTIATE_TEST_SUITE_P(All, GoldenTraining, ::testing::ValuesIn(golden_folders("train.json")),
                         [](const ::testing::TestParamInfo<std::filesystem::path>& info) {
                           return case_name(info.param);
                         });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenTraining);

}  // namespace
}  // namespace moge::testing
