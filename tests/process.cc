#include "process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>

namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  int read = -1, write = -1;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
    read = ends[0];
    write = ends[1];
  }
  ~Pipe() {
    close_read();
    close_write();
  }
  void close_read() { close_end(read); }
  void close_write() { close_end(write); }

 private:
  static void close_end(int& end) {
    if (end >= 0) close(end);
    end = -1;
  }
};

[[noreturn]] void become(const ProcessOptions& options, const Pipe& in, const Pipe& out,
                         const Pipe& err) {
  dup2(in.read, STDIN_FILENO);
  dup2(out.write, STDOUT_FILENO);
  dup2(err.write, STDERR_FILENO);
  if (!options.folder.empty() && chdir(options.folder.c_str()) != 0) _exit(127);
  for (const std::string& variable : options.environment) {
    const size_t equals = variable.find('=');
    setenv(variable.substr(0, equals).c_str(), variable.substr(equals + 1).c_str(), 1);
  }
  std::vector<char*> args;
  for (const std::string& arg : options.args) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  execv(args[0], args.data());
  _exit(127);
}

/// Appends what `end` gives; closes nothing. False at the end of the stream.
bool drain(int end, std::string& text) {
  char block[65536];
  const ssize_t count = read(end, block, sizeof block);
  if (count > 0) text.append(block, static_cast<size_t>(count));
  return count > 0;
}

/// Feeds stdin and gathers both outputs until the program has closed them or the time is over.
bool talk(const ProcessOptions& options, Pipe& in, Pipe& out, Pipe& err, ProcessResult& result) {
  fcntl(in.write, F_SETFL, O_NONBLOCK);
  const auto end = Clock::now() + std::chrono::duration<double>(options.timeout_seconds);
  size_t written = 0;
  while (out.read >= 0 || err.read >= 0) {
    if (in.write >= 0 && written == options.input.size()) in.close_write();
    pollfd polls[3] = {{out.read, POLLIN, 0}, {err.read, POLLIN, 0}, {in.write, POLLOUT, 0}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0 || poll(polls, 3, static_cast<int>(left.count())) <= 0) return false;
    if (polls[0].revents && !drain(out.read, result.out)) out.close_read();
    if (polls[1].revents && !drain(err.read, result.err)) err.close_read();
    if (polls[2].revents) {
      const ssize_t count =
          write(in.write, options.input.data() + written, options.input.size() - written);
      if (count < 0)
        in.close_write();
      else
        written += static_cast<size_t>(count);
    }
  }
  return true;
}

}  // namespace

ProcessResult run_process(const ProcessOptions& options) {
  signal(SIGPIPE, SIG_IGN);  // a program that reads no stdin must not end the test
  Pipe in, out, err;
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) {
    signal(SIGPIPE, SIG_DFL);
    become(options, in, out, err);
  }
  in.close_read();
  out.close_write();
  err.close_write();
  ProcessResult result;
  result.timed_out = !talk(options, in, out, err, result);
  if (result.timed_out) kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

Listener::Listener() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(socket_, 1) != 0 ||
      getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("no free port on 127.0.0.1");
  port_ = ntohs(address.sin_port);
}

Listener::~Listener() { close(socket_); }
