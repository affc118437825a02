#include "serve/listener.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <string_view>
#include <utility>
#include <vector>

#include "sam2unet/errors.h"
#include "serve/connection_base.h"

namespace sam2unet::serve {

namespace asio = boost::asio;
using boost::system::error_code;
using Tcp = asio::ip::tcp;

void Hub::add(std::shared_ptr<ConnectionBase> c) {
  ConnectionBase* key = c.get();
  all_.emplace(key, std::move(c));
  service_.connections().store(all_.size());
}

void Hub::remove(ConnectionBase& c) {
  mark_busy(c);
  all_.erase(&c);
  service_.connections().store(all_.size());
}

void Hub::mark_idle(ConnectionBase& c) {
  if (c.is_idle_) return;
  c.is_idle_ = true;
  c.idle_place_ = idle_.insert(idle_.end(), &c);
}

void Hub::mark_busy(ConnectionBase& c) {
  if (!c.is_idle_) return;
  c.is_idle_ = false;
  idle_.erase(c.idle_place_);
}

bool Hub::any_working() const {
  return std::any_of(all_.begin(), all_.end(), [](const auto& c) { return c.second->is_working(); });
}

void Hub::look_for_hangups() {
  for (const auto& c : all_) c.second->look_for_hangup();
}

bool Hub::close_oldest_idle() {
  if (idle_.empty()) return false;
  const std::shared_ptr<ConnectionBase> oldest = all_.at(idle_.front());
  oldest->close();
  return true;
}

void Hub::drain() {
  draining_ = true;
  std::vector<std::shared_ptr<ConnectionBase>> idle;
  for (ConnectionBase* c : idle_) idle.push_back(all_.at(c));
  for (const auto& c : idle) c->drain();
}

void Hub::close_all() {
  const auto all = all_;
  for (const auto& c : all) c.second->close();
}

namespace {

constexpr Milliseconds kSweep{100};
constexpr std::string_view kFull =
    "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: 5\r\nContent-Type: "
    "application/json\r\n"
    "Content-Length: 61\r\n\r\n{\"error\":\"too many connections are open (--max-connections)\"}";

}  // namespace

struct Listener::Impl {
  Impl(const Options& o, Service& s)
      : options(o), service(s), hub(io, s, o), acceptor(io), signals(io), sweep_timer(io) {
    if (options.tls.wanted()) tls = make_tls_context(options.tls);
    bind();
  }

  void bind() {
    error_code ec;
    Tcp::resolver resolver(io);
    const auto resolve = [&](const std::string& host) {
      return resolver.resolve(host, std::to_string(options.port),
                              Tcp::resolver::passive | Tcp::resolver::numeric_service, ec);
    };
    auto found = resolve(options.host);
    // RFC 6761, 6.3: this machine, also in a bare container that knows no names.
    if (ec && options.host == "localhost") found = resolve("127.0.0.1");
    if (ec || found.empty())
      throw FileError(fmt::format("cannot listen on {}: {}", options.host, ec.message()));
    const Tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) acceptor.set_option(Tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor.bind(endpoint, ec);
    if (!ec) acceptor.listen(SOMAXCONN, ec);
    if (ec)
      throw FileError(
          fmt::format("cannot listen on {} port {}: {}", options.host, options.port, ec.message()));
  }

  void accept() {
    acceptor.async_accept([this](error_code ec, Socket socket) {
      if (ec == asio::error::operation_aborted || !acceptor.is_open()) return;
      if (!ec) {
        take(std::move(socket));
        return accept();
      }
      // Out of descriptors: idle connections have some.
      hub.close_oldest_idle();
      retry.expires_after(kSweep);
      retry.async_wait([this](error_code e) {
        if (!e) accept();
      });
    });
  }

  void take(Socket socket) {
    error_code ec;
    const auto endpoint = socket.remote_endpoint(ec);
    if (ec) return;
    service.metrics().accepted.fetch_add(1);
    socket.set_option(Tcp::no_delay(true), ec);
    socket.set_option(asio::socket_base::keep_alive(true), ec);
    if (hub.size() >= options.limits.connections && !hub.close_oldest_idle()) {
      service.metrics().count_refusal(Refusal::connections_full);
      socket.non_blocking(true, ec);
      if (tls == nullptr) socket.write_some(asio::buffer(kFull.data(), kFull.size()), ec);
      return;
    }
    auto address = endpoint.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped())
      address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    auto connection = tls ? tls->make_connection(std::move(socket), hub, address.to_string())
                          : make_plain_connection(std::move(socket), hub, address.to_string());
    connection->start();
  }

  void sweep() {
    sweep_timer.expires_after(kSweep);
    sweep_timer.async_wait([this](error_code ec) {
      if (ec) return;
      service.sweep();
      hub.look_for_hangups();
      if (hub.draining() && drained()) return io.stop();
      sweep();
    });
  }

  /// Nothing that was accepted is without an answer, twice in a row: what came between is told too.
  bool drained() {
    quiet = hub.any_working() ? 0 : quiet + 1;
    if (quiet >= 2) {
      clean = true;
      return true;
    }
    if (Clock::now() < drain_deadline) return false;
    options.say("the time to finish is over; requests are cut off (--drain-timeout)");
    return true;
  }

  void drain() {
    if (hub.draining()) return;
    options.say("shutting down: finishing what runs");
    service.drain();
    drain_deadline = Clock::now() + options.drain_time;
    hub.drain();
  }

  void wait_for_signal() {
    signals.async_wait([this](error_code ec, int number) {
      if (ec) return;
      if (number == SIGHUP)
        service.reload();
      else if (hub.draining())
        return io.stop();
      else
        drain();
      wait_for_signal();
    });
  }

  const Options& options;
  Service& service;
  asio::io_context io{1};
  Hub hub;
  Tcp::acceptor acceptor;
  asio::signal_set signals;
  asio::steady_timer sweep_timer;
  asio::steady_timer retry{io};
  std::unique_ptr<TlsContext> tls;
  Clock::time_point drain_deadline;
  int quiet = 0;
  bool clean = false;
};

Listener::Listener(const Options& options, Service& service)
    : impl_(std::make_unique<Impl>(options, service)) {}
Listener::~Listener() = default;

std::uint16_t Listener::port() const {
  return impl_->acceptor.local_endpoint().port();
}

bool Listener::run() {
  Impl& i = *impl_;
  if (i.options.handle_signals) {
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) i.signals.add(number);
    i.wait_for_signal();
  }
  i.accept();
  i.sweep();
  i.io.run();
  error_code ignored;
  i.acceptor.close(ignored);
  i.hub.close_all();
  return i.clean;
}

void Listener::drain() {
  asio::post(impl_->io, [this] { impl_->drain(); });
}

void Listener::stop() {
  impl_->io.stop();
}

}  // namespace sam2unet::serve
