// What a run can choose between, and how each choice is written on the command line and in train.toml.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace sam2unet::train {

/// A set of settings that belong together.
enum class Recipe {
  official,  ///< exactly what the reference's train.py does
  scratch,   ///< everything learns, from random numbers
  finetune,  ///< from a trained SAM2-UNet, on few pictures
};

enum class Freeze {
  trunk,  ///< the official recipe: adapters, RFB, decoder and heads learn
  none,   ///< everything learns but up4, which no map depends on
};

enum class LossKind {
  structure,        ///< cross-entropy and IoU weighted by the neighbourhood, as the reference computes it
  structure_empty,  ///< the same, but for masks without foreground, whose IoU is that of the background
  dice_bce,         ///< plain cross-entropy and Dice
  focal,            ///< cross-entropy weighted by how wrong a pixel is
  ce_dice,          ///< of several classes: cross-entropy and Dice over the softmax
};

/// Which cross-entropy the structure losses contain.
enum class Bce {
  effective,  ///< the plain mean, which the reference's `reduce='none'` amounts to (train.py:33)
  weighted,   ///< weighted by the neighbourhood, as the paper writes it
};

/// What fresh adapters begin with.
enum class AdapterInit {
  standard,       ///< nn.Linear's own, as the reference
  near_identity,  ///< weights of deviation 0.02, biases zero: a block sees nearly what it saw without them
};

enum class Augment {
  none,      ///< validation
  official,  ///< horizontal and vertical flips
  strong,    ///< also crops, rotation and colour jitter
};

/// What the network is computed in; parameters are float64 with f64, float32 otherwise.
enum class ComputeType {
  f32,
  f64,
  bf16,
  tf32,  ///< float32, but products and convolutions round their inputs to TF32; on a GPU alone
};

enum class DeviceKind { cpu, cuda };

/// How pictures become the network's input.
enum class FitChoice {
  squash,     ///< as the reference
  letterbox,  ///< their shape is kept
};

/// What joins encoder and decoder.
enum class NeckChoice {
  as_start,   ///< what the start has; the reference's where that is a trunk
  rfb,        ///< the reference's
  pointwise,  ///< a 1x1 convolution
};

/// What was asked for behind the trunk; 0 and `as_start` are what the start has.
struct AskedParts {
  int adapter_width = 0, decoder_width = 0;
  NeckChoice neck = NeckChoice::as_start;
};

/// The validation's value that decides which epoch is the best.
enum class BestBy { mae, s, wf, e, f, iou, dice, miou };

/// The names of an enum, in the order in which they are listed.
template <class E>
struct ChoiceNames;

template <>
struct ChoiceNames<Recipe> {
  static constexpr std::array<std::pair<Recipe, std::string_view>, 3> all{
      {{Recipe::official, "official"}, {Recipe::scratch, "scratch"}, {Recipe::finetune, "finetune"}}};
};
template <>
struct ChoiceNames<Freeze> {
  static constexpr std::array<std::pair<Freeze, std::string_view>, 2> all{
      {{Freeze::trunk, "trunk"}, {Freeze::none, "none"}}};
};
template <>
struct ChoiceNames<LossKind> {
  static constexpr std::array<std::pair<LossKind, std::string_view>, 5> all{
      {{LossKind::structure, "structure"},
       {LossKind::structure_empty, "structure-empty"},
       {LossKind::dice_bce, "dice-bce"},
       {LossKind::focal, "focal"},
       {LossKind::ce_dice, "ce-dice"}}};
};
template <>
struct ChoiceNames<Bce> {
  static constexpr std::array<std::pair<Bce, std::string_view>, 2> all{
      {{Bce::effective, "effective"}, {Bce::weighted, "weighted"}}};
};
template <>
struct ChoiceNames<AdapterInit> {
  static constexpr std::array<std::pair<AdapterInit, std::string_view>, 2> all{
      {{AdapterInit::standard, "standard"}, {AdapterInit::near_identity, "near-identity"}}};
};
template <>
struct ChoiceNames<Augment> {
  static constexpr std::array<std::pair<Augment, std::string_view>, 3> all{
      {{Augment::none, "none"}, {Augment::official, "official"}, {Augment::strong, "strong"}}};
};
template <>
struct ChoiceNames<ComputeType> {
  static constexpr std::array<std::pair<ComputeType, std::string_view>, 4> all{{{ComputeType::f32, "f32"},
                                                                                {ComputeType::f64, "f64"},
                                                                                {ComputeType::bf16, "bf16"},
                                                                                {ComputeType::tf32, "tf32"}}};
};
template <>
struct ChoiceNames<DeviceKind> {
  static constexpr std::array<std::pair<DeviceKind, std::string_view>, 2> all{
      {{DeviceKind::cpu, "cpu"}, {DeviceKind::cuda, "cuda"}}};
};
template <>
struct ChoiceNames<FitChoice> {
  static constexpr std::array<std::pair<FitChoice, std::string_view>, 2> all{
      {{FitChoice::squash, "squash"}, {FitChoice::letterbox, "letterbox"}}};
};
template <>
struct ChoiceNames<NeckChoice> {
  static constexpr std::array<std::pair<NeckChoice, std::string_view>, 3> all{
      {{NeckChoice::as_start, "as-start"}, {NeckChoice::rfb, "rfb"}, {NeckChoice::pointwise, "1x1"}}};
};
template <>
struct ChoiceNames<BestBy> {
  static constexpr std::array<std::pair<BestBy, std::string_view>, 8> all{{{BestBy::dice, "dice"},
                                                                           {BestBy::iou, "iou"},
                                                                           {BestBy::mae, "mae"},
                                                                           {BestBy::s, "s"},
                                                                           {BestBy::wf, "wf"},
                                                                           {BestBy::e, "e"},
                                                                           {BestBy::f, "f"},
                                                                           {BestBy::miou, "miou"}}};
};

template <class E>
concept Choice = requires {
  ChoiceNames<E>::all;
};

template <Choice E>
constexpr std::string_view name_of(E value) {
  for (const auto& [e, name] : ChoiceNames<E>::all) {
    if (e == value) return name;
  }
  return {};
}

template <Choice E>
std::optional<E> choice_of(std::string_view text) {
  for (const auto& [e, name] : ChoiceNames<E>::all) {
    if (name == text) return e;
  }
  return std::nullopt;
}

/// "a, b, c"
template <Choice E>
std::string choices() {
  std::string out;
  for (const auto& entry : ChoiceNames<E>::all) {
    if (!out.empty()) out += ", ";
    out += entry.second;
  }
  return out;
}

}  // namespace sam2unet::train
