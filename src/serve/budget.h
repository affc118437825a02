// Bytes that requests may hold together.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace sam2unet::serve {

class Budget {
 public:
  explicit Budget(std::size_t limit) : limit_(limit) {}

  /// A share of it, which comes back by itself. May be held longer than the budget's other users, not longer
  /// than the budget.
  class Lease {
   public:
    Lease() = default;
    explicit Lease(Budget& budget) : budget_(&budget) {}
    ~Lease() { release(); }
    Lease(Lease&& other) noexcept : budget_(other.budget_), bytes_(std::exchange(other.bytes_, 0)) {}
    Lease& operator=(Lease&& other) noexcept {
      release();
      budget_ = other.budget_;
      bytes_ = std::exchange(other.bytes_, 0);
      return *this;
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    /// False, and nothing changes, if that many more are not to be had.
    bool grow(std::size_t bytes) {
      if (budget_ == nullptr || !budget_->take(bytes)) return false;
      bytes_ += bytes;
      return true;
    }
    void release() {
      if (budget_ != nullptr) budget_->used_.fetch_sub(std::exchange(bytes_, 0));
    }

   private:
    Budget* budget_ = nullptr;
    std::size_t bytes_ = 0;
  };

  bool has_room(std::size_t bytes) const { return bytes <= limit_ && used_.load() <= limit_ - bytes; }
  std::size_t used() const { return used_.load(); }
  std::size_t limit() const { return limit_; }

 private:
  bool take(std::size_t bytes) {
    std::size_t used = used_.load();
    do {
      if (bytes > limit_ || used > limit_ - bytes) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes));
    return true;
  }

  const std::size_t limit_;
  std::atomic<std::size_t> used_{0};
};

}  // namespace sam2unet::serve
