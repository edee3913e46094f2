// Short stories for the demo corpus: a hero with a trait, a place, a wish, an obstacle, a cause and
// what follows from it.
#pragma once

#include <string>

#include "moge/core/rng.h"

namespace moge::data {

/// Appends one story of 100 to 200 words, in paragraphs, ended by a newline.
void append_story(std::string& out, Rng& rng);

}  // namespace moge::data
