#include "batcher.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace sam2unet::cli {
namespace {

// Where nobody says how many callers there are, a batch for a device is complete when none came for so long:
// about a pass, and several decoders bring pictures more often.
constexpr std::chrono::milliseconds kQuiet{20};
// Of whatever a device says.
constexpr int kMostLanes = 16;

}  // namespace

Batcher::Batcher(const Segmenter& segmenter, const SegmentOptions& options, std::size_t batch)
    : segmenter_(segmenter), options_(options), batch_(std::max<std::size_t>(1, batch)) {
  options_.batch = static_cast<int>(batch_);
  const std::lock_guard lock(mutex_);  // they look at how many they are
  const int lanes = std::clamp(segmenter.info().in_flight, 1, kMostLanes);
  for (int i = 0; i < lanes; ++i) lanes_.emplace_back([this] { run_lane(); });
}

Batcher::~Batcher() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  came_.notify_all();
  for (auto& t : lanes_) t.join();
}

Segmentation Batcher::segment(const ImageView& picture, double* seconds) {
  Request own;
  own.picture = picture;
  wait_for(own);
  if (seconds != nullptr) *seconds += own.seconds;
  return std::move(own.result);
}

void Batcher::run(const std::function<void()>& work, double* seconds) {
  Request own;
  own.work = &work;
  wait_for(own);
  if (seconds != nullptr) *seconds += own.seconds;
}

void Batcher::expect(int callers) {
  {
    const std::lock_guard lock(mutex_);
    callers_ += callers;
  }
  came_.notify_all();
}

void Batcher::wait_for(Request& request) {
  std::unique_lock lock(mutex_);
  waiting_.push_back(&request);
  came_.notify_all();
  done_.wait(lock, [&] { return request.done; });
  if (request.failure) std::rethrow_exception(request.failure);
}

// With the mutex held: no more pictures fit, or none can come before one of those that are computed is done.
bool Batcher::is_full() const {
  if (closed_ || waiting_.size() >= batch_) return true;
  return callers_ > 0 && waiting_.size() + computing_ >= static_cast<std::size_t>(callers_);
}

// Nothing once closed and empty. One lane gathers at a time, so that two do not share what would be one
// batch.
std::vector<Batcher::Request*> Batcher::gather() {
  std::unique_lock lock(mutex_);
  came_.wait(lock, [&] { return !gathering_ && (closed_ || !waiting_.empty()); });
  gathering_ = true;
  while (!is_full()) {
    const std::size_t before = waiting_.size();
    if (callers_ > 0) {
      came_.wait(lock);
    } else if (lanes_.size() == 1 ||  // the processor: what waits meanwhile is the next batch
               !came_.wait_for(lock, kQuiet, [&] { return closed_ || waiting_.size() != before; })) {
      break;
    }
  }
  const auto n = static_cast<std::ptrdiff_t>(std::min(batch_, waiting_.size()));
  std::vector<Request*> out(waiting_.begin(), waiting_.begin() + n);
  waiting_.erase(waiting_.begin(), waiting_.begin() + n);
  computing_ += out.size();
  gathering_ = false;
  came_.notify_all();  // another lane may gather
  return out;
}

void Batcher::run_lane() {
  for (auto requests = gather(); !requests.empty(); requests = gather()) {
    const auto start = std::chrono::steady_clock::now();
    compute(requests);
    const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    {
      const std::lock_guard lock(mutex_);
      seconds_ += spent;
      pictures_ += requests.size();
      computing_ -= requests.size();
      for (Request* r : requests) {
        r->seconds = spent / static_cast<double>(requests.size());
        r->done = true;
      }
    }
    done_.notify_all();
    came_.notify_all();
  }
}

void Batcher::compute(std::span<Request* const> requests) {
  try {
    compute_together(requests);
    return;
  } catch (...) {
    if (requests.size() == 1) {
      requests.front()->failure = std::current_exception();
      return;
    }
  }
  for (Request* const& r : requests) compute({&r, 1});  // which one it was is told by trying each
}

void Batcher::compute_together(std::span<Request* const> requests) {
  std::vector<ImageView> pictures;
  for (const Request* r : requests) {
    if (r->work != nullptr)
      (*r->work)();
    else
      pictures.push_back(r->picture);
  }
  if (pictures.empty()) return;
  auto results = segmenter_.segment(pictures, options_);
  std::size_t next = 0;
  for (Request* r : requests)
    if (r->work == nullptr) r->result = std::move(results[next++]);
}

double Batcher::seconds() const {
  const std::lock_guard lock(mutex_);
  return seconds_;
}

std::size_t Batcher::pictures() const {
  const std::lock_guard lock(mutex_);
  return pictures_;
}

}  // namespace sam2unet::cli
