#include "pipeline.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "sam2unet/errors.h"

namespace sam2unet::cli {
namespace {

// What a picture is taken for before any was decoded: 5 megapixels.
constexpr std::size_t kUsualBytes = std::size_t{16} << 20;

// What the text of an error of the library's own names: the picture, where its file is what is wrong.
enum class ErrorNames { picture, nothing };

// Of the exception that is being handled, what became of the picture.
Outcome failed(const Input& input, ErrorNames names, double seconds) {
  std::string error;
  try {
    throw;
  } catch (const std::bad_alloc&) {
    error = "not enough memory for " + input.name() + "; make it smaller first";
  } catch (const Error& e) {
    error = names == ErrorNames::picture ? e.what() : input.name() + ": " + e.what();
  } catch (const std::exception& e) {
    error = input.name() + ": " + e.what();
  }
  return {error, {}, {}, seconds};
}

}  // namespace

Pipeline::Pipeline(std::vector<Input> inputs, Stages stages, std::size_t workers, Room room)
    : inputs_(std::move(inputs)),
      stages_(std::move(stages)),
      workers_(std::min(std::max<std::size_t>(workers, 1), std::max<std::size_t>(inputs_.size(), 1))),
      room_(room) {}

void Pipeline::run() {
  stages_.expect(static_cast<int>(workers_));  // before the first comes
  {
    std::vector<std::jthread> crew;
    for (std::size_t i = 0; i < workers_; ++i) {
      try {
        crew.emplace_back([this] { work(); });
      } catch (const std::system_error&) {  // the system allows no more threads: fewer do
        stages_.expect(-static_cast<int>(workers_ - i));
        if (crew.empty()) throw;
        break;
      }
    }
  }
  if (failure_) std::rethrow_exception(failure_);
}

void Pipeline::work() {
  bool has_more = true;
  while (has_more && !stopped()) {
    enter();
    const std::size_t index = stopped() ? inputs_.size() : next_.fetch_add(1);
    has_more = index < inputs_.size();
    std::size_t bytes = 0;
    if (has_more) {
      if (auto outcome = outcome_of(index, bytes)) finish(index, std::move(*outcome));
    } else {
      take(0);
    }
    leave(bytes);
  }
  stages_.expect(-1);
}

// None if the run ends with this picture. `bytes` is what it took of the room.
std::optional<Outcome> Pipeline::outcome_of(std::size_t index, std::size_t& bytes) {
  Picture picture;
  picture.input = std::move(inputs_[index]);
  const auto start = std::chrono::steady_clock::now();
  const auto spent = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  try {
    stages_.decode(picture);
  } catch (...) {
    take(0);
    return failed(picture.input, ErrorNames::picture, spent());
  }
  picture.seconds = spent();
  picture.input.bytes = {};
  bytes = picture.pixels.pixels.size();
  take(bytes);
  try {
    stages_.segment(picture, index);
  } catch (...) {
    return failed(picture.input, ErrorNames::nothing, picture.seconds);
  }
  try {
    return stages_.deliver(picture, index);
  } catch (...) {
    abort(std::current_exception());
    return std::nullopt;
  }
}

void Pipeline::finish(std::size_t index, Outcome outcome) {
  const std::lock_guard lock(mutex_);
  waiting_.emplace(index, std::move(outcome));
  for (auto it = waiting_.find(reported_); it != waiting_.end() && !failure_; it = waiting_.find(reported_)) {
    try {
      stages_.report(it->second);
    } catch (...) {
      failure_ = std::current_exception();
      stop();
    }
    waiting_.erase(it);
    ++reported_;
  }
}

void Pipeline::abort(std::exception_ptr failure) {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::move(failure);
  stop();
}

// With the mutex of the room held: whether one more fits, taken for as large as those before.
bool Pipeline::has_room() const {
  const std::size_t each = seen_ == 0 ? kUsualBytes : seen_bytes_ / seen_;
  return underway_ < room_.few || bytes_ + (undecoded_ + 1) * each < room_.bytes;
}

// Who waits for room does not come to the network meanwhile: what gathers there must not wait for it.
void Pipeline::enter() {
  std::unique_lock lock(room_mutex_);
  if (!has_room()) {
    stages_.expect(-1);
    room_changed_.wait(lock, [&] { return has_room(); });
    stages_.expect(1);
  }
  ++underway_;
  ++undecoded_;
}

void Pipeline::take(std::size_t bytes) {
  {
    const std::lock_guard lock(room_mutex_);
    --undecoded_;
    bytes_ += bytes;
    seen_bytes_ += bytes;
    if (bytes > 0) ++seen_;
  }
  room_changed_.notify_all();
}

void Pipeline::leave(std::size_t bytes) {
  {
    const std::lock_guard lock(room_mutex_);
    --underway_;
    bytes_ -= bytes;
  }
  room_changed_.notify_all();
}

}  // namespace sam2unet::cli
