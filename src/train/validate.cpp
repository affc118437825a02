#include "train/validate.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <future>
#include <limits>
#include <mutex>
#include <set>
#include <thread>

#include "data/class_colors.h"
#include "image/placement.h"
#include "image/sample_kernels.h"
#include "metrics/accumulate.h"
#include "metrics/class_counts.h"
#include "metrics/scorer.h"

namespace sam2unet::train {
namespace {

constexpr std::size_t kRowsKept = 8;
constexpr int kPanelSide = 640;  // of a picture that is kept, which is to be looked at

// Threads that take work in the order in which it was given.
class Workers {
 public:
  explicit Workers(int n) {
    for (int i = 0; i < std::max(1, n); ++i) threads_.emplace_back([this] { run(); });
  }
  ~Workers() {
    const std::lock_guard lock(mutex_);
    stops_ = true;
    changed_.notify_all();
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  template <class F>
  auto start(F f) {
    auto task = std::make_shared<std::packaged_task<decltype(f())()>>(std::move(f));
    auto result = task->get_future();
    const std::lock_guard lock(mutex_);
    waiting_.emplace_back([task] { (*task)(); });
    changed_.notify_one();
    return result;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stops_ || !waiting_.empty(); });
      if (stops_) return;
      const auto work = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      work();
      lock.lock();
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool stops_ = false;
  std::vector<std::jthread> threads_;
};

struct Prepared {
  std::vector<float> image;  // [S,S,3]
  image::Placement placement;
  Image truth;
};

// As `predict` does it, but for EXIF orientation, which training does not look at.
Prepared prepare(const Pair& pair, const ValidationOptions& o) {
  DecodeOptions as_stored;
  as_stored.apply_exif_orientation = false;
  const Image picture = read_image(pair.image, as_stored);
  Prepared out;
  out.placement = image::place(picture, InputSize::square(o.size), o.fit);
  Image input;
  image::Preparer().prepare(picture, out.placement, PillowVersion::v12, input);
  out.image.resize(input.pixels.size());
  image::normalise_rgb(input.pixels.data(), input.pixels.size() / 3, out.image.data());
  out.truth = o.classes != nullptr ? read_class_mask(pair.mask, *o.classes) : read_mask(pair);
  return out;
}

// The logits under the picture, [1,h,w,K] of [1,S,S,K].
at::Tensor under_picture(const at::Tensor& logits, const image::Placement& p) {
  return logits.slice(1, p.y, p.y + p.height).slice(2, p.x, p.x + p.width);
}

// Probabilities at the given size, rounded to 8 bits.
Image to_gray(const at::Tensor& logits, int width, int height) {  // [1,S,S,1]
  const at::Tensor p =
      at::sigmoid(at::upsample_bilinear2d(logits.permute({0, 3, 1, 2}).to(at::kFloat), {height, width},
                                          /*align_corners=*/false));
  const at::Tensor bytes = (p * 255).round().to(at::kByte).contiguous();
  Image out(width, height, 1);
  std::copy_n(bytes.const_data_ptr<std::uint8_t>(), out.pixels.size(), out.pixels.begin());
  return out;
}

// The class of the largest logit at the given size. Class by class, so that memory is that of two maps.
Image to_ids(const at::Tensor& logits, int width, int height) {  // [1,S,S,K]
  at::Tensor best, ids = at::zeros({height, width}, at::kByte);
  for (std::int64_t c = 0; c < logits.size(3); ++c) {
    const at::Tensor one = logits.slice(3, c, c + 1).permute({0, 3, 1, 2}).to(at::kFloat).contiguous();
    const at::Tensor map =
        at::upsample_bilinear2d(one, {height, width}, /*align_corners=*/false).view({height, width});
    if (c == 0) {
      best = map;
      continue;
    }
    const at::Tensor is_larger = map > best;
    best = at::maximum(best, map);
    ids.masked_fill_(is_larger, c);
  }
  Image out(width, height, 1);
  std::copy_n(ids.const_data_ptr<std::uint8_t>(), out.pixels.size(), out.pixels.begin());
  return out;
}

// Ids as the palette's colours, other maps as gray.
Image shown(const Image& map, const ClassTable* classes, int width, int height) {
  if (classes == nullptr) {
    return convert_color(resize_pillow(map, width, height, ResizeFilter::bilinear), ColorMode::rgb);
  }
  return data::class_colors(resize_nearest(map, width, height), *classes);
}

Image side_by_side(const Pair& pair, const Image& truth, const Image& map, const ClassTable* classes) {
  DecodeOptions rgb;
  rgb.apply_exif_orientation = false;
  Image picture = read_image(pair.image, rgb);
  const double scale =
      std::min(1.0, static_cast<double>(kPanelSide) / std::max(picture.width, picture.height));
  const int w = std::max(1, static_cast<int>(picture.width * scale));
  const int h = std::max(1, static_cast<int>(picture.height * scale));
  if (w != picture.width || h != picture.height)
    picture = resize_pillow(picture, w, h, ResizeFilter::bilinear);
  const Image t = shown(truth, classes, w, h), m = shown(map, classes, w, h);
  Image row(3 * w, h, 3);
  for (int y = 0; y < h; ++y) {
    std::copy_n(picture.row(y), 3 * w, row.row(y));
    std::copy_n(t.row(y), 3 * w, row.row(y) + 3 * w);
    std::copy_n(m.row(y), 3 * w, row.row(y) + 6 * w);
  }
  return row;
}

// The row of metrics/accumulate.h: sums of them hold every value of the data set.
std::vector<double> score(const Image& map, const Image& truth) {
  metrics::Scorer scorer(metrics::kClassicSet);
  std::vector<double> row(metrics::row_size());
  metrics::fill_row(scorer.score(map, truth), row);
  return row;
}

// Which of `count` pictures are kept: the same after every epoch and in every run on these pictures, so that
// maps can be compared, and not the first ones, which often are alike.
std::set<std::size_t> rows_kept(std::size_t count) {
  Random random(/*seed=*/0, /*stream=*/0, kRowsKept);
  std::set<std::size_t> kept;
  while (kept.size() < std::min(count, kRowsKept)) kept.insert(random.below(count));
  return kept;
}

// Who was taken for whom, [K, K + 1]: sums of them hold every value of the data set too.
std::vector<double> score_classes(const Image& map, const Image& truth, const ClassTable& classes) {
  metrics::ClassConfusion confusion(classes.size());
  confusion.add(map, truth, classes.ignore);
  return {confusion.counts().begin(), confusion.counts().end()};
}

Values class_values_of(const std::vector<double>& confusion, const ClassTable& classes) {
  const std::size_t k = classes.classes.size();
  std::vector<metrics::ClassArea> areas(k);
  for (std::size_t truth = 0; truth < k; ++truth) {
    for (std::size_t map = 0; map <= k; ++map) {
      const auto pixels = static_cast<std::int64_t>(confusion[truth * (k + 1) + map]);
      areas[truth].truth += pixels;
      if (map < k) areas[map].predicted += pixels;
      if (map == truth) areas[truth].both = pixels;
    }
  }
  Values out;
  for (const metrics::Value& v : metrics::class_means(areas)) out.emplace_back(v.key, v.value);
  for (std::size_t c = 0; c < k; ++c) {
    out.emplace_back("IoU." + classes.classes[c].name, metrics::ratios_of(areas[c]).iou);
  }
  return out;
}

void add(std::vector<double>& sum, const std::vector<double>& row) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += row[i];
}

}  // namespace

