#include "moge/data/words.h"

namespace moge::data {

const std::string_view kNames[kNumNames] = {
    "Anna",   "Ben",    "Mia",    "Tom",    "Lily",  "Sam",    "Emma",  "Jack",   "Nora",  "Leo",
    "Ruth",   "Max",    "Clara",  "Paul",   "Ella",  "Finn",   "Rosa",  "Hugo",   "Ivy",   "Omar",
    "Lena",   "Karl",   "Zoe",    "Adam",   "Maya",  "Noah",   "Alice", "Peter",  "Sara",  "David",
    "Julia",  "Luke",   "Kate",   "Mark",   "Eva",   "Oscar",  "Grace", "Henry",  "Mary",  "Simon",
    "Lucy",   "Felix",  "Hanna",  "Jonas",  "Vera",  "Ivan",   "Nina",  "Erik",   "Olga",  "Pablo",
    "Ada",    "Hans",   "Carla",  "Diego",  "Lola",  "Marco",  "Greta", "Otto",   "Heidi", "Rolf",
    "Aisha",  "Ali",    "Fatima", "Hassan", "Leila", "Karim",  "Amina", "Yusuf",  "Mei",   "Jin",
    "Yuki",   "Kenji",  "Hana",   "Taro",   "Priya", "Ravi",   "Anita", "Arjun",  "Sita",  "Vijay",
    "Molly",  "Harry",  "Daisy",  "Oliver", "Ruby",  "George", "Holly", "James",  "Amber", "Daniel",
    "Stella", "Robert", "Flora",  "Martin", "Tina",  "Victor", "Wendy", "Walter", "Irene", "Edgar",
    "Jane",   "Philip", "Laura",  "Andrew", "Diana", "Bruno",  "Elena", "Carlos", "Marta", "Pedro",
    "Sofia",  "Luis",   "Paula",  "Rafael", "Ines",  "Hector", "Bella", "Cyrus",  "Cora",  "Dennis",
    "Edith",  "Edwin",  "Gloria", "Gavin",  "Iris",  "Isaac",  "Joan",  "Jacob",
};

const std::string_view kThings[kNumThings] = {
    "apple", "pear",   "plum",   "lemon",  "melon",   "fig",     "olive",   "nut",
    "acorn", "egg",    "carrot", "onion",  "bean",    "pumpkin", "cookie",  "muffin",
    "cake",  "roll",   "shell",  "stone",  "pebble",  "feather", "twig",    "flower",
    "rose",  "tulip",  "seed",   "button", "bead",    "marble",  "ribbon",  "stamp",
    "card",  "letter", "ticket", "map",    "book",    "pencil",  "crayon",  "sticker",
    "badge", "magnet", "candle", "bell",   "key",     "nail",    "brick",   "tile",
    "spoon", "cup",    "plate",  "bowl",   "hat",     "sock",    "mitten",  "kite",
    "drum",  "doll",   "block",  "puzzle", "balloon", "whistle", "lantern", "basket",
};

}  // namespace moge::data
