// /api/remove, as rembg's service has it: a picture's file in, its cut-out (or mask) as PNG out.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <memory>
#include <utility>

#include "results/results.h"
#include "sam2unet/image.h"
#include "serve/multipart.h"
#include "serve/tasks.h"

namespace sam2unet::serve {
namespace {

using results::Save;

struct Rgba {
  std::array<std::uint8_t, 4> value{};
};

struct Wishes {
  std::string model;
  bool only_mask = false;
  bool matting = false;       // alpha matting, which we have no counterpart of
  bool post_process = false;  // smoothing of the mask, neither
  std::optional<Rgba> background;
  bool has_extras = false;
};

std::optional<Rgba> parse_background(std::string_view text) {
  if (text.empty()) return std::nullopt;
  Rgba out;
  for (std::size_t i = 0; i < out.value.size(); ++i) {
    const auto end = std::min(text.find(','), text.size());
    const std::string_view number = trim(text.substr(0, end));
    int value = -1;
    const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    const bool last = i + 1 == out.value.size();
    if (error != std::errc() || stop != number.data() + number.size() || value < 0 || value > 255 ||
        last != (end == text.size()))
      throw Refused(422, Refusal::bad_request, "bgc must be R,G,B,A, each from 0 to 255");
    out.value.at(i) = static_cast<std::uint8_t>(value);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

void take(Wishes& w, std::string_view name, std::string_view value) {
  if (name == "model") {
    w.model = std::string(value);
  } else if (name == "a") {
    w.matting = parse_flag(value, "a");
  } else if (name == "om") {
    w.only_mask = parse_flag(value, "om");
  } else if (name == "ppm") {
    w.post_process = parse_flag(value, "ppm");
  } else if (name == "bgc") {
    w.background = parse_background(value);
  } else if (name == "extras") {
    w.has_extras = !trim(value).empty() && trim(value) != "{}";
  }
  // af, ab and ae belong to `a`; what else is sent rembg passes over too.
}

SharedModel choose_model(const Context& context, const Wishes& w) {
  const bool alias = context.options.rembg_alias;
  SharedModel model = w.model.empty() ? model_or_refuse(context, "") : context.models.find(w.model);
  if (model == nullptr) {
    if (!alias) {
      throw Refused(
          422, Refusal::bad_request,
          fmt::format("there is no model '{}' here; leave it out, or start the service with --rembg-alias",
                      w.model));
    }
    model = model_or_refuse(context, "");
  }
  if (alias) return model;
  const char* what = w.matting        ? "a: alpha matting"
                     : w.post_process ? "ppm: smoothing of the mask"
                     : w.has_extras   ? "extras"
                                      : nullptr;
  if (what != nullptr)
    throw Refused(
        422, Refusal::bad_request,
        fmt::format("{} is not done here; leave it out, or start the service with --rembg-alias", what));
  return model;
}

// The picture over a colour: both with alpha, in whole numbers rounded to nearest.
void put_over(Image& rgba, const Rgba& background) {
  constexpr unsigned kFull = 255;
  const auto& b = background.value;
  for (std::size_t i = 0; i + 3 < rgba.pixels.size(); i += 4) {
    const unsigned above = rgba.pixels[i + 3];
    const unsigned below = b[3] * (kFull - above);  // of 255 * 255
    const unsigned alpha = above * kFull + below;
    if (alpha == 0) {
      std::fill_n(rgba.pixels.begin() + static_cast<std::ptrdiff_t>(i), 4, std::uint8_t{0});
      continue;
    }
    for (std::size_t c = 0; c < 3; ++c) {
      const unsigned sum = rgba.pixels[i + c] * above * kFull + b.at(c) * below;
      rgba.pixels[i + c] = static_cast<std::uint8_t>((sum + alpha / 2) / alpha);
    }
    rgba.pixels[i + 3] = static_cast<std::uint8_t>((alpha + kFull / 2) / kFull);
  }
}

void remove(const Context& context, const SharedExchange& exchange) {
  const Request& request = exchange->request;
  Wishes wishes;
  for (const Parameter& p : request.target.query) take(wishes, p.name, p.value);
  const auto parts = parse_multipart(request.body, boundary_of(request.headers.get("Content-Type")),
                                     {.parts = context.options.limits.parts});
  const Part* file = nullptr;
  for (const Part& part : parts) {
    if (part.name == "file" && (part.is_file || file == nullptr))
      file = &part;
    else if (!part.is_file)
      take(wishes, part.name, part.text());
  }
  if (file == nullptr) throw Refused(422, Refusal::bad_request, "the form has no 'file'");
  SharedTask task = new_task(context, exchange, choose_model(context, wishes));
  results::ResultOptions options;
  options.saves = {wishes.only_mask ? Save::map : Save::cutout};
  options.table = task->model->network->classes();
  const std::int64_t most = task->decode.max_pixels;
  task->decode = results::decode_options(options);
  task->decode.max_pixels = most;
  if (options.table != nullptr) {  // the foreground is whatever is no background
    for (int id = 1; id < options.table->size(); ++id) options.shown.push_back(id);
    if (wishes.only_mask) options.saves = {Save::mask};
    task->segment.output = SegmentOutput::ids;
  }
  task->pieces.resize(1);
  task->pieces[0].name = file->file_name.empty() ? "picture" : file->file_name;
  task->pieces[0].bytes = file->bytes;
  task->encode = [options, background = wishes.background](Task&, Piece& piece) {
    const results::Subject subject{piece.name, piece.pixels, piece.color_profile, piece.result,
                                   piece.seconds_so_far()};
    Bytes png = results::encode_result(subject, options, options.saves[0]);
    if (background && options.saves[0] == Save::cutout) {
      Image image = decode_image(png, {.mode = ColorMode::rgba});
      put_over(image, *background);
      png = encode_png(image, piece.color_profile);
    }
    piece.outputs.push_back({"", "image/png", std::move(png)});
  };
  submit(context, task, [](Task& t) {
    Piece& piece = t.pieces[0];
    if (piece.problem) return error_response(*t.exchange, *piece.problem);
    Response r;
    r.content_type = piece.outputs[0].content_type;
    r.body = std::move(piece.outputs[0].bytes);
    return r;
  });
}

}  // namespace

void add_rembg_routes(Router& router, const Context& context) {
  router.add({Method::post, "/api/remove", Access::token, ErrorStyle::detail,
              [&context](const SharedExchange& e) { remove(context, e); }});
  router.add({Method::get, "/api/remove", Access::token, ErrorStyle::detail, [](const SharedExchange& e) {
                e->answer(error_response(*e, {403,
                                              Refusal::forbidden,
                                              "this service fetches nothing from other places, since whoever "
                                              "may ask could look into its network that "
                                              "way; POST the picture's file",
                                              {}}));
              }});
}

}  // namespace sam2unet::serve
