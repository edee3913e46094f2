// oneDNN's matmul on the shapes of `moge bench gmm`: fp32, bf16 (fp32 results) and int8 (s8 x s8,
// s32 results), weights reordered to the layout that it prefers.
#include <cstring>
#include <dnnl.hpp>

#include "peer_products.h"

namespace {

using dnnl::matmul;
using dnnl::memory;
using moge::peer::Products;
using moge::peer::Shape;

struct Types {
  memory::data_type in, out;
};

Types types_of(const std::string& format) {
  using Type = memory::data_type;
  if (format == "fp32") return {Type::f32, Type::f32};
  if (format == "bf16") return {Type::bf16, Type::f32};
  return {Type::s8, Type::s32};
}

matmul::primitive_desc describe(const dnnl::engine& engine, const memory::desc& x,
                                const memory::desc& w, const memory::desc& y) {
#if DNNL_VERSION_MAJOR >= 3
  return matmul::primitive_desc(engine, x, w, y);
#else
  return matmul::primitive_desc(matmul::desc(x, w, y), engine);
#endif
}

class OneDnnProducts : public Products {
 public:
  OneDnnProducts(const std::string& format, Shape shape, int64_t copies, int64_t slots)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using Tag = memory::format_tag;
    const auto [in, out] = types_of(format);
    const memory::desc x({shape.rows, shape.k}, in, Tag::ab),
        y({shape.rows, shape.n}, out, Tag::ab);
    const auto description =
        describe(engine_, x, memory::desc({shape.k, shape.n}, in, Tag::any), y);
    product_ = matmul(description);
    for (int64_t slot = 0; slot < slots; ++slot) {
      x_.emplace_back(x, engine_);
      y_.emplace_back(y, engine_);
      fill(x_.back());
    }
    memory plain(memory::desc({shape.k, shape.n}, in, Tag::ba), engine_);
    fill(plain);
    const memory::desc packed = description.weights_desc();
    for (int64_t copy = 0; copy < copies; ++copy) w_.emplace_back(packed, engine_);
    dnnl::reorder(plain, w_[0]).execute(stream_, plain, w_[0]);
    stream_.wait();
    for (int64_t copy = 1; copy < copies; ++copy)
      std::memcpy(bytes(w_[static_cast<size_t>(copy)]), bytes(w_[0]), packed.get_size());
  }

  void multiply(int64_t copy, int64_t slot) override {
    const auto at = static_cast<size_t>(slot);
    product_.execute(stream_, {{DNNL_ARG_SRC, x_[at]},
                               {DNNL_ARG_WEIGHTS, w_[static_cast<size_t>(copy)]},
                               {DNNL_ARG_DST, y_[at]}});
  }
  void wait() override { stream_.wait(); }

 private:
  static char* bytes(const memory& m) { return static_cast<char*>(m.get_data_handle()); }
  /// Small numbers in every type: bytes 0x00 and 0x3d in turn are 1/32 as fp32 and bf16.
  static void fill(const memory& m) {
    const size_t size = m.get_desc().get_size();
    for (size_t i = 0; i < size; ++i) bytes(m)[i] = i % 2 == 1 ? 0x3d : 0;
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  matmul product_;
  std::vector<memory> x_, w_, y_;
};

}  // namespace

int main(int argc, char** argv) {
  const dnnl_version_t& version = *dnnl_version();
  return moge::peer::main_of(
      {.name = "oneDNN " + std::to_string(version.major) + "." + std::to_string(version.minor) +
               "." + std::to_string(version.patch),
       .formats = {"fp32", "bf16", "int8"},
       .make =
           [](const std::string& format, Shape shape, int64_t copies, int64_t slots) {
             return std::make_unique<OneDnnProducts>(format, shape, copies, slots);
           }},
      argc, argv);
}
