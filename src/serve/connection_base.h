// What the listener knows of its connections, and they of it. All of it belongs to one thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "serve/service.h"

namespace sam2unet::serve {

class ConnectionBase {
 public:
  virtual ~ConnectionBase() = default;
  virtual void start() = 0;
  /// At once, without an answer.
  virtual void close() = 0;
  /// Closes if it is idle and no request is on its way; otherwise the next answer is the last.
  virtual void drain() = 0;
  /// Finds out whether the client of a request that is worked on has left.
  virtual void look_for_hangup() = 0;
  /// A request was accepted and its answer is not sent yet.
  virtual bool is_working() const = 0;

 private:
  friend class Hub;
  std::list<ConnectionBase*>::iterator idle_place_;
  bool is_idle_ = false;
};

class Hub {
 public:
  Hub(boost::asio::io_context& io, Service& service, const Options& options)
      : io_(io), service_(service), options_(options) {}

  boost::asio::io_context& io() { return io_; }
  Service& service() { return service_; }
  const Limits& limits() const { return options_.limits; }
  bool draining() const { return draining_; }
  void drain();

  /// Holds it until it is removed, which is when it closes.
  void add(std::shared_ptr<ConnectionBase> c);
  void remove(ConnectionBase& c);
  void mark_idle(ConnectionBase& c);
  void mark_busy(ConnectionBase& c);
  std::size_t size() const { return all_.size(); }
  bool any_working() const;
  void look_for_hangups();
  /// Closes the connection that has been idle for longest. False if none is.
  bool close_oldest_idle();
  void close_all();

 private:
  std::unordered_map<ConnectionBase*, std::shared_ptr<ConnectionBase>> all_;
  std::list<ConnectionBase*> idle_;  // the longest first
  boost::asio::io_context& io_;
  Service& service_;
  const Options& options_;
  bool draining_ = false;
};

using Socket = boost::asio::ip::tcp::socket;
std::shared_ptr<ConnectionBase> make_plain_connection(Socket socket, Hub& hub, std::string peer);

/// Certificate and key of a service; what makes TLS connections.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  virtual std::shared_ptr<ConnectionBase> make_connection(Socket socket, Hub& hub, std::string peer) = 0;
};
/// FileError for files that cannot be used; UnavailableError in a build without OpenSSL.
std::unique_ptr<TlsContext> make_tls_context(const Tls& files);

}  // namespace sam2unet::serve
