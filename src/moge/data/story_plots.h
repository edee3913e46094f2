// The plots of the stories and the tables of what they speak of.
#pragma once

#include <span>
#include <string_view>

namespace moge::data {

/// What the hero is like, and what that is good for in the end.
struct Trait {
  std::string_view adjective, habit, lesson;
};

/// A place with its own surroundings, so that a story stays in one landscape; `home` comes with
/// its "in" or "on".
struct Setting {
  std::string_view home, near, far, path, ground;
};

/// A trouble on the way, the tool that helps against it, and how.
struct Trouble {
  std::string_view event, worry, tool, use;
};

/// Somebody older in the story, with the work they do.
struct Elder {
  std::string_view name, he, his, him, work, product;
};

/// An animal that belongs to the hero.
struct Animal {
  std::string_view kind, name, sound, act;
};

/// A thing that can be lost, made, wanted or quarrelled about.
struct Treasure {
  std::string_view noun, look, made_of, use;
};

std::span<const Trait> traits();
std::span<const Setting> settings();
std::span<const Trouble> troubles();
std::span<const Elder> elders();
std::span<const Animal> animals();
std::span<const Treasure> treasures();

/// A plot is a row of scenes; a scene is one of its texts. Texts are in the language of Filler.
using Scene = std::span<const std::string_view>;
using Plot = std::span<const Scene>;
std::span<const Plot> plots();

}  // namespace moge::data
