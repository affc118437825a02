#include "serve/tasks.h"

#include <fmt/format.h>

#include <charconv>
#include <system_error>
#include <utility>

namespace sam2unet::serve {

SharedModel model_or_refuse(const Context& context, std::string_view name) {
  SharedModel model = context.models.find(name);
  if (model != nullptr) return model;
  if (!context.models.loaded()) throw Refused(503, Refusal::not_ready, "the models are being loaded");
  throw Refused(404, Refusal::not_found, fmt::format("there is no model '{}'; /v1/models lists them", name));
}

SharedTask new_task(const Context& context, const SharedExchange& exchange, SharedModel model) {
  auto task = std::make_shared<Task>();
  task->exchange = exchange;
  task->client = exchange->request.peer;
  task->model = std::move(model);
  task->decode.max_pixels = context.options.limits.pixels;
  task->accepted = Clock::now();
  task->deadline = task->accepted + context.options.deadline;
  return task;
}

namespace {

Account account_of(const Task& task) {
  Account account;
  account.model = task.model->name;
  account.pictures = task.pieces.size();
  for (const Piece& piece : task.pieces)
    for (std::size_t i = 0; i < kStages; ++i) account.seconds.at(i) += piece.seconds.at(i);
  return account;
}

void add_timing(Response& response) {
  const auto& s = response.account.seconds;
  constexpr double kMilli = 1e3;
  response.headers.add(
      "Server-Timing",
      fmt::format("queue;dur={:.1f}, decode;dur={:.1f}, compute;dur={:.1f}, encode;dur={:.1f}", s[0] * kMilli,
                  s[1] * kMilli, s[2] * kMilli, s[3] * kMilli));
  response.headers.add("X-Sam2unet-Model", response.account.model);
}

}  // namespace

void submit(const Context& context, const SharedTask& task, std::function<Response(Task&)> answer) {
  task->done = [&options = context.options, answer = std::move(answer)](Task& t) {
    Response response;
    try {
      for (const Piece& p : t.pieces) {
        if (p.problem && !p.problem->internal.empty())
          options.say(fmt::format("request {}: {}", t.exchange->request.id, p.problem->internal));
      }
      response = answer(t);
    } catch (...) {
      response = error_response(*t.exchange, problem_of(std::current_exception()));
    }
    response.account = account_of(t);
    add_timing(response);
    t.exchange->answer(std::move(response));
  };
  if (!context.workshop.queue().push(task)) {
    throw Refused(429, Refusal::queue_full,
                  fmt::format("{} requests wait already (--queue); try again later", context.options.queue));
  }
}

double parse_number(std::string_view text, std::string_view what, double low, double high) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // Written so that NaN fails.
  if (error != std::errc() || end != text.data() + text.size() || !(value >= low && value <= high))
    throw bad_request(fmt::format("{} must be a number from {} to {}", what, low, high));
  return value;
}

bool parse_flag(std::string_view text, std::string_view what) {
  for (const std::string_view yes : {"", "1", "true", "yes", "on"})
    if (equal_words(text, yes)) return true;
  for (const std::string_view no : {"0", "false", "no", "off"})
    if (equal_words(text, no)) return false;
  throw bad_request(fmt::format("{} must be true or false", what));
}

}  // namespace sam2unet::serve
