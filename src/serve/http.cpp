#include "serve/http.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace sam2unet::serve {
namespace {

constexpr std::size_t kMaxParameters = 32;
constexpr std::size_t kMaxQuery = 256;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

enum class Plus { is_space, is_plus };

std::optional<std::string> decode(std::string_view text, Plus plus) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus == Plus::is_space) {
      out += ' ';
    } else if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool has_controls(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

bool climbs(std::string_view path) {
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, end);
    if (segment == "." || segment == "..") return true;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return false;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

std::string_view name_of(Refusal refusal) {
  constexpr std::array<std::string_view, kRefusals> kNames = {
      "none",       "bad_request",        "unauthorized",     "forbidden",
      "not_found",  "too_large",          "header_too_large", "too_slow",
      "queue_full", "memory_full",        "connections_full", "deadline",
      "not_ready",  "unreadable_picture", "abandoned",        "failed"};
  return kNames.at(static_cast<std::size_t>(refusal));
}

Refused bad_request(const std::string& text) {
  return {400, Refusal::bad_request, text};
}

bool equal_words(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const auto& line : lines_)
    if (equal_words(line.first, name)) return line.second;
  return std::nullopt;
}

std::size_t Headers::count(std::string_view name) const {
  return static_cast<std::size_t>(std::count_if(
      lines_.begin(), lines_.end(), [&](const auto& line) { return equal_words(line.first, name); }));
}

std::optional<std::vector<Parameter>> parse_query(std::string_view text) {
  std::vector<Parameter> out;
  while (!text.empty()) {
    const auto end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    if (out.size() == kMaxQuery) return std::nullopt;
    const auto equals = std::min(pair.find('='), pair.size());
    auto name = decode(pair.substr(0, equals), Plus::is_space);
    auto value = decode(pair.substr(std::min(equals + 1, pair.size())), Plus::is_space);
    if (!name || !value) return std::nullopt;
    out.push_back({std::move(*name), std::move(*value)});
  }
  return out;
}

std::optional<Target> parse_target(std::string_view target) {
  if (target.empty() || target[0] != '/') return std::nullopt;
  target = target.substr(0, target.find('#'));
  const auto mark = std::min(target.find('?'), target.size());
  auto path = decode(target.substr(0, mark), Plus::is_plus);
  auto query = parse_query(target.substr(std::min(mark + 1, target.size())));
  if (!path || !query || has_controls(*path) || climbs(*path)) return std::nullopt;
  return Target{std::move(*path), std::move(*query)};
}

std::optional<std::string_view> ValueWithParameters::find(std::string_view name) const {
  for (const Parameter& p : parameters)
    if (equal_words(p.name, name)) return p.value;
  return std::nullopt;
}

namespace {

// What stands in quotes at the start of `text`, which is cut off. Browsers leave a backslash as it is, so
// only an escaped quote is one.
std::optional<std::string> take_quoted(std::string_view& text) {
  std::string out;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '"') {
      out += '"';
      ++i;
    } else if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return out;
    } else {
      out += text[i];
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<ValueWithParameters> parse_parameters(std::string_view text) {
  ValueWithParameters out;
  const auto end = std::min(text.find(';'), text.size());
  out.value = std::string(trim(text.substr(0, end)));
  text.remove_prefix(end);
  while (!text.empty()) {
    text = trim(text.substr(1));  // the semicolon
    if (text.empty()) break;
    const auto stop = text.find_first_of("=;");
    if (stop == std::string_view::npos || text[stop] == ';' || out.parameters.size() == kMaxParameters)
      return std::nullopt;
    Parameter p{std::string(trim(text.substr(0, stop))), {}};
    text = trim(text.substr(stop + 1));
    if (!text.empty() && text[0] == '"') {
      auto quoted = take_quoted(text);
      if (!quoted) return std::nullopt;
      p.value = std::move(*quoted);
      text = trim(text);
      if (!text.empty() && text[0] != ';') return std::nullopt;
    } else {
      const auto stop_value = std::min(text.find(';'), text.size());
      p.value = std::string(trim(text.substr(0, stop_value)));
      text.remove_prefix(stop_value);
    }
    out.parameters.push_back(std::move(p));
  }
  return out;
}

bool accepts(std::string_view list, std::string_view word) {
  const std::string_view kind = word.substr(0, word.find('/'));
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    const auto item = parse_parameters(trim(list.substr(0, end)));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (!item) continue;
    const bool is_range = word.find('/') != std::string_view::npos && item->value.size() == kind.size() + 2 &&
                          item->value.ends_with("/*") &&
                          equal_words(std::string_view(item->value).substr(0, kind.size()), kind);
    if (!is_range && !equal_words(item->value, word)) continue;
    const std::string_view q = item->find("q").value_or("1");
    if (q.find_first_not_of("0.") != std::string_view::npos) return true;
  }
  return false;
}

ByteView view_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

ByteView bytes_of(const Body& body) {
  if (const auto* text = std::get_if<std::string>(&body)) return view_of(std::string_view(*text));
  return std::get<Bytes>(body);
}

Response text_response(int status, std::string content_type, std::string text) {
  Response r;
  r.status = status;
  r.content_type = std::move(content_type);
  r.body = std::move(text);
  return r;
}

std::string safe_file_name(std::string_view name) {
  const auto slash = name.find_last_of("/\\");
  if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
  std::string out;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7F || c == '"' || c == ':' ? '_' : c;
  }
  constexpr std::size_t kLongest = 200;
  if (out.size() > kLongest) {
    std::size_t cut = kLongest;
    while (cut > 0 && (static_cast<unsigned char>(out[cut]) & 0xC0u) == 0x80)
      --cut;  // not inside a UTF-8 sequence
    out.resize(cut);
  }
  return out.empty() || out == "." || out == ".." ? "picture" : out;
}

std::string json_string(std::string_view text) {
  using Json = nlohmann::json;
  return Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sam2unet::serve
