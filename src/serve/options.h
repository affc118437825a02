// What a service is started with. Every limit has the name of its option beside it, because refusals say it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sam2unet/segmenter.h"

namespace sam2unet::serve {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

struct ModelFile {
  std::string name;
  std::filesystem::path file;
};

/// A loaded network, as the service needs it. Tests put one in whose time they decide.
class Network {
 public:
  virtual ~Network() = default;
  virtual const SegmenterInfo& info() const = 0;
  virtual std::shared_ptr<const ClassTable> classes() const = 0;
  /// As Segmenter's.
  virtual std::vector<Segmentation> segment(std::span<const ImageView> pictures,
                                            const SegmentOptions& options) const = 0;
  virtual std::vector<float> forward(std::span<const float> values, int count,
                                     const InputSize& size) const = 0;
};
using OpenNetwork = std::function<std::unique_ptr<Network>(const ModelFile&)>;
/// Opens files as Segmenter does.
OpenNetwork open_segmenters(const SegmenterOptions& options);

struct Limits {
  std::size_t connections = 1024;                  ///< --max-connections
  std::size_t header = std::size_t{16} << 10;      ///< --max-header, bytes
  std::size_t upload = std::size_t{32} << 20;      ///< --max-upload, bytes of one body
  std::size_t parts = 1000;                        ///< --max-parts
  std::int64_t pixels = std::int64_t{1} << 26;     ///< --max-pixels, of one picture
  std::int64_t side = 2048;                        ///< --max-size, of the network's input
  std::size_t in_flight = std::size_t{512} << 20;  ///< --max-in-flight, bytes of all bodies and answers
  std::size_t answer = std::size_t{256} << 20;     ///< --max-answer, bytes of one answer of several files
  std::size_t requests = 10000;                    ///< --max-requests, of one connection
  Milliseconds header_time{10'000};                ///< --header-timeout
  Milliseconds body_time{120'000};                 ///< --body-timeout
  Milliseconds write_time{120'000};                ///< --write-timeout
  Milliseconds idle_time{75'000};                  ///< --idle-timeout
};

struct Tls {
  std::filesystem::path certificate, key;  ///< PEM; without them plain HTTP
  bool wanted() const { return !certificate.empty(); }
};

struct Options {
  std::vector<ModelFile> models;  ///< the first is used where a request names none
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;  ///< 0: any free one
  Limits limits;
  std::size_t queue = 64;  ///< --queue, requests that wait
  int batch = 0;           ///< --batch, pictures the network sees at once; 0 is the device's
  Milliseconds batch_delay{5};
  /// Threads that decode, and as many that encode. 0: half of the cores, at most 4, where the network needs
  /// them.
  int workers = 0;
  Milliseconds deadline{30'000};
  Milliseconds drain_time{30'000};  ///< --drain-timeout
  std::filesystem::path token_file;
  std::vector<std::string> cors;   ///< origins that may call from their own pages
  std::vector<std::string> hosts;  ///< names the service is called by, beside addresses and localhost
  Tls tls;
  bool rembg_alias = false;
  bool handle_signals = false;  ///< SIGTERM and SIGINT drain, SIGHUP loads again
  OpenNetwork open;
  /// One line of the access log, without its end; from the service's own thread.
  std::function<void(const std::string&)> access;
  /// What its owner should know: listening, loaded, reloaded, warnings.
  std::function<void(const std::string&)> say;
};

}  // namespace sam2unet::serve
