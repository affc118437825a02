// Counters of the service, and their text for Prometheus (exposition format 0.0.4).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "serve/http.h"

namespace sam2unet::serve {

/// Seconds, in buckets from a millisecond to a minute.
class Histogram {
 public:
  static constexpr std::array kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                         0.5,   1.0,    2.5,   5.0,  10.0,  30.0, 60.0};

  void observe(double seconds);
  /// Lines of one histogram; `labels` is "" or `stage="queue"`.
  void write(std::string& out, const std::string& name, const std::string& labels) const;
  /// 0 where nothing was seen.
  double mean() const;

 private:
  std::array<std::atomic<std::uint64_t>, kBounds.size()> buckets_{};  // each by itself; summed when written
  std::atomic<std::uint64_t> count_{0};
  std::atomic<std::uint64_t> nanoseconds_{0};
};

/// What is told when asked, beside the counters.
struct Gauges {
  std::size_t waiting = 0, waiting_limit = 0;
  std::size_t in_flight = 0, in_flight_limit = 0;
  std::size_t connections = 0;
  bool ready = false;
};

class Metrics {
 public:
  Histogram& stage(Stage s) { return stages_.at(static_cast<std::size_t>(s)); }
  Histogram& requests() { return request_time_; }
  void count_answer(int status);
  void count_refusal(Refusal r) { refusals_.at(static_cast<std::size_t>(r)).fetch_add(1); }
  std::uint64_t refusals(Refusal r) const { return refusals_.at(static_cast<std::size_t>(r)).load(); }

  std::atomic<std::uint64_t> pictures{0}, batches{0}, bytes_in{0}, bytes_out{0}, accepted{0}, clients_left{0};
  std::atomic<std::uint64_t> reloads{0}, failed_reloads{0};

  std::string text(const Gauges& gauges) const;

 private:
  std::array<Histogram, kStages> stages_;
  Histogram request_time_;
  std::array<std::atomic<std::uint64_t>, 6> answers_{};  // by hundreds
  std::array<std::atomic<std::uint64_t>, kRefusals> refusals_{};
};

/// Resident memory of this process in bytes; 0 where it cannot be told.
std::size_t resident_memory();

}  // namespace sam2unet::serve
