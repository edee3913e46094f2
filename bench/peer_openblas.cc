// OpenBLAS on the shapes of `moge bench gmm`, fp32: sgemm, and sgemv for one row.
#include <cblas.h>

#include "peer_products.h"

namespace {

using moge::peer::Products;
using moge::peer::Shape;

class OpenBlasProducts : public Products {
 public:
  OpenBlasProducts(Shape shape, int64_t copies, int64_t slots)
      : rows_(static_cast<int>(shape.rows)),
        n_(static_cast<int>(shape.n)),
        k_(static_cast<int>(shape.k)),
        x_(static_cast<size_t>(slots * shape.rows * shape.k), 0.5f),
        w_(static_cast<size_t>(copies * shape.n * shape.k), 0.25f),
        y_(static_cast<size_t>(slots * shape.rows * shape.n)) {}

  void multiply(int64_t copy, int64_t slot) override {
    const float* x = x_.data() + slot * rows_ * k_;
    const float* w = w_.data() + copy * n_ * k_;
    float* y = y_.data() + slot * rows_ * n_;
    if (rows_ == 1)
      cblas_sgemv(CblasRowMajor, CblasNoTrans, n_, k_, 1, w, k_, x, 1, 0, y, 1);
    else
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows_, n_, k_, 1, x, k_, w, k_, 0, y,
                  n_);
  }

 private:
  int rows_, n_, k_;
  std::vector<float> x_, w_, y_;
};

/// "OpenBLAS 0.3.21 ... SkylakeX ..." to its version and the kernels that it chose.
std::string name() {
  const std::string config = openblas_get_config();
  const size_t end = config.find(' ', config.find(' ') + 1);
  return config.substr(0, end) + " (" + openblas_get_corename() + ")";
}

}  // namespace

int main(int argc, char** argv) {
  return moge::peer::main_of(
      {.name = name(),
       .formats = {"fp32"},
       .make =
           [](const std::string&, Shape shape, int64_t copies, int64_t slots) {
             return std::make_unique<OpenBlasProducts>(shape, copies, slots);
           }},
      argc, argv);
}
