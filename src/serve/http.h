// The words of HTTP that the service's own code uses: no sockets, no library. What a connection reads becomes
// these, and so does what it writes.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sam2unet::serve {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

enum class Method { get, head, post, options, other };

/// Why a request got no result; each is counted.
enum class Refusal {
  none,
  bad_request,
  unauthorized,
  forbidden,
  not_found,
  too_large,
  header_too_large,
  too_slow,
  queue_full,
  memory_full,
  connections_full,
  deadline,
  not_ready,
  unreadable_picture,
  abandoned,
  failed,
};
constexpr std::size_t kRefusals = static_cast<std::size_t>(Refusal::failed) + 1;
std::string_view name_of(Refusal refusal);

/// Thrown where a request cannot be answered as asked; the text is for the client.
class Refused : public std::runtime_error {
 public:
  Refused(int status, Refusal reason, const std::string& text)
      : std::runtime_error(text), status_(status), reason_(reason) {}
  int status() const { return status_; }
  Refusal reason() const { return reason_; }

 private:
  int status_;
  Refusal reason_;
};
/// 400: the request itself is wrong.
Refused bad_request(const std::string& text);

/// Lines of a header, in order. Names are compared without case.
class Headers {
 public:
  void add(std::string name, std::string value) { lines_.emplace_back(std::move(name), std::move(value)); }
  /// The first of that name.
  std::optional<std::string_view> find(std::string_view name) const;
  std::string_view get(std::string_view name) const { return find(name).value_or(std::string_view()); }
  std::size_t count(std::string_view name) const;
  auto begin() const { return lines_.begin(); }
  auto end() const { return lines_.end(); }

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

/// Letters of ASCII without case.
bool equal_words(std::string_view a, std::string_view b);
std::string_view trim(std::string_view text);

struct Parameter {
  std::string name, value;
};

/// What a request line asks for, decoded.
struct Target {
  std::string path;  ///< begins with "/"; no "." or ".." in it, no control characters
  std::vector<Parameter> query;
};
/// None if it is no path of a server (a whole URL, a broken escape, a control character, a way up).
std::optional<Target> parse_target(std::string_view target);
/// "a=1&b=x%20y", as in a query or a form; none if an escape is broken.
std::optional<std::vector<Parameter>> parse_query(std::string_view text);

/// A header's value with parameters: `form-data; name="file"`.
struct ValueWithParameters {
  std::string value;
  std::vector<Parameter> parameters;
  std::optional<std::string_view> find(std::string_view name) const;
};
/// At most 32 parameters; none if it is malformed.
std::optional<ValueWithParameters> parse_parameters(std::string_view text);

/// Whether a list such as Accept or Accept-Encoding names a word (or, of media types, a range that holds it)
/// without q=0.
bool accepts(std::string_view list, std::string_view word);

using Body = std::variant<std::string, Bytes>;
ByteView bytes_of(const Body& body);
ByteView view_of(std::string_view text);

/// What a picture goes through.
enum class Stage { queue, decode, compute, encode };
constexpr std::size_t kStages = 4;

/// What the access log tells of the work behind an answer.
struct Account {
  std::string model;
  std::size_t pictures = 0;
  std::array<double, kStages> seconds{};
};

struct Response {
  int status = 200;
  std::string content_type;
  Headers headers;
  Body body;
  Refusal refusal = Refusal::none;
  bool closes = false;  ///< the connection after it
  /// Travels with the answer: a connection that is closed before must not read what a worker still writes.
  Account account;
};

Response text_response(int status, std::string content_type, std::string text);

/// What of a file's name is left to be used as one: no folders, no control characters, at most 200 bytes;
/// "picture" if nothing is.
std::string safe_file_name(std::string_view name);

/// JSON's spelling of a text, quotes included; bytes that are no UTF-8 are replaced.
std::string json_string(std::string_view text);

}  // namespace sam2unet::serve
