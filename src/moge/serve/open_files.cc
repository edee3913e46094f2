#include "moge/serve/open_files.h"

#include <sys/resource.h>

#include <algorithm>

namespace moge::serve {

int64_t raise_open_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, 1 << 20));
}

int64_t connections_for(int64_t open_files) { return std::max<int64_t>(1, open_files - 64); }

}  // namespace moge::serve
