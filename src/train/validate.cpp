#include "train/validate.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <limits>
#include <mutex>
#include <set>
#include <thread>

#include "metrics/accumulate.h"
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
  Sample sample;
  Image truth;
};

Prepared prepare(const Pair& pair, int size) {
  return {load_sample(pair, size, Augment::none, Random(0, 0, 0)), read_mask(pair)};
}

// Probabilities at the given size, rounded to 8 bits.
Image to_gray(const at::Tensor& logits, int width, int height) {  // [1,S,S,1]
  const at::Tensor p = at::sigmoid(
      at::upsample_bilinear2d(logits.permute({0, 3, 1, 2}).to(at::kFloat), {height, width}, false));
  const at::Tensor bytes = (p * 255).round().to(at::kByte).contiguous();
  Image out(width, height, 1);
  std::copy_n(bytes.const_data_ptr<std::uint8_t>(), out.pixels.size(), out.pixels.begin());
  return out;
}

Image side_by_side(const Pair& pair, const Image& truth, const Image& map) {
  DecodeOptions rgb;
  rgb.apply_exif_orientation = false;
  Image picture = read_image(pair.image, rgb);
  const double scale =
      std::min(1.0, static_cast<double>(kPanelSide) / std::max(picture.width, picture.height));
  const int w = std::max(1, static_cast<int>(picture.width * scale));
  const int h = std::max(1, static_cast<int>(picture.height * scale));
  if (w != picture.width || h != picture.height)
    picture = resize_pillow(picture, w, h, ResizeFilter::bilinear);
  const Image t = resize_pillow(truth, w, h, ResizeFilter::bilinear),
              m = resize_pillow(map, w, h, ResizeFilter::bilinear);
  Image row(3 * w, h, 3);
  for (int y = 0; y < h; ++y) {
    std::copy_n(picture.row(y), 3 * w, row.row(y));
    for (int x = 0; x < w; ++x) {
      std::fill_n(row.row(y) + 3 * (w + x), 3, t.row(y)[x]);
      std::fill_n(row.row(y) + 3 * (2 * w + x), 3, m.row(y)[x]);
    }
  }
  return row;
}

// The row of metrics/accumulate.h: sums of them hold every value of the data set.
std::vector<double> score(const Image& map, const Image& truth) {
  metrics::Scorer scorer({false, false, false, false, false, false});
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
  std::vector<double> sum(metrics::row_size(), 0.0);
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
      decoded.push_back(workers.start([pair = own[asked], size = o.size] { return prepare(*pair, size); }));
    }
    std::vector<Prepared> pictures;
    std::vector<at::Tensor> inputs;
    for (std::size_t i = begin; i < end; ++i) {
      pictures.push_back(decoded.front().get());
      decoded.pop_front();
      inputs.push_back(at::from_blob(pictures.back().sample.image.data(), {o.size, o.size, 3}, at::kFloat));
    }
    const at::Tensor logits = net.forward_inference(at::stack(inputs).to(o.device, o.type)).to(at::kCPU);
    for (std::size_t i = begin; i < end; ++i) {
      auto& truth = pictures[i - begin].truth;
      const auto at = static_cast<std::int64_t>(i - begin);
      Image map = to_gray(logits.slice(0, at, at + 1), truth.width, truth.height);
      if (kept_rows.contains(i))
        out.rows.push_back({own[i]->image.stem().string(), side_by_side(*own[i], truth, map)});
      scored.push_back(
          workers.start([map = std::move(map), kept = std::move(truth)] { return score(map, kept); }));
    }
    for (; scored.size() > ahead; scored.pop_front()) add(sum, scored.front().get());
  }
  for (; !scored.empty(); scored.pop_front()) add(sum, scored.front().get());
  at::Tensor total = at::from_blob(sum.data(), {static_cast<std::int64_t>(sum.size())}, at::kDouble);
  group.sum(total);
  const auto values = metrics::values_of(sum);
  const auto& table = metrics::value_table();
  // The groups that are always computed stand first.
  for (std::size_t i = 0; i < table.size() && table[i].key != "HCE"; ++i) {
    if (!std::isnan(values[i])) out.values.emplace_back(table[i].key, values[i]);
  }
  return out;
}

}  // namespace sam2unet::train
