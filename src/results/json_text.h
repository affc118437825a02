// The results' JSON as text that is passed on as it is made: a tree of a large picture's corners would take
// ten times their memory.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "sam2unet/draw.h"
#include "sam2unet/png_stream.h"

namespace sam2unet::results {

/// Writes one line. Objects and lists are opened and closed by hand; commas between members are set where
/// they belong.
class JsonText {
 public:
  explicit JsonText(ByteSink sink) : sink_(std::move(sink)) {}

  /// '{' or '[', as a member of its name if it has one.
  void open(char bracket, std::string_view name = {});
  void close(char bracket);
  /// The members of an object.
  void members(const nlohmann::ordered_json& object);
  /// {"outer": [[x, y], ...], "holes": [...]}
  void polygon(const Polygon& polygon);
  /// Ends the line and passes on what is left.
  void finish();

 private:
  void begin_item();
  void ring(const Ring& ring);
  void pass_on();

  ByteSink sink_;
  std::string text_;
  bool is_first_ = true;  // of an object or a list
};

/// "bounding_box" (null where there is nothing), "area", "area_fraction" of `pixels`, "mean_confidence".
nlohmann::ordered_json summary_json(const MaskSummary& summary, double pixels);

}  // namespace sam2unet::results
