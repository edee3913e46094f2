#include "moge/data/story_plots.h"

namespace moge::data {

namespace {

constexpr Trait kTraits[] = {
    {"curious", "asked a question about everything {he} saw", "a good question opens many doors"},
    {"patient", "never hurried and never gave up", "those who can wait see more"},
    {"brave", "said what was true even when it was hard",
     "being brave does not mean having no fear"},
    {"careful", "looked at everything twice", "it is better to look twice than to fall once"},
    {"clever", "liked riddles more than sweets", "a good idea can be stronger than strong arms"},
    {"kind", "shared everything, even the last piece of cake", "a kind act always comes back"},
    {"stubborn", "finished whatever {he} had begun",
     "a thing is only lost when nobody tries any more"},
    {"cheerful", "sang while {he} worked", "a song makes every road shorter"},
    {"quiet", "listened longer than others talked", "who listens well hears what others miss"},
    {"quick", "ran wherever others walked", "quick feet are good, but quick thinking is better"},
    {"honest", "told the truth and kept every promise", "a promise is worth more than gold"},
    {"helpful", "carried bags for all the neighbours", "many hands make hard work easy"},
    {"shy", "hid behind the door when strangers came", "even a small voice can be heard"},
    {"proud", "did not like to ask for help", "it is no shame to ask for help"},
    {"dreamy", "saw animals and castles in the clouds", "dreams are the beginning of plans"},
    {"hungry", "thought about supper all day long", "bread tastes best when it is shared"},
};

constexpr Setting kSettings[] = {
    {"in a fishing village by the sea", "the harbour", "the old lighthouse", "the cliff path",
     "sand"},
    {"on a farm at the edge of the hills", "the red barn", "the windmill", "the stony road",
     "straw"},
    {"in a small town in the valley", "the market square", "the stone bridge", "the river path",
     "mud"},
    {"in a village high in the mountains", "the goat shed", "the white chapel", "the steep trail",
     "snow"},
    {"in a house beside a deep forest", "the woodshed", "the empty cabin", "the mossy track",
     "leaves"},
    {"on a quiet street in the city", "the courtyard", "the clock tower", "the long stairs",
     "dust"},
    {"in a camp at the edge of the desert", "the well", "the red rocks", "the sandy trail", "sand"},
    {"on an island with only one road", "the boat house", "the signal hill", "the gravel road",
     "pebbles"},
    {"at a mill beside a stream", "the wheel house", "the upper pond", "the narrow dam", "mud"},
    {"in a village on the shore of a lake", "the wooden jetty", "the reed hut", "the wet meadow",
     "grass"},
    {"at an inn where two roads meet", "the stable", "the toll gate", "the old post road",
     "gravel"},
    {"in a garden town full of flowers", "the greenhouse", "the castle ruin", "the avenue of trees",
     "leaves"},
};

constexpr Trouble kTroubles[] = {
    {"thick fog came up and hid everything", "could not see {whis} own feet", "a lantern",
     "held it high, so that it lit the next few steps"},
    {"the light faded and night fell early", "could not tell the bushes from the stones",
     "a lantern", "lit it, and the way lay clear before them"},
    {"two planks of the bridge broke", "did not dare to step on the others", "a rope",
     "tied it to a tree and held on to it with both hands"},
    {"a stone slid away and left a deep gap", "was afraid to jump", "a rope",
     "threw it around a root and swung across"},
    {"an icy wind began to blow", "shook with cold", "a blanket",
     "wrapped it around them both until the wind grew weak"},
    {"it began to snow", "felt the cold creep into {whis} fingers", "a blanket",
     "spread it over two branches and made a dry little tent"},
    {"the path split into three", "did not know which way was right", "a map",
     "unfolded it and found the mark of the old tree"},
    {"clouds covered the sun, and every tree looked the same", "had walked in a circle",
     "a compass", "turned until the needle showed the way north"},
    {"the gate was shut and nobody was near", "knocked until {whis} hand hurt", "a whistle",
     "blew it three times, and a guard came running with the key"},
    {"a goat stood in the way and would not move", "pushed and pulled in vain", "a carrot",
     "held it out, and the goat followed it away from the path"},
    {"heavy rain turned the way into a stream", "was wet to the knees", "a long stick",
     "felt the bottom with it before every step"},
    {"a branch fell and blocked the way", "could not lift it alone", "a saw",
     "cut it into pieces and rolled them aside"},
    {"a wheel came off the little cart", "did not know how to go on", "a hammer",
     "knocked the pin back into its place"},
    {"an angry goose came hissing out of the grass", "jumped back", "a piece of bread",
     "threw it far into the grass, and the goose ran after it"},
};

constexpr Elder kElders[] = {
    {"the baker", "he", "his", "him", "bake", "bread"},
    {"the old gardener", "she", "her", "her", "water the beds", "roses"},
    {"the fisherman", "he", "his", "him", "mend the nets", "fish"},
    {"the carpenter", "he", "his", "him", "saw the boards", "chairs"},
    {"the teacher", "she", "her", "her", "sort the books", "books"},
    {"the blacksmith", "he", "his", "him", "keep the fire hot", "tools"},
    {"the doctor", "she", "her", "her", "dry the herbs", "tea"},
    {"the shepherd", "he", "his", "him", "count the sheep", "wool"},
    {"the weaver", "she", "her", "her", "wind the thread", "cloth"},
    {"the miller", "he", "his", "him", "carry the sacks", "flour"},
    {"the potter", "she", "her", "her", "knead the clay", "jugs"},
    {"the clockmaker", "he", "his", "him", "clean the wheels", "clocks"},
    {"the beekeeper", "she", "her", "her", "fill the jars", "honey"},
    {"the ferryman", "he", "his", "him", "scrub the deck", "smoked fish"},
};

constexpr Animal kAnimals[] = {
    {"dog", "Rex", "barked", "sniffed at the ground"},
    {"dog", "Bruno", "barked", "ran ahead and came back"},
    {"cat", "Mimi", "meowed", "jumped on the wall"},
    {"donkey", "Grey", "brayed", "stopped and would not move"},
    {"goat", "Nelly", "bleated", "climbed on a rock"},
    {"crow", "Jet", "cawed", "flew up to look around"},
    {"duck", "Dot", "quacked", "waddled to the water"},
    {"pony", "Star", "neighed", "pointed its ears"},
    {"hen", "Pecky", "clucked", "scratched in the earth"},
    {"fox", "Rusty", "yelped", "put its nose into the wind"},
};

constexpr Treasure kTreasures[] = {
    {"kite", "with a long red tail", "paper and thin sticks", "to fly it on the hill"},
    {"wooden boat", "with a white sail", "a piece of pine", "to let it swim on the water"},
    {"flute", "with six small holes", "a hollow branch", "to play a tune in the evening"},
    {"lamp", "of green glass", "wire and an old bottle", "to read at night"},
    {"silver key", "with a round handle", "metal from the forge", "to open the garden door"},
    {"drum", "with blue stripes", "a barrel and a skin", "to call everybody to the feast"},
    {"puppet", "with a funny hat", "cloth and buttons", "to make the little ones laugh"},
    {"scarf", "of soft yellow wool", "wool from three sheep", "to stay warm in winter"},
    {"notebook", "with a leather cover", "old letters and string", "to draw birds and trees"},
    {"box", "with a secret drawer", "cherry wood", "to keep letters safe"},
    {"necklace", "of shells and beads", "shells from the beach", "to wear it at the feast"},
    {"whistle", "that sounded like a bird", "a willow twig", "to call the birds"},
    {"spyglass", "of yellow brass", "two lenses and a tube", "to watch the stars"},
    {"basket", "with a round lid", "willow twigs", "to carry berries home"},
};

// ---- Openings that many plots share.

constexpr std::string_view kOpenings[] = {
    "{n} was {a adj} {child} who lived {home}. {^he} {habit}. {^his} best friend was {m}.",
    "{^home} lived {a adj} {child} called {n}. {m}, who lived next door, knew that {he} {habit}.",
    "Once there was {a adj} {child} named {n}. {^his} family lived {home}, and {he} {habit}. "
    "{m} was {his} friend.",
    "{n} and {his} friend {m} lived {home}. {n} was {adj}: {he} {habit}.",
    "Long ago, {home}, there was a {child} named {n}. People called {him} {adj}, because {he} "
    "{habit}. Only {m}, {his} friend, called {him} <Captain|Professor|Champion>.",
};

constexpr std::string_view kEndings[] = {
    "That evening {n} <sat by the fire|lay in bed|stood at the window> and <smiled|thought about "
    "the day>. {^he} had learned that {lesson}.",
    "From that day on, {n} <often told|liked to tell> the story to the children of the "
    "village. \"Remember,\" {he} <would say|said>, \"{lesson}.\"",
    "\"Now I know,\" said {n}, \"that {lesson}.\" And {m} <nodded|laughed|agreed>.",
    "When {he} came home, {his} mother <hugged|kissed> {him}. \"You see,\" she said, \"{lesson}.\"",
    "{n} slept well that night, because {he} knew that {lesson}.",
};

// ---- Lost and found.

constexpr std::string_view kLostStart[] = {
    "One <windy|cold|bright|rainy> morning {his} {thing} was gone. It was a {thing} {look}, made "
    "of "
    "{stuff}, and {n} used it {purpose}. \"<Who has seen my {thing}|Where can it be>?\" cried {n}.",
    "{^his} dearest thing was a {thing} {look}. But one <morning|evening>, when {he} wanted "
    "{purpose}, "
    "the {thing} was not in its place. {n} <felt like crying|could not believe it>.",
};
constexpr std::string_view kLostSearch[] = {
    "First {he} looked <under the bed|behind the stove|in the garden>, but there was only dust. "
    "Then "
    "{he} asked {elder}. \"I have not seen it,\" said {elder}, \"but {near} is a place where many "
    "things are found.\" So {n} went to {near}.",
    "{m} helped {him} to search. They looked <in every corner|under every stone> of {near}, but "
    "found "
    "only <a rusty nail|an old shoe|a broken cup>. \"Think,\" said {m}. \"Where did you use it "
    "last?\" \"Near {far},\" said {n}.",
};
constexpr std::string_view kLostClue[] = {
    "{^his} {animal} {pet} {sound} and {act}. There were small <tracks|footprints> in the "
    "{ground}. "
    "{n} followed them along {path}, because {he} was {adj}.",
    "On the way {he} saw <a feather|a thread|a mark> in the {ground}. \"That is a clue,\" {he} "
    "whispered. {pet} the {animal} {act}, and together they followed the trail to {far}.",
};
constexpr std::string_view kLostFound[] = {
    "At {far} sat <a magpie|a small child|a squirrel> with the {thing}. \"<It shone so much|It was "
    "lying on the path>,\" said {m}, \"and so somebody took it along.\" {n} gave <a button|an "
    "apple|a nut> in "
    "return and took the {thing} home.",
    "There it was: the {thing} hung <in a bush|on a fence|from a branch> beside {far}. The wind "
    "had "
    "carried it there in the night, because {n} had left the window open. {^he} took it down and "
    "laughed.",
};

// ---- The errand.

constexpr std::string_view kErrandStart[] = {
    "One day {elder} came to the door. \"My leg hurts,\" said {elder}, \"and somebody must bring "
    "this "
    "<letter|parcel|basket of {product}> to {far} before <noon|dark>.\" \"I will go,\" said {n}. "
    "{^elder} was glad and gave {him} {tool} for the way.",
    "{^elder} was <ill|busy|tired> and needed help. \"Will you carry this <box|sack|pot> to "
    "{far}?\" "
    "{ehe} asked. \"Take {tool} with you. One never knows.\" {n} put it into {his} bag and "
    "promised to "
    "be careful.",
};
constexpr std::string_view kErrandTrouble[] = {
    "{n} and {m} walked along {path}. Halfway there, {event}. {n} {worry}. \"<Let us go back|We "
    "will "
    "never get there>,\" said {m}.",
    "The first hour was easy, and {pet} the {animal} {act}. But on {path} {event}. {n} stopped and "
    "{worry}. \"What now?\" asked {m}.",
};
constexpr std::string_view kErrandHelp[] = {
    "Then {n} remembered that {elder} had given {him} {tool}. {^he} {use}. \"<Well done|That was a "
    "good idea>!\" said {m}.",
    "{n} thought for a while. \"{^elder} gave me {tool}!\" {he} said. {^he} {use}, and soon the "
    "worst "
    "was over.",
};
constexpr std::string_view kErrandEnd[] = {
    "They came to {far} just in time. The <keeper|woman|old man> there gave them <hot soup|warm "
    "milk|"
    "two red apples> and a coin each. On the way home they sang.",
    "At {far} people were already waiting. \"Thank you,\" they said, \"without you we would have "
    "had "
    "no {product} today.\" {n} was too happy to feel {his} tired feet.",
};

// ---- The gift.

constexpr std::string_view kGiftStart[] = {
    "Soon it would be {m}'s birthday, and {m} wished for a {thing} {look}. But {n} had only <two|"
    "three|four> coins, and a {thing} cost much more.",
    "{n} wanted to give {m} something special, because {m} had helped {him} <when {he} was ill|in "
    "the "
    "hard winter>. \"A {thing} would be best,\" {he} thought, \"but I have no money.\"",
};
constexpr std::string_view kGiftWork[] = {
    "So {he} went to {elder} and asked for work. \"You can help me to {work},\" said {elder}. {n} "
    "worked <for three days|every afternoon|from morning to evening> until {his} hands were sore, "
    "but "
    "{he} did not complain.",
    "\"You could make one yourself,\" said {elder}. \"All you need is {stuff}.\" {n} helped {ehim} "
    "to "
    "{work}, and in return {ehe} showed {him} how to begin.",
};
constexpr std::string_view kGiftTrouble[] = {
    "On the last day something went wrong: {pet} the {animal} jumped on the bench and knocked "
    "everything over. "
    "The "
    "{thing} fell to the floor and <cracked|broke in two>. {n} was sad, but {he} did not scold "
    "{pet}. "
    "{^he} took <glue|a needle|a little knife> and began again.",
    "The first {thing} was <too small|crooked|too heavy>. The second was better. Only the third "
    "was "
    "right, because by then {n} had learned to take {his} time.",
};
constexpr std::string_view kGiftEnd[] = {
    "On the birthday {m} opened the parcel. Inside was a {thing} {look}. \"Did you make it for "
    "me?\" "
    "asked {m}, and {mhis} eyes shone. {^mhe} took it at once {purpose}.",
    "{m} was so surprised that {mhe} could not speak. Then {mhe} hugged {n}. \"It is the best "
    "{thing} "
    "in the world,\" said {m}, \"because you made it.\"",
};

// ---- The quarrel.

constexpr std::string_view kQuarrelStart[] = {
    "{n} and {m} were best friends until the day they found a {thing} {look} near {near}. \"I saw "
    "it "
    "first!\" said {n}. \"But I picked it up!\" said {m}. They <pulled|shouted> until both were "
    "red in "
    "the face, and then they went home without a word.",
    "One afternoon {m} borrowed the {thing} that {n} loved, and when {mhe} brought it back it was "
    "<scratched|broken|wet>. \"You never take care!\" cried {n}. \"It was an accident!\" said {m}. "
    "After that they did not speak for <two days|a whole week>.",
};
constexpr std::string_view kQuarrelAlone[] = {
    "But playing alone was no fun. {n} sat at {near} and threw <stones|sticks> into the {ground}. "
    "Even {pet} the {animal} looked sad. \"What is a {thing} worth,\" thought {n}, \"when there is "
    "nobody to share it with?\"",
    "{^elder} saw {him} sitting alone. \"When I was young,\" said {elder}, \"I lost a friend "
    "because I "
    "was too proud to say sorry.\" {n} thought about that for a long time.",
};
constexpr std::string_view kQuarrelPeace[] = {
    "The next morning {n} walked to {m}'s house. \"I am sorry,\" {he} said. \"No, I am sorry,\" "
    "said "
    "{m}. Then both of them laughed. They took the {thing} to {far} <and used it together|and "
    "shared "
    "it from then on>.",
    "{n} mended the {thing} with {stuff} and put it in front of {m}'s door. A little later {m} "
    "came "
    "running. \"Friends?\" asked {m}. \"Friends,\" said {n}, and they shook hands.",
};

// ---- The rescue.

constexpr std::string_view kRescueStart[] = {
    "One evening {pet} the {animal} did not come home. {n} called and called, but nobody {sound}. "
    "\"{^pet} must be near {far},\" said {m}. They took {tool} and went out at once.",
    "In autumn {m} wanted to see {far}, although {mhis} mother had said no. When {mhe} was not "
    "back at "
    "supper, {n} knew where to look. {^he} took {tool}, called {pet} the {animal} and ran to "
    "{path}.",
};
constexpr std::string_view kRescueTrouble[] = {
    "They had not gone far when {event}. {n} {worry}. {^his} heart beat like a drum. \"I am "
    "afraid,\" "
    "{he} said, \"but I will not turn back.\"",
    "It was not easy. First {he} slipped on the wet {ground}, and then {event}. For a moment {n} "
    "{worry}. But {he} was {adj}, and that helped {him} now.",
};
constexpr std::string_view kRescueHelp[] = {
    "{^he} took {tool} and {use}. Then {he} heard a weak sound from <a hole|behind a wall|under a "
    "fallen tree>. \"I am coming!\" {he} called.",
    "Luckily {he} had {tool} with {him}. {^he} {use}. A moment later something moved in the dark: "
    "it "
    "was <a foot in the leaves|a shadow by the wall>.",
};
constexpr std::string_view kRescueEnd[] = {
    "Soon everybody was safe. On the way home nobody said much, but {n} held {his} friend's hand "
    "all "
    "the way along {path}. At home there was <warm soup|hot tea> for all of them.",
    "\"You came!\" was all that {n} heard, again and again. They walked back slowly and rested "
    "often. "
    "In {near} the neighbours were waiting with lamps, and they cheered.",
};

// ---- The thing that did not work.

constexpr std::string_view kRepairStart[] = {
    "One morning the <bell|clock|pump|big wheel> at {near} stood still. Nobody knew why. {^elder} "
    "looked "
    "at it and shook {ehis} head. \"It is too old,\" {ehe} said. \"Without it we cannot {work}.\"",
    "That spring the <well|mill|fountain> near {near} gave no more water. {^elder} could not "
    "{work}, and "
    "soon there would be no {product}. People <argued all day|did not know what to do>.",
};
constexpr std::string_view kRepairLook[] = {
    "{n} was too {adj} to leave it at that. {^he} crept inside with a lamp and looked at every "
    "part. "
    "\"There is always a reason,\" {he} told {m}. \"If we find the reason, we can find the "
    "answer.\"",
    "\"May I look?\" asked {n}. The grown-ups laughed, but {elder} said, \"Let {him} try.\" {n} "
    "listened, "
    "knocked and listened again. Then {he} followed {path} to see where the trouble began.",
};
constexpr std::string_view kRepairCause[] = {
    "At last {he} saw it: <a bird had built its nest|a stone had rolled|a root had grown> right in "
    "the "
    "middle, and so nothing could move. {n} and {m} <carried it carefully away|took it out piece "
    "by "
    "piece>, and {pet} the {animal} {act}.",
    "The reason was small: <a pin was missing|a rope had slipped|there was {ground} in the pipe>. "
    "{n} "
    "asked {m} to hold the lamp and put everything back in its place.",
};
constexpr std::string_view kRepairEnd[] = {
    "Then it moved, slowly at first, and everybody cheered. {^elder} gave {n} a {thing} {look}. "
    "\"You "
    "have earned it,\" {ehe} said. \"You did not ask who was to blame. You asked why.\"",
    "In the evening it worked again as if nothing had happened. \"How did you know?\" asked "
    "{elder}. \"I "
    "did not know,\" said {n}. \"I only looked.\" And there was {product} for everyone.",
};

// ---- The garden.

constexpr std::string_view kGardenStart[] = {
    "{^elder} once gave {n} a handful of <bean|pumpkin|sunflower> seeds. {n} put them into the "
    "earth "
    "behind {near} and watered them every day. But after two weeks there was still nothing to see.",
    "In spring {n} planted a small <apple|cherry|pear> tree not far from {near}. {^he} visited it "
    "every "
    "morning. But its leaves turned yellow, and {n} did not know why.",
};
constexpr std::string_view kGardenTrouble[] = {
    "\"Perhaps it gets <too little sun|too much water>,\" said {m}. {n} watched for a whole day. "
    "At noon "
    "the shadow of the wall fell on the place, and in the evening {pet} the {animal} dug a hole "
    "right "
    "beside "
    "it. \"So that is the reason!\" cried {n}.",
    "Then <hail came|the snails came|a storm came>, and in the morning half of the garden was "
    "gone. {n} wanted to give up. \"Roots are "
    "stronger than you think,\" said {elder}. \"Build a fence, and wait.\"",
};
constexpr std::string_view kGardenWork[] = {
    "{n} and {m} dug everything up and carried it to a better place by {path}. They built a fence "
    "of "
    "<sticks|stones|old boards> and brought water in a <bucket|can|pot>. Then there was nothing to "
    "do "
    "but wait.",
    "{^he} made a fence, pulled out the weeds and put fresh {ground} around the stem. {m} came "
    "every day "
    "to help. \"Grow,\" they whispered, \"please grow.\"",
};
constexpr std::string_view kGardenEnd[] = {
    "In summer it stood taller than {n}. There was so much fruit that {he} filled "
    "<three|five|seven> "
    "baskets: one for {m}, one for {elder}, and the rest for the neighbours.",
    "When the warm days came, the first green tip looked out of the earth. By autumn there was "
    "enough "
    "for a big pot of soup, and everybody who had helped sat at the table.",
};

// ---- The contest.

constexpr std::string_view kContestStart[] = {
    "Every year there was a contest at {far}: who could build the best {thing}? This year {n} "
    "wanted to "
    "win. {^he} had {stuff} and a plan. But {m} wanted to win too.",
    "A poster hung at {near}: \"Great contest on Sunday! Bring your own {thing}!\" {n} read it "
    "twice. "
    "{^he} began to work the same evening, and {m}, who lived next door, did so too.",
};
constexpr std::string_view kContestTrouble[] = {
    "On the way to the contest, {event}. {m} {worry_m}, and {mhis} {thing} <fell into the "
    "{ground}|broke>. "
    "{n} could have gone on alone and won. {^he} looked at {far}. Then {he} looked at {m}.",
    "An hour before the start {m} came with tears in {mhis} eyes. {^mhis} {thing} was broken, "
    "because "
    "{pet} the {animal} had stepped on it. Nobody else could help. {n} had to choose.",
};
constexpr std::string_view kContestChoice[] = {
    "{n} put down {his} own work and helped. They used what was left of the {stuff}, and together "
    "they "
    "made one {thing} out of two. It was <strange|funny|crooked>, but it worked.",
    "\"Take half of mine,\" said {n}. They worked as fast as they could. {^elder} lent them <a "
    "knife|a "
    "brush|some string>, and when the drum sounded they were just ready.",
};
constexpr std::string_view kContestEnd[] = {
    "They did not win the first prize. They came <second|third>. But the judges gave them a "
    "special "
    "prize for the best team, and they used the {thing} together {purpose}.",
    "The judges looked at it for a long time. \"Two names on one {thing}?\" they asked. \"Two "
    "friends,\" "
    "said {n}. And so the prize, a big cake, was cut in two.",
};

constexpr Scene kLost[] = {kOpenings, kLostStart, kLostSearch, kLostClue, kLostFound, kEndings};
constexpr Scene kErrand[] = {kOpenings,   kErrandStart, kErrandTrouble,
                             kErrandHelp, kErrandEnd,   kEndings};
constexpr Scene kGift[] = {kOpenings, kGiftStart, kGiftWork, kGiftTrouble, kGiftEnd, kEndings};
constexpr Scene kQuarrel[] = {kOpenings, kQuarrelStart, kQuarrelAlone, kQuarrelPeace, kEndings};
constexpr Scene kRescue[] = {kOpenings,   kRescueStart, kRescueTrouble,
                             kRescueHelp, kRescueEnd,   kEndings};
constexpr Scene kRepair[] = {kOpenings,    kRepairStart, kRepairLook,
                             kRepairCause, kRepairEnd,   kEndings};
constexpr Scene kGarden[] = {kOpenings,   kGardenStart, kGardenTrouble,
                             kGardenWork, kGardenEnd,   kEndings};
constexpr Scene kContest[] = {kOpenings,      kContestStart, kContestTrouble,
                              kContestChoice, kContestEnd,   kEndings};
constexpr Plot kPlots[] = {kLost, kErrand, kGift, kQuarrel, kRescue, kRepair, kGarden, kContest};

}  // namespace

std::span<const Trait> traits() { return kTraits; }
std::span<const Setting> settings() { return kSettings; }
std::span<const Trouble> troubles() { return kTroubles; }
std::span<const Elder> elders() { return kElders; }
std::span<const Animal> animals() { return kAnimals; }
std::span<const Treasure> treasures() { return kTreasures; }
std::span<const Plot> plots() { return kPlots; }

}  // namespace moge::data
