// A whole service: started, run, ended. What the program and the tests use.
#pragma once

#include <cstdint>
#include <memory>
#include <thread>

#include "serve/options.h"

namespace sam2unet::serve {

class Server {
 public:
  /// Binds its address. UsageError, FileError, UnavailableError.
  explicit Server(Options options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;
  /// Loads the weights in a second thread and serves in the calling one, until drained or stopped. Throws
  /// what the first load throws.
  void run();
  /// From any thread: finishes what was accepted, then `run` returns.
  void drain();
  /// From any thread: reads weights and token again.
  void reload();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sam2unet::serve
