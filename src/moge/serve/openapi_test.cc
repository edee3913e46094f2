// /openapi.json against the table of routes, and the table against a running server.
#include <map>
#include <set>

#include "moge/serve/routes.h"
#include "moge/serve/test_server.h"

namespace moge::serve {
namespace {

using Methods = std::set<std::string>;

std::map<std::string, Methods> described(const json& document) {
  std::map<std::string, Methods> all;
  for (const auto& [path, item] : document["paths"].items()) {
    const json& own = item;
    const json& operations =
        own.contains("$ref")
            ? document.at(json::json_pointer(own["$ref"].get<std::string>().substr(1)))
            : own;
    for (const auto& [method, operation] : operations.items()) all[path].insert(method);
  }
  return all;
}

std::map<std::string, Methods> routed() {
  std::map<std::string, Methods> all;
  for (const Route& route : routes()) {
    Methods& methods = all[std::string(route.path)];
    EXPECT_TRUE(methods.empty()) << route.path << " stands in the table twice";
    if (route.get) methods.insert("get");
    if (route.post) methods.insert("post");
  }
  return all;
}

TEST_F(Server, TheDocumentDescribesWhatIsRouted) {
  const json document = body_of(get("/openapi.json"));
  ASSERT_TRUE(document.is_object());
  EXPECT_EQ(described(document), routed());
  EXPECT_GE(routed().size(), 25u);
}

TEST_F(Server, EveryRouteAnswersItsMethodsAndNoOther) {
  for (const auto& [path, methods] : routed()) {
    const std::string asked = path.substr(0, path.find('{')) + (path.ends_with('}') ? "tiny" : "");
    const int by_get = status_of(get(asked)), by_post = status_of(post(asked, "{}"));
    EXPECT_EQ(by_get, methods.count("get") ? 200 : 405) << path;
    EXPECT_EQ(by_post == 405, methods.count("post") == 0) << path << " " << by_post;
    const std::string other = request("DELETE " + asked + " HTTP/1.1");
    EXPECT_EQ(status_of(other), 405) << path;
    EXPECT_EQ(other.find("\r\nAllow: GET, HEAD") != std::string::npos, methods.count("get") == 1);
  }
}

}  // namespace
}  // namespace moge::serve
