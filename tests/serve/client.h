// A small client over loopback: what it sends is up to the test, to the byte.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sam2unet::test {

struct Answer {
  int status = 0;                              ///< 0: the connection ended without one
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
  std::string header(const std::string& name) const {
    const auto it = headers.find(name);
    return it == headers.end() ? std::string() : it->second;
  }
};

class Client {
 public:
  explicit Client(std::uint16_t port, const char* from = "127.0.0.1")
      : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    ::inet_pton(AF_INET, from, &own.sin_addr);
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_port = htons(port);
    ::inet_pton(AF_INET, "127.0.0.1", &there.sin_addr);
    const bool ok = ::bind(fd_, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0 &&
                    ::connect(fd_, reinterpret_cast<sockaddr*>(&there), sizeof there) == 0;
    if (!ok) throw std::runtime_error("cannot connect");
  }
  ~Client() { close(); }
  Client(Client&& other) noexcept : fd_(std::exchange(other.fd_, -1)), rest_(std::move(other.rest_)) {}
  Client& operator=(Client&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(rest_, other.rest_);
    return *this;
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  /// As the end of a process that was killed with an answer unread.
  void reset() {
    const linger l{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close();
  }
  void half_close() { ::shutdown(fd_, SHUT_WR); }
  /// False if the other side is gone.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  /// Whether something can be read within the time, if only the end.
  bool is_readable(int milliseconds) {
    pollfd p{fd_, POLLIN, 0};
    return !rest_.empty() || ::poll(&p, 1, milliseconds) > 0;
  }
  /// The next answer; of an answer to HEAD no body is read.
  Answer read(bool head = false) {
    Answer out;
    while (rest_.find("\r\n\r\n") == std::string::npos)
      if (!more()) return out;
    const auto end = rest_.find("\r\n\r\n");
    std::string header = rest_.substr(0, end);
    rest_.erase(0, end + 4);
    const auto first = header.find("\r\n");
    const int status = std::stoi(header.substr(9, 3));
    header = first == std::string::npos ? "" : header.substr(first + 2);
    while (!header.empty()) {
      const auto stop = std::min(header.find("\r\n"), header.size());
      const std::string line = header.substr(0, stop);
      header.erase(0, std::min(stop + 2, header.size()));
      const auto colon = line.find(':');
      std::string name = line.substr(0, colon);
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      out.headers[name] = line.substr(line.find_first_not_of(' ', colon + 1));
    }
    if (status == 100) return read(head);
    std::size_t length =
        head || out.header("content-length").empty() ? 0 : std::stoul(out.header("content-length"));
    while (rest_.size() < length)
      if (!more()) return out;
    out.status = status;
    out.body = rest_.substr(0, length);
    rest_.erase(0, length);
    return out;
  }
  /// So many bytes, as they come.
  std::string take(std::size_t n) {
    while (rest_.size() < n)
      if (!more()) break;
    std::string out = rest_.substr(0, n);
    rest_.erase(0, n);
    return out;
  }
  /// Nothing more comes.
  bool ended() {
    while (rest_.empty())
      if (!more()) return !is_out_of_patience_;
    return false;
  }

 private:
  bool more() {
    pollfd p{fd_, POLLIN, 0};
    constexpr int kPatience = 60'000;  // of a test that has failed
    if (::poll(&p, 1, kPatience) <= 0) {
      is_out_of_patience_ = true;
      return false;
    }
    char buffer[1 << 16];
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    rest_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }

  int fd_;
  std::string rest_;
  bool is_out_of_patience_ = false;
};

inline std::string request(std::string_view method, std::string_view target, std::string_view headers = "",
                           std::string_view body = "") {
  std::string out = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" +
                    std::string(headers);
  if (method == "POST") out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return out + "\r\n" + std::string(body);
}

struct FormFile {
  std::string name, bytes;
};
constexpr const char* kBoundary = "a boundary'of ours";
inline std::string form_header() {
  return std::string("Content-Type: multipart/form-data; boundary=\"") + kBoundary + "\"\r\n";
}
inline std::string form(const std::vector<FormFile>& files,
                        const std::vector<std::pair<std::string, std::string>>& fields = {}) {
  std::string out;
  for (const auto& f : fields)
    out += std::string("--") + kBoundary + "\r\nContent-Disposition: form-data; name=\"" + f.first +
           "\"\r\n\r\n" + f.second + "\r\n";
  for (const auto& f : files) {
    out += std::string("--") + kBoundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" +
           f.name + "\"\r\nContent-Type: application/octet-stream\r\n\r\n" + f.bytes + "\r\n";
  }
  return out + "--" + kBoundary + "--\r\n";
}

}  // namespace sam2unet::test
