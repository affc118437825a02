// One client's connection: requests, one after the other. A template over the stream, so that plain and TLS
// connections are the same code; only connection_plain.cpp and connection_tls.cpp include it.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "serve/connection_base.h"
#include "serve/random.h"
#include "serve/upload.h"

namespace sam2unet::serve {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace asio = boost::asio;

/// Beast's header as ours; the id is the client's if it is sane.
std::string sane_request_id(std::string_view given);
Method parse_method(std::string_view word);

/// How a stream begins and ends; the plain one needs nothing.
template <class Stream>
struct StreamEnds;

template <class Stream>
class Connection final : public ConnectionBase, public std::enable_shared_from_this<Connection<Stream>> {
 public:
  Connection(Stream stream, Hub& hub, std::string peer)
      : hub_(hub),
        stream_(std::move(stream)),
        timer_(hub.io()),
        peer_(std::move(peer)),
        buffer_(hub.limits().header + kLargeRead) {}

  void start() override {
    hub_.add(self());
    arm(hub_.limits().header_time);
    StreamEnds<Stream>::begin(stream_, [self = self()](beast::error_code ec) {
      if (ec || self->at_ == At::closed) return self->close();
      self->begin_request();
    });
  }

  void close() override {
    if (at_ == At::closed) return;
    give_up();
    at_ = At::closed;
    hub_.mark_busy(*this);
    timer_.cancel();
    beast::error_code ignored;
    socket().close(ignored);
    hub_.remove(*this);  // may be the end of it, unless the caller holds it
  }

  void drain() override {
    if (at_ != At::idle || requests_ == 1) return;  // a new one may be told that there is no more
    beast::error_code ec;
    if (socket().available(ec) > 0 && !ec) return;  // a request that is told so
    close();
  }

  void look_for_hangup() override {
    if (at_ != At::handling || exchange_->abandoned()) return;
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(socket().native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return;
    if (info.tcpi_state != TCP_ESTABLISHED) abandon();
  }

  bool is_working() const override { return at_ == At::body || at_ == At::handling || at_ == At::writing; }

 private:
  enum class At { start, idle, header, body, handling, writing, lingering, closed };
  using Parser = http::request_parser<UploadBody>;
  using Message = http::response<http::span_body<const char>>;

  static constexpr std::size_t kFirstRead = 512;  // what an idle connection holds
  static constexpr std::size_t kSmallRead = 4096;
  static constexpr std::size_t kLargeRead = 64 << 10;
  static constexpr std::size_t kLongestChunkLine = 16 << 10;
  static constexpr std::size_t kMaxDiscarded = 8 << 20;

  std::shared_ptr<Connection> self() { return this->shared_from_this(); }
  Socket& socket() { return StreamEnds<Stream>::socket(stream_); }

  // --- time

  void arm(Milliseconds time) {
    timer_.expires_after(time);
    timer_.async_wait([self = self(), n = ++timer_number_](beast::error_code ec) {
      if (!ec && n == self->timer_number_ && self->at_ != At::closed) self->on_timeout();
    });
  }
  void disarm() {
    ++timer_number_;
    timer_.cancel();
  }
  void on_timeout() {
    const Limits& l = hub_.limits();
    if (at_ == At::header)
      return refuse(408, Refusal::too_slow,
                    "the header took longer than " + seconds(l.header_time) + " (--header-timeout)");
    if (at_ == At::body)
      return refuse(408, Refusal::too_slow,
                    "the body took longer than " + seconds(l.body_time) + " (--body-timeout)");
    close();
  }
  static std::string seconds(Milliseconds t) {
    const double s = static_cast<double>(t.count()) / 1000.0;
    std::string text = std::to_string(s);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text + " s";
  }

  // --- reading

  void begin_request() {
    exchange_.reset();
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(hub_.limits().header));
    // The body counts by itself. Not boost::none, which Beast 1.74 takes for less than any length.
    parser_->body_limit(std::numeric_limits<std::uint64_t>::max());
    parser_->get().body().limit = hub_.limits().upload;
    ++requests_;
    if (buffer_.size() > 0) {  // pipelined
      at_ = At::header;
      arm(hub_.limits().header_time);
      return advance();
    }
    buffer_.shrink_to_fit();
    at_ = At::idle;
    arm(requests_ == 1 ? hub_.limits().header_time : hub_.limits().idle_time);
    hub_.mark_idle(*this);
    read();
    if (hub_.draining()) drain();
  }

