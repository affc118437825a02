#include "serve/queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace sam2unet::serve {
namespace {

Problem left_problem() {
  return {499, Refusal::abandoned, "the client left", {}};
}

}  // namespace

bool FairQueue::push(const SharedTask& task) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || size_ >= capacity_) return false;
    task->left.store(task->pieces.size());
    auto line =
        std::find_if(lines_.begin(), lines_.end(), [&](const Line& l) { return l.client == task->client; });
    if (line == lines_.end()) line = lines_.insert(lines_.end(), Line{task->client, {}});
    line->tasks.push_back(task);
    ++size_;
  }
  filled_.notify_all();
  return true;
}

std::optional<Ticket> FairQueue::pop() {
  std::unique_lock lock(mutex_);
  filled_.wait(lock, [&] { return closed_ || size_ > 0; });
  if (size_ == 0) return std::nullopt;
  Line& line = lines_.front();
  SharedTask task = std::move(line.tasks.front());
  line.tasks.pop_front();
  Ticket ticket{task, task->next++};
  if (task->next < task->pieces.size())
    line.tasks.push_back(std::move(task));
  else
    --size_;
  if (line.tasks.empty())
    lines_.pop_front();
  else
    lines_.splice(lines_.end(), lines_, lines_.begin());
  return ticket;
}

template <typename Why>
std::vector<FairQueue::Removed> FairQueue::remove(Why&& why) {
  std::vector<Removed> removed;
  for (auto line = lines_.begin(); line != lines_.end();) {
    auto& tasks = line->tasks;
    for (auto it = tasks.begin(); it != tasks.end();) {
      std::optional<Problem> problem = why(**it);
      if (!problem) {
        ++it;
        continue;
      }
      removed.push_back({*it, (*it)->next, std::move(*problem)});
      it = tasks.erase(it);
      --size_;
    }
    line = tasks.empty() ? lines_.erase(line) : std::next(line);
  }
  return removed;
}

// Not under the lock: `done` of a task may do much.
void FairQueue::fail(std::vector<Removed>& removed) {
  for (Removed& r : removed) fail_rest(r.task, r.first, r.problem);
}

void FairQueue::sweep(Clock::time_point now) {
  std::vector<Removed> removed;
  {
    const std::lock_guard lock(mutex_);
    removed = remove([&](const Task& t) -> std::optional<Problem> {
      if (t.exchange->abandoned()) return left_problem();
      if (t.next > 0 || now < t.deadline) return std::nullopt;
      const double limit = std::chrono::duration<double>(t.deadline - t.accepted).count();
      return Problem{504,
                     Refusal::deadline,
                     fmt::format("it waited longer than {:g} s (--deadline); try again later", limit),
                     {}};
    });
  }
  fail(removed);
}

void FairQueue::drop_all() {
  std::vector<Removed> removed;
  {
    const std::lock_guard lock(mutex_);
    removed = remove([](const Task&) { return std::optional(left_problem()); });
  }
  fail(removed);
}

void FairQueue::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  filled_.notify_all();
}

std::size_t FairQueue::size() const {
  const std::lock_guard lock(mutex_);
  return size_;
}

}  // namespace sam2unet::serve
