// What the pages of all evaluations share.
#pragma once

#include <string>
#include <vector>

#include "sam2unet/evaluate.h"
#include "sam2unet/image.h"

namespace sam2unet::eval {

/// From the document's first line to its heading; the body is still open.
std::string page_head(const std::string& title);
/// "0.123", or a dash for what was not computed.
std::string number(double v);
/// A table's cell with the value and its interval, bold where it is `best`.
std::string cell(const MetricValue* v, double best);
/// A small picture with its caption, in the page itself.
std::string figure(const Image& image, const std::string& caption);

}  // namespace sam2unet::eval