  void read() {
    const std::size_t wanted = at_ == At::idle ? kFirstRead : at_ == At::body ? kLargeRead : kSmallRead;
    const std::size_t n = std::min(wanted, buffer_.max_size() - buffer_.size());
    if (n == 0) return refuse(400, Refusal::bad_request, "the request cannot be read");
    stream_.async_read_some(buffer_.prepare(n),
                            [self = self(), number = ++read_number_](beast::error_code ec, std::size_t got) {
                              if (number == self->read_number_ && self->at_ != At::closed)
                                self->on_read(ec, got);
                            });
  }

  void on_read(beast::error_code ec, std::size_t got) {
    if (ec) return close();  // gone, with what it had sent of a request
    buffer_.commit(got);
    if (at_ == At::idle) {
      hub_.mark_busy(*this);
      at_ = At::header;
      arm(hub_.limits().header_time);
    }
    advance();
  }

  /// Parses what has come, until more is needed or a part of the request is complete.
  void advance() {
    while (buffer_.size() > 0) {
      beast::error_code ec;
      const std::size_t n = parser_->put(buffer_.data(), ec);
      buffer_.consume(n);
      if (ec && ec != http::error::need_more) return on_malformed(ec);
      if (at_ == At::header && parser_->is_header_done()) return on_header();
      if (parser_->is_done()) return dispatch();
      if (ec == http::error::need_more || n == 0) break;
    }
    if (at_ == At::body && buffer_.size() > kLongestChunkLine)
      return refuse(400, Refusal::bad_request, "a chunk's line is too long");
    read();
  }

  void on_malformed(beast::error_code ec) {
    using Full = UploadBody::value_type::Full;
    const Limits& l = hub_.limits();
    if (ec == http::error::header_limit)
      return refuse(431, Refusal::header_too_large,
                    "the header has more than " + std::to_string(l.header) + " bytes (--max-header)");
    if (parser_->get().body().full == Full::upload)
      return refuse(
          413, Refusal::too_large,
          "the body has more than the " + std::to_string(l.upload) + " bytes allowed (--max-upload)");
    if (parser_->get().body().full == Full::budget)
      return refuse(429, Refusal::memory_full,
                    "requests hold nearly " + std::to_string(l.in_flight) +
                        " bytes already (--max-in-flight); try again later");
    refuse(400, Refusal::bad_request, "the request is malformed: " + ec.message());
  }

  void make_exchange() {
    // Weak: the last one to hold an exchange may be another thread, in which a connection must not end.
    auto deliver = [weak = this->weak_from_this(), &io = hub_.io(), number = ++exchange_number_](Response r) {
      asio::post(io, [weak, number, response = std::move(r)]() mutable {
        const auto self = weak.lock();
        if (self && number == self->exchange_number_) self->send(std::move(response));
      });
    };
    exchange_ = std::make_shared<Exchange>(hub_.service().budget(), std::move(deliver));
    exchange_->request.peer = peer_;
    exchange_->request.arrived = Clock::now();
  }

  void on_header() {
    make_exchange();
    const auto& message = parser_->get();
    Request& r = exchange_->request;
    r.method_name = std::string(message.method_string());
    r.method = parse_method(r.method_name);
    for (const auto& field : message)
      r.headers.add(std::string(field.name_string()), std::string(field.value()));
    r.id = sane_request_id(r.headers.get("X-Request-Id"));
    auto target = parse_target({message.target().data(), message.target().size()});
    if (!target) return refuse(400, Refusal::bad_request, "the request's target is malformed");
    r.target = std::move(*target);
    if (message.version() != 11 && message.version() != 10)
      return refuse(505, Refusal::bad_request, "HTTP 1.1 is spoken here");
    if (r.headers.find("Transfer-Encoding") && !parser_->chunked())
      return refuse(501, Refusal::bad_request, "of transfer encodings chunked alone is read");
    std::optional<std::size_t> length;
    if (const auto l = parser_->content_length()) length = static_cast<std::size_t>(*l);
    if (auto response = hub_.service().admit(*exchange_, length)) return send(std::move(*response));
    if (r.method != Method::post || parser_->is_done()) return dispatch();
    at_ = At::body;
    parser_->get().body().lease = &exchange_->lease;
    arm(hub_.limits().body_time);
    if (equal_words(r.headers.get("Expect"), "100-continue") && buffer_.size() == 0) return ask_for_body();
    advance();
  }

