#include "progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "core/clock_text.h"
#include "sam2unet/errors.h"

namespace sam2unet::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kRedrawEvery = std::chrono::milliseconds(100);

std::size_t terminal_width() {
  winsize size = {};
  constexpr std::size_t kUsual = 80;
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Progress::Progress(std::size_t total, std::string unit)
    : total_(total), unit_(std::move(unit)), terminal_(::isatty(STDERR_FILENO) == 1), start_(Clock::now()) {
  const std::lock_guard lock(mutex_);
  draw();
}

Progress::~Progress() {
  finish();
}

void Progress::advance(std::size_t count) {
  const std::lock_guard lock(mutex_);
  done_ += count;
  parts_ = 0;
  if (Clock::now() - drawn_ >= kRedrawEvery || done_ == total_) draw();
}

void Progress::within(std::size_t done, std::size_t total, const std::string& unit) {
  const std::lock_guard lock(mutex_);
  part_ = done;
  parts_ = total;
  part_unit_ = unit;
  if (Clock::now() - drawn_ >= kRedrawEvery) draw();
}

void Progress::say(const std::string& line) {
  const std::lock_guard lock(mutex_);
  erase();
  std::fprintf(stderr, "%s\n", line.c_str());
  draw();
}

void Progress::print(const std::string& text) {
  const std::lock_guard lock(mutex_);
  erase();
  write_stdout(text.data(), text.size());
  draw();
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  erase();
  finished_ = true;
}

double Progress::seconds() const {
  return seconds_since(start_);
}

void Progress::erase() {
  if (!visible_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  visible_ = false;
}

void Progress::draw() {
  if (!terminal_ || finished_ || (total_ < 2 && parts_ < 2)) return;
  drawn_ = Clock::now();
  const double done = static_cast<double>(done_) +
                      (parts_ == 0 ? 0.0 : static_cast<double>(part_) / static_cast<double>(parts_));
  const double rate = done / std::max(seconds(), 1e-3);
  std::string text = total_ < 2 ? std::string() : fmt::format(" {}/{} {}", done_, total_, unit_);
  if (parts_ > 0) text += fmt::format("{} {}/{} {}", text.empty() ? "" : ",", part_, parts_, part_unit_);
  if (done_ > 0 && total_ > 1) text += fmt::format("  {:.{}f}/s", rate, rate < 10 ? 2 : 0);
  if (done > 0) {
    text += fmt::format("  {} left", clock_text(std::max(static_cast<double>(total_) - done, 0.0) / rate));
  }
  const std::size_t width = terminal_width();
  constexpr std::size_t kLongestBar = 40;
  const std::size_t room = width > text.size() + 4 ? width - text.size() - 4 : 0;
  const std::size_t bar = std::min(room, kLongestBar);
  const double share = total_ == 0 ? 1.0 : std::min(done / static_cast<double>(total_), 1.0);
  const auto full = static_cast<std::size_t>(static_cast<double>(bar) * share);
  std::fprintf(stderr, "\r\033[K[%s%s]%s", std::string(full, '#').c_str(),
               std::string(bar - full, '.').c_str(), text.c_str());
  std::fflush(stderr);
  visible_ = true;
}

void write_stdout(const void* bytes, std::size_t size) {
  std::fwrite(bytes, 1, size, stdout);
  flush_stdout();
}

void flush_stdout() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  const int error = errno;
  throw FileError(fmt::format("cannot write to standard output: {}",
                              error == ENOSPC ? "the disk is full; free some space or write elsewhere"
                                              : std::generic_category().message(error)));
}

}  // namespace sam2unet::cli