double Validation::value(const std::string& key) const {
  for (const auto& [name, v] : values) {
    if (name == key) return v;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

Validation validate(TrainableNetwork& net, const std::vector<Pair>& pairs, const ValidationOptions& o,
                    Group& group) {
  const c10::NoGradGuard no_gradients;
  std::vector<const Pair*> own;
  for (auto i = static_cast<std::size_t>(group.rank()); i < pairs.size();
       i += static_cast<std::size_t>(group.world()))
    own.push_back(&pairs[i]);
  Validation out;
  const std::size_t k = o.classes == nullptr ? 0 : o.classes->classes.size();
  std::vector<double> sum(o.classes == nullptr ? metrics::row_size() : k * (k + 1), 0.0);
  Workers workers(o.workers);
  std::deque<std::future<Prepared>> decoded;
  std::deque<std::future<std::vector<double>>> scored;
  const auto batch = static_cast<std::size_t>(o.batch);
  const std::size_t ahead = 2 * batch;
  const std::set<std::size_t> kept_rows = rows_kept(own.size());
  std::size_t asked = 0;
  for (std::size_t begin = 0; begin < own.size(); begin += batch) {
    const std::size_t end = std::min(own.size(), begin + batch);
    for (; asked < std::min(own.size(), end + ahead); ++asked) {
      decoded.push_back(workers.start([pair = own[asked], &o] { return prepare(*pair, o); }));
    }
    std::vector<Prepared> pictures;
    std::vector<at::Tensor> inputs;
    for (std::size_t i = begin; i < end; ++i) {
      pictures.push_back(decoded.front().get());
      decoded.pop_front();
      inputs.push_back(at::from_blob(pictures.back().image.data(), {o.size, o.size, 3}, at::kFloat));
    }
    const at::Tensor logits = net.forward_inference(at::stack(inputs).to(o.device, o.type)).to(at::kCPU);
    for (std::size_t i = begin; i < end; ++i) {
      auto& truth = pictures[i - begin].truth;
      const auto at = static_cast<std::int64_t>(i - begin);
      const at::Tensor own_logits = under_picture(logits.slice(0, at, at + 1), pictures[i - begin].placement);
      Image map = o.classes == nullptr ? to_gray(own_logits, truth.width, truth.height)
                                       : to_ids(own_logits, truth.width, truth.height);
      if (kept_rows.contains(i))
        out.rows.push_back({own[i]->image.stem().string(), side_by_side(*own[i], truth, map, o.classes)});
      scored.push_back(workers.start([map = std::move(map), kept = std::move(truth), classes = o.classes] {
        return classes == nullptr ? score(map, kept) : score_classes(map, kept, *classes);
      }));
    }
    for (; scored.size() > ahead; scored.pop_front()) add(sum, scored.front().get());
  }
  for (; !scored.empty(); scored.pop_front()) add(sum, scored.front().get());
  at::Tensor total = at::from_blob(sum.data(), {static_cast<std::int64_t>(sum.size())}, at::kDouble);
  group.sum(total);
  if (o.classes != nullptr) {
    out.values = class_values_of(sum, *o.classes);
    return out;
  }
  const auto values = metrics::values_of(sum);
  const auto& table = metrics::value_table();
  // The groups that are always computed stand first.
  for (std::size_t i = 0; i < table.size() && table[i].key != "HCE"; ++i) {
    if (!std::isnan(values[i])) out.values.emplace_back(table[i].key, values[i]);
  }
  return out;
}

namespace {

std::string class_summary(const Validation& v, const ClassTable& table) {
  std::string out = fmt::format("mIoU {:.4f}, mDice {:.4f}, aAcc {:.4f}; IoU", v.value("mIoU"),
                                v.value("mDice"), v.value("aAcc"));
  constexpr std::size_t kShown = 20;
  for (std::size_t c = 0; c < std::min(kShown, table.classes.size()); ++c) {
    const std::string& name = table.classes[c].name;
    const double iou = v.value("IoU." + name);
    out +=
        fmt::format("{} {} {}", c == 0 ? "" : ",", name, std::isnan(iou) ? "-" : fmt::format("{:.4f}", iou));
  }
  return out + (table.classes.size() > kShown ? " ..." : "");
}

}  // namespace

std::string summary(const Validation& v, const ClassTable* classes, const std::string& criterion) {
  if (classes != nullptr) return class_summary(v, *classes);
  static const std::vector<std::pair<std::string, const char*>> kShown = {{"dice.mean", "mean Dice"},
                                                                          {"iou.mean", "mean IoU"},
                                                                          {"fm.mean", "mean F"},
                                                                          {"E_mean", "mean E"},
                                                                          {"wF", "weighted F"},
                                                                          {"S", "S"},
                                                                          {"MAE", "MAE"}};
  std::string first, rest;
  for (const auto& [key, name] : kShown) {
    if (key == criterion) {
      first = fmt::format("{} {:.4f}", name, v.value(key));
    } else if (key == "dice.mean" || key == "wF" || key == "S" || key == "MAE") {
      rest += fmt::format(", {} {:.4f}", name, v.value(key));
    }
  }
  return first + rest;
}

}  // namespace sam2unet::train
