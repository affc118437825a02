// What a person at a terminal sees while many things are worked on. Silent where stderr is no terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>

namespace sam2unet::cli {

/// A bar on stderr: done of total, rate, time left. Its functions may be called from any thread.
class Progress {
 public:
  /// `unit` is what is counted, in the plural ("pictures").
  Progress(std::size_t total, std::string unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(std::size_t count = 1);
  /// Of the next of these, `done` parts of `total` are done; shown until it is, however few things there are.
  void within(std::size_t done, std::size_t total, const std::string& unit);
  /// A line on stderr that does not collide with the bar. Also where there is no terminal.
  void say(const std::string& line);
  /// Lines on stdout that do not collide with the bar; FileError if they cannot be written.
  void print(const std::string& text);
  /// Removes the bar.
  void finish();

  bool on_terminal() const { return terminal_; }
  double seconds() const;

 private:
  void draw();
  void erase();

  std::mutex mutex_;
  const std::size_t total_;
  const std::string unit_;
  const bool terminal_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point drawn_;
  std::size_t done_ = 0;
  std::size_t part_ = 0, parts_ = 0;  // of the next one
  std::string part_unit_;
  bool visible_ = false;
  bool finished_ = false;
};

/// Writes all of `bytes` to stdout, or FileError.
void write_stdout(const void* bytes, std::size_t size);
/// FileError if anything that was printed did not get there.
void flush_stdout();

}  // namespace sam2unet::cli
