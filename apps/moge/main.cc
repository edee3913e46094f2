// moge: one program that trains, samples and serves grouped-expert language models.
#include <fmt/core.h>

#include "moge/kernels/table.h"

int main() {
  fmt::print("moge: kernels {}\n", moge::kernels::choose_table().isa);
  return 0;
}
