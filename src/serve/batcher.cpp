#include "serve/batcher.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

namespace sam2unet::serve {
namespace {

constexpr std::size_t kAhead = 2;  // decoded pictures beside those of a batch

// Pictures whose results are the same whether they go together or not. A tensor goes alone.
bool compatible(const Task& a, const Task& b) {
  const SegmentOptions &x = a.segment, &y = b.segment;
  if (x.tiles || y.tiles || !x.augmentation.empty() || !y.augmentation.empty())
    return false;  // many passes each
  return !a.tensor && !b.tensor && a.model == b.model && x.size == y.size && x.official == y.official &&
         x.pillow == y.pillow && x.fit == y.fit && x.output == y.output;
}

}  // namespace

std::size_t Batcher::batch_of(const Task& task) const {
  return static_cast<std::size_t>(std::max(1, batch_ == 0 ? task.model->network->info().batch : batch_));
}

void Batcher::put(Ticket ticket) {
  {
    std::unique_lock lock(mutex_);
    const std::size_t room = batch_of(*ticket.task) + kAhead;
    changed_.wait(lock, [&] { return waiting_.size() < room; });
    waiting_.push_back({std::move(ticket), Clock::now()});
  }
  changed_.notify_all();
}

std::vector<Ticket> Batcher::take_compatible(std::size_t most) {
  std::vector<Ticket> out;
  const SharedTask first = waiting_.front().ticket.task;
  for (auto it = waiting_.begin(); it != waiting_.end() && out.size() < most;) {
    if (!out.empty() && !compatible(*first, *it->ticket.task)) {
      ++it;
      continue;
    }
    out.push_back(std::move(it->ticket));
    it = waiting_.erase(it);
  }
  return out;
}

// With the mutex held: nobody else gathers, and the oldest picture's device is not busy yet.
bool Batcher::may_begin() const {
  if (gathering_) return false;
  if (waiting_.empty()) return closed_;
  return computing_ < std::max(1, waiting_.front().ticket.task->model->network->info().in_flight);
}

std::vector<Ticket> Batcher::gather() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return may_begin(); });
  if (waiting_.empty()) return {};
  gathering_ = true;
  const std::size_t most = batch_of(*waiting_.front().ticket.task);
  const auto latest = waiting_.front().since + delay_;
  // One thread at a time takes pictures out, so the front one stays.
  const auto is_full = [&] {
    const Task& first = *waiting_.front().ticket.task;
    const auto fitting = std::count_if(waiting_.begin(), waiting_.end(),
                                       [&](const Waiting& w) { return compatible(first, *w.ticket.task); });
    return closed_ || first.tensor || static_cast<std::size_t>(fitting) >= most;
  };
  if (most > 1) changed_.wait_until(lock, latest, is_full);
  std::vector<Ticket> out = take_compatible(most);
  gathering_ = false;
  ++computing_;
  lock.unlock();
  changed_.notify_all();
  return out;
}

void Batcher::run() {
  for (auto tickets = gather(); !tickets.empty(); tickets = gather()) {
    std::vector<Ticket> wanted;
    for (Ticket& t : tickets) {
      if (!t.task->exchange->abandoned()) {
        wanted.push_back(std::move(t));
        continue;
      }
      t.piece().problem = Problem{499, Refusal::abandoned, "the client left", {}};
      finish(t);
    }
    if (!wanted.empty()) compute(wanted);
    for (Ticket& t : wanted) computed_(std::move(t));
    {
      const std::lock_guard lock(mutex_);
      --computing_;
    }
    changed_.notify_all();
  }
}

void Batcher::compute(std::vector<Ticket>& tickets) {
  if (tickets.size() == 1) return compute_alone(tickets.front());
  try {
    segment(tickets);
  } catch (const std::exception&) {  // which picture it was is told by trying each
    for (const Ticket& t : tickets) compute_alone(t);
  }
}

void Batcher::compute_alone(const Ticket& ticket) {
  try {
    if (!ticket.task->tensor) return segment({&ticket, 1});
    const Stopwatch watch;
    Tensor& tensor = *ticket.task->tensor;
    tensor.logits = ticket.task->model->network->forward(tensor.values, tensor.count, tensor.size);
    tensor.values = {};
    const double seconds = watch.seconds();
    ticket.piece().seconds[static_cast<std::size_t>(Stage::compute)] = seconds;
    metrics_.stage(Stage::compute).observe(seconds);
    metrics_.batches.fetch_add(1);
  } catch (...) {
    ticket.piece().problem = problem_of(std::current_exception());
  }
}

void Batcher::segment(std::span<const Ticket> tickets) {
  const Stopwatch watch;
  const Task& first = *tickets.front().task;
  std::vector<ImageView> pictures;
  for (const Ticket& t : tickets) pictures.push_back(t.piece().pixels);
  SegmentOptions options = first.segment;
  options.batch = static_cast<int>(tickets.size());
  auto results = first.model->network->segment(pictures, options);
  const double each = watch.seconds() / static_cast<double>(tickets.size());
  for (std::size_t i = 0; i < tickets.size(); ++i) {
    tickets[i].piece().result = std::move(results[i]);
    tickets[i].piece().seconds[static_cast<std::size_t>(Stage::compute)] = each;
    metrics_.stage(Stage::compute).observe(each);
  }
  metrics_.batches.fetch_add(1);
}

void Batcher::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

}  // namespace sam2unet::serve
