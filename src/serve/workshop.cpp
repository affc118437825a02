#include "serve/workshop.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "sam2unet/cores.h"
#include "sam2unet/errors.h"
#include "serve/segment_options.h"

namespace sam2unet::serve {
namespace {

constexpr std::size_t kBodies = 4096;  // bounded by the budget of bytes and by connections already
constexpr std::size_t kComputed = 2;   // results of large pictures take gigabytes
constexpr int kMostInFlight = 4;       // batches; how many there are at a time is the device's matter

double& seconds_of(const Ticket& ticket, Stage stage) {
  return ticket.piece().seconds.at(static_cast<std::size_t>(stage));
}

bool drop_if_abandoned(const Ticket& ticket) {
  if (!ticket.task->exchange->abandoned()) return false;
  ticket.piece().problem = Problem{499, Refusal::abandoned, "the client left", {}};
  finish(ticket);
  return true;
}

}  // namespace

Workshop::Workshop(const Options& options, Metrics& metrics)
    : metrics_(metrics),
      queue_(options.queue),
      batcher_(options.batch, options.batch_delay, metrics,
               [this](Ticket t) { computed_.put(std::move(t)); }),
      bodies_(kBodies),
      computed_(kComputed) {
  const int workers = options.workers > 0 ? options.workers : std::clamp(available_cores() / 2, 1, 4);
  for (int i = 0; i < workers; ++i) {
    decoders_.emplace_back([this] { decode_all(); });
    encoders_.emplace_back([this] { encode_all(); });
  }
  for (int i = 0; i < kMostInFlight; ++i) network_.emplace_back([this] { batcher_.run(); });
  preparer_ = std::thread([this] {
    while (auto f = bodies_.take()) (*f)();
  });
}

void Workshop::stop() {
  if (!preparer_.joinable()) return;
  bodies_.close();
  preparer_.join();
  queue_.close();
  queue_.drop_all();
  for (auto& t : decoders_) t.join();
  batcher_.close();
  for (auto& t : network_) t.join();
  computed_.close();
  for (auto& t : encoders_) t.join();
}

void Workshop::prepare(std::function<void()> f) {
  bodies_.put(std::move(f));
}

void Workshop::decode_all() {
  while (auto ticket = queue_.pop()) {
    if (drop_if_abandoned(*ticket)) continue;
    const double waited = std::chrono::duration<double>(Clock::now() - ticket->task->accepted).count();
    seconds_of(*ticket, Stage::queue) = waited;
    metrics_.stage(Stage::queue).observe(waited);
    decode(*ticket);
    if (ticket->piece().problem)
      finish(*ticket);
    else
      batcher_.put(std::move(*ticket));
  }
}

void Workshop::decode(const Ticket& ticket) {
  Piece& piece = ticket.piece();
  if (ticket.task->tensor) return;
  const Stopwatch watch;
  try {
    ImageInfo info;
    piece.pixels = decode_image(piece.bytes, ticket.task->decode, piece.name, &info);
    piece.color_profile = std::move(info.color_profile);
    check_tiles(ticket.task->segment, piece.pixels);
  } catch (...) {
    piece.problem = problem_of(std::current_exception());
    const bool is_unknown = piece.problem->status == 422 && !detect_image_format(piece.bytes);
    if (is_unknown) piece.problem->status = 415;
  }
  piece.own = {};
  seconds_of(ticket, Stage::decode) = watch.seconds();
  metrics_.stage(Stage::decode).observe(watch.seconds());
}

void Workshop::encode_all() {
  while (auto ticket = computed_.take()) {
    if (drop_if_abandoned(*ticket)) continue;
    if (!ticket->piece().problem) encode(*ticket);
    finish(*ticket);
  }
}

void Workshop::encode(const Ticket& ticket) {
  Piece& piece = ticket.piece();
  const Stopwatch watch;
  try {
    ticket.task->encode(*ticket.task, piece);
    metrics_.pictures.fetch_add(1);
  } catch (...) {
    piece.outputs.clear();
    piece.problem = problem_of(std::current_exception());
  }
  seconds_of(ticket, Stage::encode) = watch.seconds();
  metrics_.stage(Stage::encode).observe(watch.seconds());
}

}  // namespace sam2unet::serve
