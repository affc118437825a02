// A service in this process, with a network whose time the test decides.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "client.h"
#include "sam2unet/cores.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "serve/server.h"
#include "support/pictures.h"

namespace sam2unet::test {

/// Lets pictures through one by one, or all; remembers which came, by their widths.
class Gate {
 public:
  void open() { let(1'000'000); }
  void let(int n) {
    {
      const std::lock_guard lock(mutex_);
      permits_ += n;
    }
    changed_.notify_all();
  }
  void pass(std::span<const ImageView> pictures) {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return permits_ > 0; });
    --permits_;
    std::vector<int> batch;
    for (const ImageView& p : pictures) batch.push_back(p.width);
    batches_.push_back(batch);
    changed_.notify_all();
  }
  /// Waits until so many batches stand or stood at the gate.
  void wait_for(int n) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= n; });
  }
  std::vector<std::vector<int>> batches() {
    const std::lock_guard lock(mutex_);
    return batches_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int permits_ = 0, arrived_ = 0;
  std::vector<std::vector<int>> batches_;
};

/// Its map is 1 in the left half and 0 in the right one.
class HalfNetwork final : public serve::Network {
 public:
  explicit HalfNetwork(std::shared_ptr<Gate> gate, int batch = 1, int in_flight = 1)
      : gate_(std::move(gate)) {
    info_.batch = batch;
    info_.in_flight = in_flight;
    info_.variant = "t";
    info_.device = "cpu";
  }
  const SegmenterInfo& info() const override { return info_; }
  std::shared_ptr<const ClassTable> classes() const override { return nullptr; }
  std::vector<Segmentation> segment(std::span<const ImageView> pictures,
                                    const SegmentOptions& options) const override {
    gate_->pass(pictures);
    std::vector<Segmentation> out;
    for (const ImageView& p : pictures) {
      Segmentation s;
      s.width = p.width;
      s.height = p.height;
      s.official = options.official;
      s.probabilities.resize(static_cast<std::size_t>(p.width) * static_cast<std::size_t>(p.height));
      for (std::size_t i = 0; i < s.probabilities.size(); ++i)
        s.probabilities[i] = static_cast<int>(i) % p.width < p.width / 2 ? 1.0F : 0.0F;
      out.push_back(std::move(s));
    }
    return out;
  }
  std::vector<float> forward(std::span<const float> values, int count, const InputSize& size) const override {
    std::vector<float> out(static_cast<std::size_t>(count) * static_cast<std::size_t>(size.width) *
                           static_cast<std::size_t>(size.height));
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = values[i] + 1.0F;  // of the first plane
    return out;
  }

 private:
  std::shared_ptr<Gate> gate_;
  SegmenterInfo info_;
};

inline std::string png(int width = 8, int height = 6) {
  const auto bytes = encode_png(picture(width, height, 3));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline serve::Options half_options(const std::shared_ptr<Gate>& gate, int batch = 1, int in_flight = 1) {
  serve::Options o;
  o.port = 0;
  o.models = {{"half", "half.safetensors"}};
  o.open = [=](const serve::ModelFile&) { return std::make_unique<HalfNetwork>(gate, batch, in_flight); };
  return o;
}

/// Keeps the model of `options` from being loaded until the gate that it gives is opened.
inline std::shared_ptr<Gate> hold_back(serve::Options& options, const std::shared_ptr<Gate>& gate) {
  auto hold = std::make_shared<Gate>();
  options.open = [gate, hold](const serve::ModelFile&) {
    hold->pass({});
    return std::make_unique<HalfNetwork>(gate);
  };
  return hold;
}

class Running {
 public:
  /// Opens the gate at its end, so that what a failed test left there does not keep it.
  Running(serve::Options options, std::shared_ptr<Gate> gate) : gate_(std::move(gate)) {
    auto inner = options.access;
    options.access = [this, inner](const std::string& line) {
      const std::lock_guard lock(mutex_);
      log_.push_back(line);
    };
    options.say = [this](const std::string& line) {
      {
        const std::lock_guard lock(mutex_);
        said_.push_back(line);
      }
      changed_.notify_all();
    };
    server_ = std::make_unique<serve::Server>(std::move(options));
    thread_ = std::thread([this] {
      try {
        server_->run();
      } catch (const std::exception& e) {
        failure_ = e.what();
      }
      const std::lock_guard lock(mutex_);
      ended_ = true;
      changed_.notify_all();
    });
  }
  ~Running() {
    if (gate_) gate_->open();
    server_->drain();
    thread_.join();
    server_.reset();  // its threads may still speak
  }
  std::uint16_t port() const { return server_->port(); }
  serve::Server& server() { return *server_; }
  /// Waits for a word to its owner that begins so.
  void wait_for(const std::string& beginning, int times = 1) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      int n = 0;
      for (const auto& s : said_) n += s.starts_with(beginning) ? 1 : 0;
      return n >= times || ended_;
    });
  }
  void wait_until_ended() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_; });
  }
  std::vector<std::string> log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  std::string said() {
    const std::lock_guard lock(mutex_);
    std::string out;
    for (const auto& s : said_) out += s + "\n";
    return out;
  }
  Answer ask(std::string_view method, std::string_view target, std::string_view headers = "",
             std::string_view body = "") {
    Client c(port());
    c.send(request(method, target, headers, body));
    return c.read(method == "HEAD");
  }
  /// Waits until a request of many pictures stands wherever pictures stand while the gate is closed: at it,
  /// decoded before it, and in the hands of who decodes. How many that are.
  int fill() {
    const int workers = std::clamp(available_cores() / 2, 1, 4);
    const int all = 1 + 3 + workers;
    EXPECT_TRUE(sees("sam2unet_stage_seconds_count{stage=\"decode\"} " + std::to_string(all)));
    return all;
  }
  /// Asks /metrics until a line is there; false after a minute.
  bool sees(const std::string& line) {
    for (int i = 0; i < 1200; ++i) {
      if (ask("GET", "/metrics").body.find(line + "\n") != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }

 private:
  std::shared_ptr<Gate> gate_;
  std::unique_ptr<serve::Server> server_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> log_, said_;
  std::string failure_;
  bool ended_ = false;
};

}  // namespace sam2unet::test
