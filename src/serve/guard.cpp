#include "serve/guard.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "sam2unet/errors.h"

namespace sam2unet::serve {
namespace {

constexpr std::size_t kShortestToken = 16, kLongestToken = 4096;

std::string read_token(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw FileError(fmt::format("cannot read the token's file {}", file.string()));
  std::string text(kLongestToken + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  text = text.substr(0, text.find_first_of("\r\n"));
  text = std::string(trim(text));
  const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
  if (text.size() < kShortestToken || text.size() > kLongestToken || !is_plain) {
    throw UsageError(fmt::format(
        "{}: its first line must be a token of {} or more printable characters, such as the output "
        "of `openssl rand -hex 32`",
        file.string(), kShortestToken));
  }
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// "https://example.org:443" -> "example.org": a default port says nothing, and neither does the scheme, since
// a proxy may have taken TLS off.
std::string authority_of(std::string_view origin) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!origin.starts_with(scheme)) continue;
    return lower(origin.substr(scheme.size()));
  }
  return {};
}

std::string without_default_port(std::string text) {
  for (const std::string_view port : {":80", ":443"})
    if (text.ends_with(port)) text.resize(text.size() - port.size());
  return text;
}

}  // namespace

bool equal_secrets(std::string_view a, std::string_view b) {
  if (b.empty()) return false;
  unsigned difference =
      static_cast<unsigned>(a.size() ^ b.size()) | static_cast<unsigned>((a.size() ^ b.size()) >> 32);
  // As long as what the other side sent, whatever the secret's length is.
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |=
        static_cast<unsigned>(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i % b.size()]));
  }
  return difference == 0;
}

std::string host_name(std::string_view host) {
  if (host.starts_with('[')) {
    const auto end = host.find(']');
    if (end == std::string_view::npos) return {};
    const std::string_view rest = host.substr(end + 1);
    if (!rest.empty() && rest[0] != ':') return {};
    return lower(host.substr(1, end - 1));
  }
  const auto colon = host.find(':');
  if (colon != std::string_view::npos &&
      host.substr(colon + 1).find_first_not_of("0123456789") != std::string_view::npos)
    return {};
  std::string name = lower(host.substr(0, colon));
  if (name.ends_with('.')) name.pop_back();
  const bool is_name = name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._") == std::string::npos;
  return is_name ? name : std::string();
}

bool is_address(std::string_view host) {
  const std::string text(host);
  in6_addr address{};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

Guard::Guard(const Options& options) : token_file_(options.token_file) {
  for (const auto& origin : options.cors) cors_.push_back(lower(origin));
  for (const auto& host : options.hosts) hosts_.push_back(host == "*" ? host : host_name(host));
  if (!is_address(options.host)) hosts_.push_back(host_name(options.host));
  use(read());
}

std::string Guard::read() const {
  return token_file_.empty() ? std::string() : read_token(token_file_);
}

void Guard::use(std::string token) {
  const std::lock_guard lock(mutex_);
  token_ = std::move(token);
}

void Guard::check_origin(const Headers& headers) const {
  if (headers.count("Host") != 1) throw bad_request("exactly one Host line is needed");
  const std::string_view host = headers.get("Host");
  const std::string name = host_name(host);
  const bool is_known = name == "localhost" || name.ends_with(".localhost") || is_address(name) ||
                        std::any_of(hosts_.begin(), hosts_.end(), [&](const std::string& h) {
                          return h == "*" || (!name.empty() && h == name);
                        });
  if (!is_known) {
    throw Refused(403, Refusal::forbidden,
                  "this service does not answer to that Host; --allow-host NAME adds a name it is called by");
  }
  const auto origin = headers.find("Origin");
  if (!origin || cross_origin(headers)) return;
  if (without_default_port(authority_of(*origin)) != without_default_port(lower(host)) ||
      authority_of(*origin).empty()) {
    throw Refused(403, Refusal::forbidden,
                  "pages of another origin may not use this service; --cors ORIGIN names one that may");
  }
}

std::optional<std::string> Guard::cross_origin(const Headers& headers) const {
  const auto origin = headers.find("Origin");
  if (!origin) return std::nullopt;
  const bool named = std::find(cors_.begin(), cors_.end(), lower(*origin)) != cors_.end();
  return named ? std::optional<std::string>(*origin) : std::nullopt;
}

void Guard::check_token(const Headers& headers) const {
  if (token_file_.empty()) return;
  constexpr std::string_view kScheme = "Bearer ";
  const std::string_view value = headers.get("Authorization");
  const bool has_scheme =
      value.size() > kScheme.size() && equal_words(value.substr(0, kScheme.size()), kScheme);
  const std::string_view given = has_scheme ? trim(value.substr(kScheme.size())) : std::string_view();
  const std::lock_guard lock(mutex_);
  if (!equal_secrets(given, token_))
    throw Refused(401, Refusal::unauthorized, "a token is needed: Authorization: Bearer TOKEN");
}

}  // namespace sam2unet::serve