  void ask_for_body() {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(stream_, asio::buffer(kContinue.data(), kContinue.size()),
                      [self = self()](beast::error_code ec, std::size_t) {
                        if (self->at_ != At::body) return;
                        if (ec) return self->close();
                        self->advance();
                      });
  }

  void dispatch() {
    at_ = At::handling;
    disarm();
    exchange_->request.body = std::move(parser_->get().body().bytes);
    exchange_->request.body_size = exchange_->request.body.size();
    hub_.service().handle(exchange_);
  }

  // --- writing

  void refuse(int status, Refusal reason, const std::string& text) {
    ++read_number_;  // what is being read is not waited for
    beast::error_code ignored;
    socket().cancel(ignored);
    if (exchange_ == nullptr) make_exchange();
    if (exchange_->request.id.empty()) exchange_->request.id = sane_request_id({});
    Response r = error_response(*exchange_, {status, reason, text, {}});
    r.closes = true;
    send(std::move(r));
  }

  void send(Response response) {
    if (at_ == At::closed || at_ == At::writing || exchange_ == nullptr) return;
    exchange_->forget();  // this is the answer, wherever it came from
    if (exchange_->abandoned()) return close();
    hub_.service().decorate(*exchange_, response);
    const bool head = exchange_->request.method == Method::head;
    const bool whole = parser_->is_done();  // else the rest of the request would be read as the next one
    const bool keep = whole && !response.closes && !hub_.draining() && parser_->get().keep_alive() &&
                      requests_ < hub_.limits().requests;
    response_ = std::move(response);
    const ByteView body = bytes_of(response_.body);
    exchange_->lease.grow(body.size());  // counted if there is room, sent either way
    message_.emplace(static_cast<http::status>(response_.status), 11);
    if (!response_.content_type.empty()) message_->set(http::field::content_type, response_.content_type);
    for (const auto& line : response_.headers) message_->insert(line.first, line.second);
    message_->keep_alive(keep);
    message_->body() = {reinterpret_cast<const char*>(body.data()), body.size()};
    if (response_.status != 204) message_->content_length(body.size());
    serializer_.emplace(*message_);
    at_ = At::writing;
    arm(hub_.limits().write_time);
    auto sent = [self = self(), keep, n = head ? 0 : body.size()](beast::error_code ec, std::size_t) {
      self->on_sent(ec, keep, n);
    };
    if (head)
      http::async_write_header(stream_, *serializer_, std::move(sent));
    else
      http::async_write(stream_, *serializer_, std::move(sent));
  }

  void on_sent(beast::error_code ec, bool keep, std::size_t body) {
    if (at_ == At::closed) return;
    disarm();
    hub_.service().finished(*exchange_, response_, ec ? 0 : body);
    serializer_.reset();
    message_.reset();
    response_ = {};
    exchange_.reset();
    if (ec) return close();
    if (keep) return begin_request();
    linger();
  }

  /// Ends the connection such that the answer arrives: closing a socket with unread bytes would take it back.
  void linger() {
    at_ = At::lingering;
    arm(Milliseconds(2000));
    StreamEnds<Stream>::end(stream_, [self = self()](beast::error_code) {
      if (self->at_ == At::lingering) self->discard(0);
    });
  }
  void discard(std::size_t so_far) {
    buffer_.consume(buffer_.size());
    socket().async_read_some(buffer_.prepare(kLargeRead),
                             [self = self(), so_far](beast::error_code ec, std::size_t n) {
                               if (self->at_ != At::lingering) return;
                               if (ec || so_far + n > kMaxDiscarded) return self->close();
                               self->discard(so_far + n);
                             });
  }

  void abandon() {
    if (exchange_->abandoned()) return;
    exchange_->abandon();
    hub_.service().metrics().clients_left.fetch_add(1);
  }

  /// A request without an answer: its work is dropped, and its line in the log says so.
  void give_up() {
    if (exchange_ == nullptr) return;
    abandon();
    exchange_->forget();
    Response r;
    r.status = 499;
    r.refusal = Refusal::abandoned;
    hub_.service().finished(*exchange_, r, 0);
    exchange_.reset();
  }

  Hub& hub_;
  Stream stream_;
  asio::steady_timer timer_;
  const std::string peer_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  SharedExchange exchange_;
  Response response_;
  std::optional<Message> message_;
  std::optional<http::serializer<false, http::span_body<const char>>> serializer_;
  At at_ = At::start;
  std::size_t requests_ = 0;
  unsigned timer_number_ = 0, read_number_ = 0, exchange_number_ = 0;
};

}  // namespace sam2unet::serve
