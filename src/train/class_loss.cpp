#include "train/class_loss.h"

#include <ATen/ATen.h>

namespace sam2unet::train {
namespace {

// What all outputs of a batch share.
struct ClassTarget {
  at::Tensor is_class;  // [B,K,H,W] bool: the pixel has that id and is not ignored
  at::Tensor counts;    // [B,1,H,W] bool: not ignored
  at::Tensor pixels;    // [K] float64, of each class
  at::Tensor all;       // float64: sum of these
};

ClassTarget target_of(const at::Tensor& ids_nhwc, std::int64_t classes, int ignore) {
  const at::Tensor ids = ids_nhwc.permute({0, 3, 1, 2}).to(at::kLong);  // [B,1,H,W]
  const at::Tensor each = at::arange(classes, ids.options()).view({1, classes, 1, 1});
  ClassTarget t;
  t.counts = ids != ignore;
  t.is_class = ids == each;
  t.pixels = t.is_class.sum({0, 2, 3}).to(at::kDouble);
  t.all = t.pixels.sum();
  return t;
}

at::Tensor loss_of(const at::Tensor& logits_nhwc, const ClassTarget& t) {
  // [B,K,H,W]; losses of bf16 networks are computed in float32, sums in float64 (loss.cpp says why).
  const at::Tensor logits = logits_nhwc.permute({0, 3, 1, 2})
                                .to(logits_nhwc.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const at::Tensor log_p = at::log_softmax(logits, 1), p = log_p.exp(),
                   none = at::zeros({}, logits.options());
  const auto per_class = [](const at::Tensor& v) {
    return v.sum({0, 2, 3}, /*keepdim=*/false, at::kDouble);
  };  // [K]
  const at::Tensor entropy = -per_class(at::where(t.is_class, log_p, none)).sum() / t.all.clamp_min(1);

  const at::Tensor both = per_class(at::where(t.is_class, p, none)),
                   mass = per_class(at::where(t.counts, p, none));
  const at::Tensor overlap = ((2 * both + 1) / (mass + t.pixels + 1)).slice(0, 1);           // [K - 1]
  const at::Tensor present = (t.pixels.slice(0, 1) > 0).to(at::kDouble), n = present.sum();  // foreground
  const at::Tensor dice = (n > 0).to(at::kDouble) - (overlap * present).sum() / n.clamp_min(1);
  return entropy + dice;
}

}  // namespace

at::Tensor class_loss(const at::Tensor& logits, const at::Tensor& ids, int ignore) {
  return loss_of(logits, target_of(ids, logits.size(3), ignore));
}

Losses class_losses(const model::Maps<at::Tensor>& maps, const at::Tensor& ids, int ignore) {
  const ClassTarget target = target_of(ids, maps.out.size(3), ignore);
  Losses l{{}, loss_of(maps.out, target), loss_of(*maps.out1, target), loss_of(*maps.out2, target)};
  l.total = l.out + l.out1 + l.out2;
  return l;
}

}  // namespace sam2unet::train
