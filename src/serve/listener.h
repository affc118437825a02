// The sockets: accepts connections, reads requests, writes answers; one thread for all of them. Boost.Beast
// is behind this header, in the few files that need it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "serve/options.h"
#include "serve/service.h"

namespace sam2unet::serve {

class Listener {
 public:
  /// Binds. FileError if the address cannot be had, UnavailableError for TLS in a build without it.
  Listener(const Options& options, Service& service);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  std::uint16_t port() const;
  /// In the calling thread, until drained or stopped. False if the drain time passed with requests underway.
  bool run();
  /// From any thread: takes no more work, and ends when what was accepted is answered.
  void drain();
  /// From any thread: ends at once.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sam2unet::serve
