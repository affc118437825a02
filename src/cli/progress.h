// A line on the terminal that says how far a long command is; nothing where stderr is not a terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace sam2unet::cli {

class Progress {
 public:
  /// `what` is what is counted: "pictures".
  explicit Progress(std::string what);
  /// Clears the line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Not for two threads at once. Draws at most some ten times a second.
  void update(std::size_t done, std::size_t total);

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point start_, last_;
};

}  // namespace sam2unet::cli
