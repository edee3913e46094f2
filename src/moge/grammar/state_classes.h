// States that no token tells apart share their masks.
#pragma once

#include <cstdint>
#include <vector>

#include "moge/grammar/automaton.h"

namespace moge::grammar {

/// A number for each state: those of the same number behave alike for texts of up to `max_bytes`
/// bytes. Counted repeats have thousands of states and, but for their ends, few classes.
std::vector<int32_t> classes_of(const Automaton& automaton, int max_bytes, Budget& budget);

}  // namespace moge::grammar
