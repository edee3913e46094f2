#include "moge/data/stories.h"

#include "moge/data/story_plots.h"
#include "moge/data/template.h"
#include "moge/data/words.h"

namespace moge::data {

namespace {

void set_person(Filler& fill, int name, std::string_view slot, std::string_view he,
                std::string_view him, std::string_view his) {
  const Pronouns p = pronouns_of(name);
  fill.set(slot, kNames[name]);
  fill.set(he, p.he);
  fill.set(him, p.him);
  fill.set(his, p.his);
}

/// Hero n and friend m with different names.
void set_people(Filler& fill) {
  Rng& rng = fill.rng();
  const int hero = draw_between(rng, 0, kNumNames - 1);
  const int other = (hero + draw_between(rng, 1, kNumNames - 1)) % kNumNames;
  set_person(fill, hero, "n", "he", "him", "his");
  set_person(fill, other, "m", "mhe", "mhim", "mhis");
  fill.set("child", hero % 2 ? "boy" : "girl");
  const Elder& elder = pick(rng, elders());
  fill.set("elder", elder.name);
  fill.set("ehe", elder.he);
  fill.set("ehis", elder.his);
  fill.set("ehim", elder.him);
  fill.set("work", elder.work);
  fill.set("product", elder.product);
}

/// Sets a slot to a text that names other slots.
void set_filled(Filler& fill, std::string_view slot, std::string_view text) {
  std::string value;
  fill.append_verbatim(value, text);
  fill.set(slot, value);
}

/// Needs the people's slots.
void set_world(Filler& fill) {
  Rng& rng = fill.rng();
  const Trait& trait = pick(rng, traits());
  fill.set("adj", trait.adjective);
  set_filled(fill, "habit", trait.habit);
  fill.set("lesson", trait.lesson);
  const Setting& setting = pick(rng, settings());
  fill.set("home", setting.home);
  fill.set("near", setting.near);
  fill.set("far", setting.far);
  fill.set("path", setting.path);
  fill.set("ground", setting.ground);
  const Trouble& trouble = pick(rng, troubles());
  fill.set("event", trouble.event);
  set_filled(fill, "whis", "{mhis}");
  set_filled(fill, "worry_m", trouble.worry);
  set_filled(fill, "whis", "{his}");
  set_filled(fill, "worry", trouble.worry);
  fill.set("tool", trouble.tool);
  fill.set("use", trouble.use);
  const Animal& animal = pick(rng, animals());
  fill.set("animal", animal.kind);
  fill.set("pet", animal.name);
  fill.set("sound", animal.sound);
  fill.set("act", animal.act);
  const Treasure& treasure = pick(rng, treasures());
  fill.set("thing", treasure.noun);
  fill.set("look", treasure.look);
  fill.set("stuff", treasure.made_of);
  fill.set("purpose", treasure.use);
}

}  // namespace

void append_story(std::string& out, Rng& rng) {
  Filler fill(rng);
  set_people(fill);
  set_world(fill);
  const Plot plot = pick(rng, plots());
  for (const Scene& scene : plot) {
    if (&scene != plot.data()) out += '\n';
    fill.append(out, pick(rng, scene));
    out += '\n';
  }
}

}  // namespace moge::data
