#include "support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>

namespace sam2unet::test {
namespace {

struct Pipe {
  int read = -1;
  int write = -1;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  return {ends[0], ends[1]};
}

Pipe make_terminal() {
  Pipe p;
  if (::openpty(&p.read, &p.write, nullptr, nullptr, nullptr) != 0) throw std::runtime_error("openpty");
  ::fcntl(p.read, F_SETFD, FD_CLOEXEC);
  return p;
}

void close_end(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

[[noreturn]] void become(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                         const RunOptions& options, const Pipe& in, const Pipe& out, const Pipe& err) {
  ::dup2(in.read, STDIN_FILENO);
  const int to = options.out_to.empty() ? out.write : ::open(options.out_to.c_str(), O_WRONLY);
  ::dup2(to, STDOUT_FILENO);
  ::dup2(err.write, STDERR_FILENO);
  if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) ::_exit(126);
  if (options.file_size_limit) {
    const rlimit limit = {*options.file_size_limit, *options.file_size_limit};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::signal(SIGXFSZ, SIG_IGN);  // so that write() fails instead
  }
  for (const auto& e : options.environment) ::putenv(const_cast<char*>(e.c_str()));
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  ::_exit(127);
}

// Feeds `input` and gathers both outputs until they end.
void exchange(const RunOptions& options, pid_t child, Pipe& in, Pipe& out, Pipe& err, Finished& result) {
  std::size_t sent = 0;
  bool interrupted = false;
  if (options.input.empty()) close_end(in.write);
  while (out.read >= 0 || err.read >= 0) {
    std::array<pollfd, 3> fds = {{{out.read, POLLIN, 0}, {err.read, POLLIN, 0}, {in.write, POLLOUT, 0}}};
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) break;
    const auto gather = [&](const pollfd& p, int& fd, std::string& to) {
      if (fd < 0 || p.revents == 0) return;
      std::array<char, 65536> buffer;
      const ssize_t n = ::read(fd, buffer.data(), buffer.size());
      if (n > 0)
        to.append(buffer.data(), static_cast<std::size_t>(n));
      else
        close_end(fd);  // a terminal ends with EIO
    };
    gather(fds[0], out.read, result.out);
    gather(fds[1], err.read, result.err);
    if (in.write >= 0 && fds[2].revents != 0) {
      const ssize_t n = ::write(in.write, options.input.data() + sent, options.input.size() - sent);
      if (n > 0) sent += static_cast<std::size_t>(n);
      if (n < 0 || sent == options.input.size()) close_end(in.write);
    }
    if (options.interrupt_after_output && !interrupted && !result.out.empty()) {
      interrupted = true;
      ::kill(child, options.interrupt_by);
    }
  }
}

}  // namespace

std::filesystem::path program(const std::string& name) {
  return std::filesystem::path(S2U_BIN_DIR) / name;
}

Finished run(const std::filesystem::path& program, const std::vector<std::string>& arguments,
             const RunOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);  // the program need not read all of its input
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  Pipe err = options.terminal ? make_terminal() : make_pipe();
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    become(program, arguments, options, in, out, err);
  }
  close_end(in.read);
  close_end(out.write);
  close_end(err.write);
  Finished result;
  exchange(options, child, in, out, err, result);
  close_end(in.write);
  int status = 0;
  rusage usage = {};
  while (::wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  result.peak_bytes = std::int64_t{usage.ru_maxrss} * 1024;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace sam2unet::test
