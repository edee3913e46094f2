// Runs a program and waits for it: for tests.
#pragma once

#include <string>
#include <vector>

struct ProcessOptions {
  std::vector<std::string> args;         ///< the program first
  std::string input;                     ///< all of stdin
  std::string folder;                    ///< working directory
  std::vector<std::string> environment;  ///< NAME=VALUE beside the inherited ones
  double timeout_seconds = 60;           ///< then SIGKILL
};

struct ProcessResult {
  int status = -1;  ///< exit status, or 128 + signal
  bool timed_out = false;
  std::string out, err;
};

ProcessResult run_process(const ProcessOptions& options);

/// A TCP socket that listens on a free port of 127.0.0.1 for as long as it lives.
class Listener {
 public:
  Listener();
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  int port() const { return port_; }

 private:
  int socket_ = -1, port_ = 0;
};
