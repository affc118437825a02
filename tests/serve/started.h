// `sam2unet serve` in a process of its own.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/process.h"

namespace sam2unet::test {

/// On a free port, until this ends; what it writes goes to the file "stdout" of its folder.
class Started {
 public:
  /// It may have no more than so many `open_files`.
  Started(const std::filesystem::path& folder, std::vector<std::string> arguments,
          std::optional<rlim_t> open_files = {}) {
    arguments.insert(arguments.begin(), {"serve", "--port", "0"});
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    const std::string file = program("sam2unet").string();
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(ends[1], STDERR_FILENO);
      if (::chdir(folder.c_str()) != 0) ::_exit(126);
      const rlimit limit{open_files.value_or(0), open_files.value_or(0)};
      if (open_files && ::setrlimit(RLIMIT_NOFILE, &limit) != 0) ::_exit(126);
      const int out = ::open("stdout", O_WRONLY | O_CREAT | O_TRUNC, 0644);
      if (out < 0 || ::dup2(out, STDOUT_FILENO) < 0) ::_exit(126);
      std::vector<char*> argv = {const_cast<char*>(file.c_str())};
      for (const auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
      argv.push_back(nullptr);
      ::execv(file.c_str(), argv.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    err_ = ends[0];
  }
  ~Started() { end(); }
  Started(const Started&) = delete;
  Started& operator=(const Started&) = delete;

  /// Reads what it says until `word` is in it.
  bool says(const std::string& word) {
    while (said_.find(word) == std::string::npos) {
      char buffer[4096];
      const ssize_t n = ::read(err_, buffer, sizeof buffer);
      if (n <= 0) return false;
      said_.append(buffer, static_cast<std::size_t>(n));
    }
    return true;
  }
  const std::string& said() const { return said_; }
  std::uint16_t port() {
    const std::string before = "://127.0.0.1:";
    if (!says(before) || !says("ready")) throw std::runtime_error("it said: " + said_);
    return static_cast<std::uint16_t>(std::stoi(said_.substr(said_.find(before) + before.size())));
  }
  void signal(int number) { ::kill(child_, number); }
  /// SIGTERM; the exit code.
  int end() {
    if (child_ > 0) signal(SIGTERM);
    return wait();
  }
  /// The exit code once it has ended by itself.
  int wait() {
    if (child_ <= 0) return -1;
    int status = 0;
    ::waitpid(child_, &status, 0);
    ::close(err_);
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t child_ = -1;
  int err_ = -1;
  std::string said_;
};

}  // namespace sam2unet::test
