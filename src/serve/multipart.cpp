#include "serve/multipart.h"

#include <algorithm>
#include <utility>

namespace sam2unet::serve {
namespace {

constexpr std::size_t kLongestBoundary = 70;  // RFC 2046, 5.1.1

bool is_boundary(std::string_view text) {
  constexpr std::string_view kAllowed =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'()+_,-./:=? ";
  return !text.empty() && text.size() <= kLongestBoundary && text.back() != ' ' &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

void read_disposition(std::string_view value, Part& part) {
  const auto parsed = parse_parameters(value);
  if (!parsed || !equal_words(parsed->value, "form-data"))
    throw bad_request("multipart: a part's Content-Disposition is not form-data");
  const auto name = parsed->find("name");
  if (!name) throw bad_request("multipart: a part has no name");
  part.name = std::string(*name);
  const auto file = parsed->find("filename");
  part.is_file = file.has_value();
  if (file && !file->empty()) part.file_name = safe_file_name(*file);
}

// The lines before a part's bytes, without the empty one.
void read_header(std::string_view lines, Part& part) {
  bool is_named = false;
  while (!lines.empty()) {
    const auto end = std::min(lines.find("\r\n"), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 2, lines.size()));
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0)
      throw bad_request("multipart: a part's header is malformed");
    const std::string_view name = line.substr(0, colon), value = trim(line.substr(colon + 1));
    if (equal_words(name, "Content-Disposition")) {
      read_disposition(value, part);
      is_named = true;
    } else if (equal_words(name, "Content-Type")) {
      part.content_type = std::string(value);
    } else if (equal_words(name, "Content-Transfer-Encoding") && !equal_words(value, "binary") &&
               !equal_words(value, "8bit") && !equal_words(value, "7bit")) {
      throw bad_request("multipart: parts must be sent as they are, not in " + std::string(value));
    }
  }
  if (!is_named) throw bad_request("multipart: a part has no Content-Disposition");
}

enum class Mark { none, next, last };

// A line that is a boundary.
struct Boundary {
  Mark mark = Mark::none;
  std::size_t begin = 0, end = 0;  ///< where the line break before it begins, where what follows it does
};

// What follows the boundary's characters: a line that goes on otherwise is a part's own.
Mark mark_at(std::string_view rest, std::size_t& length) {
  if (rest.starts_with("--")) return Mark::last;
  const auto padding = std::min(rest.find_first_not_of(" \t"), rest.size());  // RFC 2046: transport padding
  if (!rest.substr(padding).starts_with("\r\n")) return Mark::none;
  length = padding + 2;
  return Mark::next;
}

Boundary find_boundary(std::string_view rest, std::string_view line) {
  for (std::size_t at = rest.find(line); at != std::string_view::npos; at = rest.find(line, at + 1)) {
    std::size_t length = 0;
    const Mark mark = mark_at(rest.substr(at + line.size()), length);
    if (mark != Mark::none) return {mark, at, at + line.size() + length};
  }
  return {};
}

}  // namespace

std::string boundary_of(std::string_view content_type) {
  const auto parsed = parse_parameters(content_type);
  if (!parsed || !equal_words(parsed->value, "multipart/form-data"))
    throw Refused(415, Refusal::bad_request, "the body must be multipart/form-data");
  const auto boundary = parsed->find("boundary");
  if (!boundary || !is_boundary(*boundary))
    throw bad_request("multipart: the Content-Type names no valid boundary");
  return std::string(*boundary);
}

std::vector<Part> parse_multipart(ByteView body, std::string_view boundary, const MultipartLimits& limits) {
  std::string_view rest(reinterpret_cast<const char*>(body.data()), body.size());
  const std::string line = "\r\n--" + std::string(boundary);
  // The first one may have no line before it; what else stands before it nobody reads.
  Boundary at;
  if (rest.starts_with(std::string_view(line).substr(2))) {
    std::size_t length = 0;
    at.mark = mark_at(rest.substr(line.size() - 2), length);
    at.end = line.size() - 2 + length;
  }
  if (at.mark == Mark::none) at = find_boundary(rest, line);
  if (at.mark == Mark::none) throw bad_request("multipart: the boundary does not occur in the body");
  std::vector<Part> parts;
  while (at.mark == Mark::next) {
    rest.remove_prefix(at.end);
    if (parts.size() == limits.parts) {
      throw Refused(
          413, Refusal::too_large,
          "more than " + std::to_string(limits.parts) + " parts (--max-parts): send fewer at a time");
    }
    Part part;
    const auto header_end = rest.substr(0, limits.header).find("\r\n\r\n");
    if (header_end == std::string_view::npos) {
      throw bad_request("multipart: a part's header does not end within " + std::to_string(limits.header) +
                        " bytes");
    }
    read_header(rest.substr(0, header_end), part);
    rest.remove_prefix(header_end + 4);
    at = find_boundary(rest, line);
    if (at.mark == Mark::none) throw bad_request("multipart: the body ends inside a part");
    part.bytes = view_of(rest.substr(0, at.begin));
    parts.push_back(std::move(part));
  }
  return parts;
}

void MultipartWriter::append(std::string_view text) {
  const ByteView bytes = view_of(text);
  out_.insert(out_.end(), bytes.begin(), bytes.end());
}

void MultipartWriter::add(const Headers& headers, ByteView bytes) {
  append("--" + boundary_ + "\r\n");
  for (const auto& line : headers) append(line.first + ": " + line.second + "\r\n");
  append("\r\n");
  out_.insert(out_.end(), bytes.begin(), bytes.end());
  append("\r\n");
}

Bytes MultipartWriter::finish() {
  append("--" + boundary_ + "--\r\n");
  return std::move(out_);
}

}  // namespace sam2unet::serve
