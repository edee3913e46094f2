// The balance of one batch as a picture that needs nothing else: rows by layer and expert with the
// borders of the groups, and rows by device, grouped choice beside plain top-K.
#pragma once

#include <cstdint>
#include <string>

#include "moge/report/balance.h"

namespace moge::report {

/// One SVG document. `devices` must divide the number of experts.
std::string balance_svg(const BalanceInput& input, int64_t devices);

}  // namespace moge::report
