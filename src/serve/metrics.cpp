#include "serve/metrics.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string_view>

namespace sam2unet::serve {
namespace {

constexpr double kNano = 1e9;
constexpr std::array<std::string_view, kStages> kStageNames = {"queue", "decode", "compute", "encode"};

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  void describe(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(out_), "# HELP sam2unet_{} {}\n# TYPE sam2unet_{} {}\n", name, help,
                   name, type);
  }
  template <typename T>
  void line(std::string_view name, const T& value, std::string_view labels = "") {
    const std::string braces = labels.empty() ? std::string() : fmt::format("{{{}}}", labels);
    fmt::format_to(std::back_inserter(out_), "sam2unet_{}{} {}\n", name, braces, value);
  }
  template <typename T>
  void single(std::string_view name, std::string_view type, std::string_view help, const T& value) {
    describe(name, type, help);
    line(name, value);
  }

 private:
  std::string& out_;
};

}  // namespace

void Histogram::observe(double seconds) {
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  if (bound != kBounds.end()) buckets_.at(static_cast<std::size_t>(bound - kBounds.begin())).fetch_add(1);
  nanoseconds_.fetch_add(static_cast<std::uint64_t>(std::max(seconds, 0.0) * kNano));
  count_.fetch_add(1);
}

double Histogram::mean() const {
  const auto n = count_.load();
  return n == 0 ? 0.0 : static_cast<double>(nanoseconds_.load()) / kNano / static_cast<double>(n);
}

void Histogram::write(std::string& out, const std::string& name, const std::string& labels) const {
  auto to = std::back_inserter(out);
  const std::string comma = labels.empty() ? "" : ",";
  const std::string braces = labels.empty() ? "" : "{" + labels + "}";
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    sum += buckets_.at(i).load();
    fmt::format_to(to, "{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, comma, kBounds.at(i), sum);
  }
  // Counted while it is written: what is told must still grow from bucket to bucket.
  const std::uint64_t count = std::max(count_.load(), sum);
  fmt::format_to(to, "{}_bucket{{{}{}le=\"+Inf\"}} {}\n", name, labels, comma, count);
  fmt::format_to(to, "{}_sum{} {}\n{}_count{} {}\n", name, braces,
                 static_cast<double>(nanoseconds_.load()) / kNano, name, braces, count);
}

void Metrics::count_answer(int status) {
  answers_.at(static_cast<std::size_t>(std::clamp(status / 100, 0, 5))).fetch_add(1);
}

std::string Metrics::text(const Gauges& g) const {
  std::string out;
  Writer w(out);
  w.describe("stage_seconds", "histogram", "Time of one picture in each stage.");
  for (std::size_t i = 0; i < kStages; ++i)
    stages_.at(i).write(out, "sam2unet_stage_seconds", fmt::format("stage=\"{}\"", kStageNames.at(i)));
  w.describe("request_seconds", "histogram", "Time from a request's header to the end of its answer.");
  request_time_.write(out, "sam2unet_request_seconds", "");
  w.describe("responses_total", "counter", "Answers by class of status.");
  for (std::size_t i = 1; i < answers_.size(); ++i)
    w.line("responses_total", answers_.at(i).load(), fmt::format("code=\"{}xx\"", i));
  w.describe("refusals_total", "counter", "Requests without a result, by reason.");
  for (std::size_t i = 1; i < kRefusals; ++i) {
    w.line("refusals_total", refusals_.at(i).load(),
           fmt::format("reason=\"{}\"", name_of(static_cast<Refusal>(i))));
  }
  w.single("pictures_total", "counter", "Pictures segmented.", pictures.load());
  w.single("batches_total", "counter", "Passes of the network, each over one batch.", batches.load());
  w.single("received_bytes_total", "counter", "Bytes of bodies received.", bytes_in.load());
  w.single("sent_bytes_total", "counter", "Bytes of bodies sent.", bytes_out.load());
  w.single("connections_total", "counter", "Connections accepted.", accepted.load());
  w.single("clients_left_total", "counter", "Clients that hung up before their answer.", clients_left.load());
  w.describe("reloads_total", "counter", "Times the weights were loaded again.");
  w.line("reloads_total", reloads.load(), "result=\"ok\"");
  w.line("reloads_total", failed_reloads.load(), "result=\"failed\"");
  w.single("queue_length", "gauge", "Requests that wait for the network.", g.waiting);
  w.single("queue_limit", "gauge", "How many may wait (--queue).", g.waiting_limit);
  w.single("in_flight_bytes", "gauge", "Bytes of bodies and answers held.", g.in_flight);
  w.single("in_flight_limit_bytes", "gauge", "How many may be held (--max-in-flight).", g.in_flight_limit);
  w.single("connections", "gauge", "Open connections.", g.connections);
  w.single("ready", "gauge", "1 if requests are taken, 0 while loading or draining.", g.ready ? 1 : 0);
  w.single("resident_memory_bytes", "gauge", "Resident memory of the process.", resident_memory());
  return out;
}

std::size_t resident_memory() {
  std::ifstream in("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  if (!(in >> total >> resident)) return 0;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace sam2unet::serve
