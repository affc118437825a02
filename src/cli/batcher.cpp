#include "batcher.h"

#include <algorithm>
#include <chrono>

namespace sam2unet::cli {

Segmentation Batcher::segment(const ImageView& picture) {
  Request own{picture, {}, nullptr, false};
  std::unique_lock lock(mutex_);
  waiting_.push_back(&own);
  while (true) {
    changed_.wait(lock, [&] { return own.done || !busy_; });
    if (own.done) break;
    // First come, first served: that may leave this one for the next batch.
    busy_ = true;
    std::vector<Request*> requests;
    const std::size_t n = std::min(batch_, waiting_.size());
    requests.assign(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(n));
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(n));
    lock.unlock();
    const auto start = std::chrono::steady_clock::now();
    run(requests);
    lock.lock();
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    pictures_ += requests.size();
    for (Request* r : requests) r->done = true;
    busy_ = false;
    changed_.notify_all();
  }
  if (own.failure) std::rethrow_exception(own.failure);
  return std::move(own.result);
}

double Batcher::seconds() const {
  const std::lock_guard lock(mutex_);
  return seconds_;
}

std::size_t Batcher::pictures() const {
  const std::lock_guard lock(mutex_);
  return pictures_;
}

void Batcher::run(std::vector<Request*>& requests) {
  try {
    std::vector<ImageView> pictures;
    for (const Request* r : requests) pictures.push_back(r->picture);
    auto results = segmenter_.segment(pictures, options_);
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i]->result = std::move(results[i]);
  } catch (...) {
    if (requests.size() == 1) {
      requests.front()->failure = std::current_exception();
      return;
    }
    for (Request* r : requests) {  // which one it was is told by trying each
      try {
        r->result = segmenter_.segment(r->picture, options_);
      } catch (...) {
        r->failure = std::current_exception();
      }
    }
  }
}

}  // namespace sam2unet::cli
