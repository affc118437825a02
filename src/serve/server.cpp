#include "serve/server.h"

#include <exception>
#include <utility>

#include "serve/listener.h"
#include "serve/service.h"

namespace sam2unet::serve {
namespace {

Options completed(Options o) {
  if (!o.say) o.say = [](const std::string&) {};
  return o;
}

}  // namespace

struct Server::Impl {
  explicit Impl(Options o) : options(completed(std::move(o))), service(options), listener(options, service) {}
  const Options options;
  Service service;
  Listener listener;
};

Server::Server(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Server::~Server() {
  impl_->service.stop_work();
}

std::uint16_t Server::port() const {
  return impl_->listener.port();
}

void Server::run() {
  std::exception_ptr failure;
  std::thread loader([&] {
    try {
      impl_->service.load();
      impl_->options.say("ready");
    } catch (...) {
      failure = std::current_exception();
      impl_->listener.stop();
    }
  });
  impl_->listener.run();
  loader.join();
  impl_->service.stop_work();
  if (failure) std::rethrow_exception(failure);
}

void Server::drain() {
  impl_->listener.drain();
}

void Server::reload() {
  impl_->service.reload();
}

}  // namespace sam2unet::serve
