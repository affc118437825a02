// The Open Inference Protocol, version 2, over REST. Each model is there twice: NAME takes the network's own
// input (FP32 [N,3,H,W]) and gives logits, NAME-picture takes picture files (BYTES) and gives maps.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "sam2unet/version.h"
#include "serve/compression.h"
#include "serve/oip.h"
#include "serve/tasks.h"

namespace sam2unet::serve {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kPictureSuffix = "-picture";
constexpr const char* kTensorInput = "input";
constexpr const char* kPictureInput = "picture";
constexpr const char* kLogits = "logits";
constexpr const char* kMap = "map";

enum class Face { tensor, picture };

struct Found {
  SharedModel model;
  Face face = Face::tensor;
  std::string name;
};

// Path values: name, and the version where the path has one.
Found find_model(const Context& context, const Request& request) {
  const std::string& name = request.path_values.at(0);
  Found out{nullptr, Face::tensor, name};
  if (context.models.loaded()) out.model = context.models.find(name);
  if (out.model == nullptr && name.ends_with(kPictureSuffix)) {
    out.face = Face::picture;
    out.model = model_or_refuse(context, name.substr(0, name.size() - kPictureSuffix.size()));
  }
  if (out.model == nullptr) model_or_refuse(context, name);  // says why
  if (request.path_values.size() > 1 && request.path_values[1] != std::to_string(out.model->version)) {
    throw Refused(404, Refusal::not_found,
                  fmt::format("model {} has the version {} alone", name, out.model->version));
  }
  return out;
}

Response json_response(const Json& json, int status = 200) {
  return text_response(status, "application/json", json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Json tensor(const char* name, const char* type, std::vector<std::int64_t> shape) {
  return {{"name", name}, {"datatype", type}, {"shape", std::move(shape)}};
}

// Arrays are named as such: what {x} means for a JSON value x, an array or a copy, compilers do not agree on.
// -1: whatever the request brings.
Json metadata(const Found& found) {
  const std::int64_t channels = found.model->network->info().channels;
  Json out{{"name", found.name},
           {"versions", Json::array({std::to_string(found.model->version)})},
           {"platform", "sam2unet"}};
  if (found.face == Face::tensor) {
    out["inputs"] = Json::array({tensor(kTensorInput, "FP32", {-1, 3, -1, -1})});
    out["outputs"] = Json::array({tensor(kLogits, "FP32", {-1, channels, -1, -1})});
  } else {
    out["inputs"] = Json::array({tensor(kPictureInput, "BYTES", {-1})});
    out["outputs"] = Json::array({tensor(kMap, "FP32", {-1, channels, -1, -1})});
  }
  return out;
}

Json config(const Found& found) {
  Json out = metadata(found);
  for (const auto& [from, to] : {std::pair{"inputs", "input"}, {"outputs", "output"}}) {
    Json tensors = Json::array();
    // Nothing of an object is held while it gets a new name: it may move its values.
    for (const Json& t : out[from]) {
      tensors.push_back({{"name", t["name"]},
                         {"data_type", t["datatype"] == "BYTES" ? "TYPE_STRING" : "TYPE_FP32"},
                         {"dims", t["shape"]}});
    }
    out.erase(from);
    out[to] = std::move(tensors);
  }
  out.erase("versions");
  out["max_batch_size"] = 0;
  return out;
}

Json statistics(const Context& context, const Found& found) {
  Metrics& m = context.metrics;
  const std::uint64_t done = m.pictures.load(), batches = m.batches.load();
  const Json one{{"name", found.name},
                 {"version", std::to_string(found.model->version)},
                 {"inference_count", done},
                 {"execution_count", batches}};
  return {{"model_stats", Json::array({one})}};
}

// --- infer

const oip::Input& only_input(const oip::InferRequest& request, const char* name, oip::DataType type) {
  if (request.inputs.size() != 1 || request.inputs[0].name != name || request.inputs[0].type != type)
    throw bad_request(fmt::format("this model has one input, '{}' of {}", name, oip::name_of(type)));
  return request.inputs[0];
}

// How the one output is wanted.
oip::Encoding wanted_encoding(const oip::InferRequest& request, const char* name) {
  if (request.outputs.empty()) return request.encoding;
  if (request.outputs.size() != 1 || request.outputs[0].name != name)
    throw bad_request(fmt::format("this model has one output, '{}'", name));
  return request.outputs[0].encoding;
}

Response respond(const Exchange& exchange, const oip::InferResponse& response) {
  oip::EncodedResponse encoded = oip::encode(response);
  Response r;
  r.content_type = encoded.json_length ? "application/octet-stream" : "application/json";
  if (encoded.json_length)
    r.headers.add("Inference-Header-Content-Length", std::to_string(*encoded.json_length));
  // Triton's clients ask for it by this header, and count the JSON's length before compression.
  if (const auto coding = choose_coding(exchange.request.headers.get("Accept-Encoding"))) {
    r.headers.add("Content-Encoding", std::string(name_of(*coding)));
    encoded.body = compress(encoded.body, *coding);
  }
  r.body = std::move(encoded.body);
  return r;
}

int checked_side(std::int64_t side, const Limits& limits) {
  constexpr int kStep = 32;
  if (side < kStep || side % kStep != 0 || side > limits.side)
    throw bad_request(
        fmt::format("'{}': height and width must be multiples of 32 up to {} (--max-size), not {}",
                    kTensorInput, limits.side, side));
  return static_cast<int>(side);
}

Tensor tensor_of(oip::Input& input, const Limits& limits) {
  const auto& shape = input.shape;
  constexpr std::int64_t kMax = 256;
  if (shape.size() != 4 || shape[1] != 3 || shape[0] < 1 || shape[0] > kMax)
    throw bad_request(fmt::format("'{}': the shape must be [N,3,H,W], N from 1 to {}", kTensorInput, kMax));
  Tensor out;
  out.count = static_cast<int>(shape[0]);
  out.size = InputSize::of(checked_side(shape[3], limits), checked_side(shape[2], limits));
  out.values = std::move(input.values);
  return out;
}

void infer_tensor(const Context& context, const SharedTask& task, oip::InferRequest request,
                  const std::string& name) {
  only_input(request, kTensorInput, oip::DataType::fp32);
  const oip::Encoding encoding = wanted_encoding(request, kLogits);
  task->tensor = tensor_of(request.inputs[0], context.options.limits);
  task->pieces.resize(1);
  task->encode = [](Task&, Piece&) {};
  submit(context, task, [encoding, name, id = request.id](Task& t) {
    if (t.pieces[0].problem) return error_response(*t.exchange, *t.pieces[0].problem);
    Tensor& x = *t.tensor;
    oip::InferResponse response{name, std::to_string(t.model->version), id, {}};
    response.outputs.push_back({kLogits,
                                {x.count, t.model->network->info().channels, x.size.height, x.size.width},
                                std::move(x.logits),
                                encoding});
    return respond(*t.exchange, response);
  });
}

void infer_pictures(const Context& context, const SharedTask& task, oip::InferRequest request,
                    const std::string& name) {
  only_input(request, kPictureInput, oip::DataType::bytes);
  const oip::Encoding encoding = wanted_encoding(request, kMap);
  auto& elements = request.inputs[0].elements;
  if (elements.empty() || elements.size() > context.options.limits.parts)
    throw bad_request(
        fmt::format("'{}': 1 to {} pictures (--max-parts)", kPictureInput, context.options.limits.parts));
  task->pieces.resize(elements.size());
  for (std::size_t i = 0; i < elements.size(); ++i) {
    Piece& piece = task->pieces[i];
    piece.name = elements.size() == 1 ? "picture" : fmt::format("picture {}", i + 1);
    piece.own = std::move(elements[i]);
    piece.bytes = piece.own;
  }
  struct Maps {
    std::mutex mutex;
    std::vector<std::vector<float>> values;
    int width = 0, height = 0;  // of all, since they become one tensor
    Budget::Lease lease;
  };
  auto maps = std::make_shared<Maps>();
  maps->values.resize(elements.size());
  maps->lease = Budget::Lease(context.budget);
  task->encode = [maps](Task& t, Piece& piece) {
    Segmentation& s = piece.result;
    const std::lock_guard lock(maps->mutex);
    if (maps->width == 0) {
      maps->width = s.width;
      maps->height = s.height;
    }
    if (s.width != maps->width || s.height != maps->height)
      throw bad_request("pictures of different sizes do not fit into one tensor: send them one by one");
    if (!maps->lease.grow(s.probabilities.size() * sizeof(float)))
      throw Refused(429, Refusal::memory_full,
                    "too many bytes are held by requests (--max-in-flight); try again later");
    maps->values[static_cast<std::size_t>(&piece - t.pieces.data())] = std::move(s.probabilities);
  };
  submit(context, task, [maps, encoding, name, id = request.id](Task& t) {
    for (const Piece& p : t.pieces)
      if (p.problem) return error_response(*t.exchange, *p.problem);
    oip::Output output{kMap,
                       {static_cast<std::int64_t>(t.pieces.size()), t.model->network->info().channels,
                        maps->height, maps->width},
                       {},
                       encoding};
    for (auto& v : maps->values) {
      output.values.insert(output.values.end(), v.begin(), v.end());
      v = {};
    }
    oip::InferResponse response{name, std::to_string(t.model->version), id, {}};
    response.outputs.push_back(std::move(output));
    return respond(*t.exchange, response);
  });
}

std::optional<std::size_t> json_length(const Headers& headers) {
  const auto text = headers.find("Inference-Header-Content-Length");
  if (!text) return std::nullopt;
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size())
    throw bad_request("Inference-Header-Content-Length must be a number");
  return value;
}

void infer(const Context& context, const SharedExchange& exchange) {
  const Found found = find_model(context, exchange->request);
  oip::InferRequest request =
      oip::parse_infer_request(exchange->request.body, json_length(exchange->request.headers));
  exchange->request.body = {};  // its tensors are out of it
  SharedTask task = new_task(context, exchange, found.model);
  if (found.face == Face::tensor)
    infer_tensor(context, task, std::move(request), found.name);
  else
    infer_pictures(context, task, std::move(request), found.name);
}

Response server_metadata() {
  return json_response(
      {{"name", "sam2unet"}, {"version", version()}, {"extensions", Json::array({"binary_tensor_data"})}});
}

Response repository_index(const Context& context) {
  Json out = Json::array();
  for (const SharedModel& model : context.models.all()) {
    for (const std::string& name : {model->name, model->name + std::string(kPictureSuffix)})
      out.push_back({{"name", name}, {"version", std::to_string(model->version)}, {"state", "READY"}});
  }
  return json_response(out);
}

}  // namespace

void add_oip_routes(Router& router, const Context& context) {
  const auto add = [&router](Method method, const std::string& path, Access access, Handler handler) {
    router.add({method, path, access, ErrorStyle::error, std::move(handler)});
  };
  add(Method::get, "/v2", Access::token, [](const SharedExchange& e) { e->answer(server_metadata()); });
  add(Method::get, "/v2/health/live", Access::open, [](const SharedExchange& e) {
    e->answer(json_response({{"live", true}}));
  });
  add(Method::get, "/v2/health/ready", Access::open, [&context](const SharedExchange& e) {
    const bool ready = context.phase.load() == Phase::serving;
    e->answer(json_response({{"ready", ready}}, ready ? 200 : 503));
  });
  add(Method::post, "/v2/repository/index", Access::token,
      [&context](const SharedExchange& e) { e->answer(repository_index(context)); });
  for (const std::string model : {"/v2/models/{}", "/v2/models/{}/versions/{}"}) {
    add(Method::get, model, Access::token, [&context](const SharedExchange& e) {
      e->answer(json_response(metadata(find_model(context, e->request))));
    });
    add(Method::get, model + "/ready", Access::token, [&context](const SharedExchange& e) {
      const Found found = find_model(context, e->request);
      const bool ready = context.phase.load() == Phase::serving;
      e->answer(json_response({{"name", found.name}, {"ready", ready}}, ready ? 200 : 503));
    });
    add(Method::get, model + "/config", Access::token, [&context](const SharedExchange& e) {
      e->answer(json_response(config(find_model(context, e->request))));
    });
    add(Method::get, model + "/stats", Access::token, [&context](const SharedExchange& e) {
      e->answer(json_response(statistics(context, find_model(context, e->request))));
    });
    add(Method::post, model + "/infer", Access::token,
        [&context](const SharedExchange& e) { infer(context, e); });
  }
}

}  // namespace sam2unet::serve
