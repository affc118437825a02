#include "train/reducer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <algorithm>
#include <memory>

namespace sam2unet::train {
namespace {
constexpr std::size_t kFirstBucketBytes = 1U << 20;
}

struct GradientReducer::Hook : torch::autograd::PostAccumulateGradHook {
  Hook(GradientReducer& r, std::size_t b, std::size_t m) : reducer(r), bucket(b), member(m) {}
  void operator()(const at::Tensor&) override { reducer.ready(bucket, member); }
  GradientReducer& reducer;
  std::size_t bucket, member;
};

GradientReducer::GradientReducer(const std::vector<AdamW::Slot>& slots, Group& group,
                                 std::size_t bucket_bytes)
    : group_(group) {
  if (group_.is_alone()) return;
  std::vector<std::int64_t> sizes;
  for (std::size_t i = slots.size(); i-- > 0;) {
    const at::Tensor& p = slots[i].parameter;
    // The first is small, so that sending begins soon.
    const std::size_t limit = sizes.size() == 1 ? std::min(bucket_bytes, kFirstBucketBytes) : bucket_bytes;
    const bool is_full = sizes.empty() || static_cast<std::size_t>(sizes.back()) * p.element_size() >= limit;
    if (is_full) {
      buckets_.emplace_back();
      sizes.push_back(0);
    }
    buckets_.back().members.push_back({p, {}});
    sizes.back() += p.numel();
  }
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    auto& bucket = buckets_[b];
    bucket.flat = at::zeros({sizes[b]}, bucket.members.front().parameter.options().requires_grad(false));
    std::int64_t at = 0;
    for (std::size_t m = 0; m < bucket.members.size(); ++m) {
      auto& member = bucket.members[m];
      member.part = bucket.flat.narrow(0, at, member.parameter.numel()).view(member.parameter.sizes());
      at += member.parameter.numel();
      torch::autograd::impl::set_post_acc_grad_hooks(member.parameter, std::make_unique<Hook>(*this, b, m));
    }
  }
}

GradientReducer::~GradientReducer() {
  for (auto& bucket : buckets_) {
    for (auto& m : bucket.members) torch::autograd::impl::set_post_acc_grad_hooks(m.parameter, nullptr);
  }
}

void GradientReducer::start() {
  is_last_pass_ = true;
  sent_ = 0;
  for (auto& bucket : buckets_) {
    bucket.ready = 0;
    for (auto& m : bucket.members) m.is_ready = false;
  }
}

void GradientReducer::ready(std::size_t b, std::size_t m) {
  if (!is_last_pass_) return;
  const c10::NoGradGuard no_gradients;
  auto& bucket = buckets_[b];
  auto& member = bucket.members[m];
  member.part.copy_(member.parameter.grad());
  member.is_ready = true;
  ++bucket.ready;
  while (sent_ < buckets_.size() && buckets_[sent_].ready == buckets_[sent_].members.size()) {
    send(buckets_[sent_++]);
  }
}

void GradientReducer::send(Bucket& bucket) {
  bucket.wait = group_.start_sum(bucket.flat);
}

void GradientReducer::finish() {
  const c10::NoGradGuard no_gradients;
  is_last_pass_ = false;
  for (; sent_ < buckets_.size(); ++sent_) {  // what this process had no gradient for
    for (auto& m : buckets_[sent_].members) {
      if (!m.is_ready) m.part.zero_();
    }
    send(buckets_[sent_]);
  }
  for (auto& bucket : buckets_) {
    bucket.wait();
    for (auto& m : bucket.members) m.parameter.mutable_grad() = m.part;
  }
}

}  // namespace sam2unet::train
