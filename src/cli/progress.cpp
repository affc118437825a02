#include "progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace sam2unet::cli {

Progress::Progress(std::string what)
    : what_(std::move(what)), terminal_(::isatty(STDERR_FILENO) == 1), start_(Clock::now()), last_(start_) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void Progress::update(std::size_t done, std::size_t total) {
  if (!terminal_ || total == 0) return;
  const Clock::time_point now = Clock::now();
  if (done < total && now - last_ < std::chrono::milliseconds(80)) return;
  last_ = now;
  constexpr int kBar = 24;
  const double part = static_cast<double>(done) / static_cast<double>(total);
  const int full = static_cast<int>(part * kBar);
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const double left = rate > 0 ? static_cast<double>(total - done) / rate : 0;
  const std::string bar = std::string(static_cast<std::size_t>(full), '#') +
                          std::string(static_cast<std::size_t>(kBar - full), '.');
  std::fprintf(stderr, "\r[%s] %zu/%zu %s  %.1f/s  %.0f s left\033[K", bar.c_str(), done, total,
               what_.c_str(), rate, left);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace sam2unet::cli
