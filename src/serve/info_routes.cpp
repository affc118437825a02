// What the service says of itself: /healthz, /readyz, /metrics, /v1/models, /openapi.json.
#include <nlohmann/json.hpp>

#include "sam2unet/version.h"
#include "serve/assets.h"
#include "serve/tasks.h"

namespace sam2unet::serve {
namespace {

using Json = nlohmann::ordered_json;

Json describe(const Model& model) {
  const SegmenterInfo& info = model.network->info();
  Json out{{"name", model.name},
           {"version", model.version},
           {"variant", info.variant},
           {"device", info.device},
           {"precision", std::string(sam2unet::name_of(info.precision))},
           {"size", {{"width", info.size.width}, {"height", info.size.height}}},
           {"fit", std::string(sam2unet::name_of(info.fit))},
           {"channels", info.channels}};
  out["classes"] = Json::array();
  if (const auto table = model.network->classes()) {
    for (int id = 0; id < table->size(); ++id) {
      const ClassInfo& c = table->classes[static_cast<std::size_t>(id)];
      out["classes"].push_back({{"id", id}, {"name", c.name}, {"color", to_string(c.color)}});
    }
  }
  return out;
}

Response models(const Context& context) {
  model_or_refuse(context, "");
  Json list = Json::array();
  for (const SharedModel& model : context.models.all()) list.push_back(describe(*model));
  const Limits& l = context.options.limits;
  const Json out{
      {"models", std::move(list)},
      {"version", version()},
      {"limits", {{"upload_bytes", l.upload}, {"pixels", l.pixels}, {"files", l.parts}, {"size", l.side}}}};
  return text_response(200, "application/json",
                       out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Response ready(const Context& context) {
  switch (context.phase.load()) {
    case Phase::loading:
      return text_response(503, "text/plain; charset=utf-8", "loading\n");
    case Phase::draining:
      return text_response(503, "text/plain; charset=utf-8", "draining\n");
    case Phase::serving:
      break;
  }
  return text_response(200, "text/plain; charset=utf-8", "ready\n");
}

Response metrics(const Context& context) {
  const Gauges gauges{.waiting = context.workshop.queue().size(),
                      .waiting_limit = context.workshop.queue().capacity(),
                      .in_flight = context.budget.used(),
                      .in_flight_limit = context.budget.limit(),
                      .connections = context.connections.load(),
                      .ready = context.phase.load() == Phase::serving};
  return text_response(200, "text/plain; version=0.0.4; charset=utf-8", context.metrics.text(gauges));
}

}  // namespace

void add_info_routes(Router& router, const Context& context) {
  const auto get = [&router](const char* path, Access access, std::function<Response()> make) {
    router.add({Method::get, path, access, ErrorStyle::error,
                [make = std::move(make)](const SharedExchange& e) { e->answer(make()); }});
  };
  get("/healthz", Access::open, [] { return text_response(200, "text/plain; charset=utf-8", "alive\n"); });
  get("/readyz", Access::open, [&context] { return ready(context); });
  get("/metrics", Access::token, [&context] { return metrics(context); });
  get("/v1/models", Access::token, [&context] { return models(context); });
  get("/openapi.json", Access::open,
      [] { return text_response(200, "application/json", std::string(openapi_document())); });
}

}  // namespace sam2unet::serve
