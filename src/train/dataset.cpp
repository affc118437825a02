#include "train/dataset.h"

#include <algorithm>
#include <utility>

#include "image/sample_kernels.h"

namespace sam2unet::train {
namespace {

// Files as the reference sees them: EXIF orientation ignored (dataset.py:98), in both alike.
DecodeOptions decoding(ColorMode mode) {
  DecodeOptions o;
  o.mode = mode;
  o.apply_exif_orientation = false;
  return o;
}

Image& read_mask(const Pair& pair, image::PictureReader& reader) {
  Image& mask = reader.read(pair.mask, decoding(ColorMode::gray));
  if (pair.zero_one) {
    for (auto& p : mask.pixels) p = p != 0 ? 255 : 0;
  }
  return mask;
}

void mirror_x(Image& gray) {
  for (int y = 0; y < gray.height; ++y) std::reverse(gray.row(y), gray.row(y) + gray.width);
}

void mirror_y(Image& gray) {
  for (int y = 0; y < gray.height / 2; ++y) {
    std::swap_ranges(gray.row(y), gray.row(y) + gray.width, gray.row(gray.height - 1 - y));
  }
}

}  // namespace

Image read_mask(const Pair& pair) {
  image::PictureReader reader;
  return read_mask(pair, reader);
}

// Into image_ and mask_, cropped and flipped; what is left to be done by the strong augmentation.
SampleMaker::Change SampleMaker::resize(const Pair& pair, int size, Augment augment, Random& random) {
  const Image& picture = picture_reader_.read(pair.image, decoding(ColorMode::rgb));
  if (classes_ != nullptr) ids_ = read_class_mask(pair.mask, *classes_);
  const Image& truth = classes_ != nullptr ? ids_ : read_mask(pair, mask_reader_);
  ImageView from = picture, truth_from = truth;
  // A crop is of both, so both must have one size; the official recipe resizes each for itself.
  if (augment == Augment::strong && picture.width == truth.width && picture.height == truth.height) {
    const Crop crop = random_crop(picture.width, picture.height, random);
    from = cut(picture, crop);
    truth_from = cut(truth, crop);
  }
  const double degrees = augment == Augment::strong ? random.uniform(-kLargestTurn, kLargestTurn) : 0;
  const image::ColourMap colour = augment == Augment::strong ? random_colour(random) : image::ColourMap();
  const bool flip_x = augment != Augment::none && random.coin();
  const bool flip_y = augment != Augment::none && random.coin();
  const image::Placement placed = image::place(from, InputSize::square(size), fit_);
  const int w = placed.width, h = placed.height;
  resizer_.resize(from, {w, h, ResizeFilter::bilinear, PillowVersion::v12, flip_x, flip_y}, image_);
  if (classes_ != nullptr) {
    mask_ = resize_nearest(truth_from, w, h);
    if (flip_x) mirror_x(mask_);
    if (flip_y) mirror_y(mask_);
  } else {
    resizer_.resize(truth_from, {w, h, ResizeFilter::bicubic, PillowVersion::v12, flip_x, flip_y}, mask_);
  }
  if (!placed.fills()) letterbox(placed);
  return {degrees, colour};
}

void SampleMaker::make_bytes(const Pair& pair, int size, Augment augment, Random random, std::uint8_t* image,
                             std::uint8_t* mask) {
  resize(pair, size, augment, random);
  std::copy(image_.pixels.begin(), image_.pixels.end(), image);
  std::copy(mask_.pixels.begin(), mask_.pixels.end(), mask);
}

void SampleMaker::make(const Pair& pair, int size, Augment augment, Random random, float* image,
                       float* mask) {
  const auto [degrees, colour] = resize(pair, size, augment, random);
  if (augment == Augment::strong) {
    turner_.turn(image_, mask_, degrees, colour, image, mask);
    if (classes_ != nullptr) turn_ids(mask_, degrees, mask);  // a mixture of ids is another class
    return;
  }
  const auto pixels = static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
  image::normalise_rgb(image_.pixels.data(), pixels, image);
  if (classes_ != nullptr) {
    std::copy(mask_.pixels.begin(), mask_.pixels.end(), mask);
  } else {
    image::normalise_gray(mask_.pixels.data(), pixels, mask);
  }
}

// Nothing is known of what lies around a picture: of classes it is ignored, of one foreground it is
// background.
void SampleMaker::letterbox(const image::Placement& placed) {
  image::pad(image_, placed, image::kPadding.data(), padded_);
  std::swap(image_, padded_);
  const auto around = static_cast<std::uint8_t>(classes_ != nullptr ? classes_->ignore : 0);
  image::pad(mask_, placed, &around, padded_);
  std::swap(mask_, padded_);
}

Sample load_sample(const Pair& pair, int size, Augment augment, Random random, const ClassTable* classes,
                   Fit fit) {
  const auto n = static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
  Sample s{std::vector<float>(3 * n), std::vector<float>(n)};
  SampleMaker(classes, fit).make(pair, size, augment, random, s.image.data(), s.mask.data());
  return s;
}

}  // namespace sam2unet::train
