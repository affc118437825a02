// POST /v1/segment: pictures in, what predict would write out.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "serve/archive.h"
#include "serve/multipart.h"
#include "serve/segment_options.h"
#include "serve/tasks.h"

namespace sam2unet::serve {
namespace {

// What the body brings.
struct Pictures {
  std::vector<Piece> pieces;
  SegmentParameters parameters;
};

bool is_multipart(std::string_view content_type) {
  constexpr std::string_view kMultipart = "multipart/";
  return content_type.size() >= kMultipart.size() &&
         equal_words(content_type.substr(0, kMultipart.size()), kMultipart);
}

Pictures read_request(const Request& request, const Limits& limits) {
  Pictures out;
  for (const Parameter& p : request.target.query) out.parameters.set(p.name, p.value, limits);
  const std::string_view type = request.headers.get("Content-Type");
  if (!is_multipart(type)) {
    if (request.body.empty()) throw bad_request("the body is empty: send a picture, or a form with pictures");
    Piece piece;
    piece.name = out.parameters.name.empty() ? "picture" : out.parameters.name;
    piece.bytes = request.body;
    out.pieces.push_back(std::move(piece));
    return out;
  }
  const auto parts = parse_multipart(request.body, boundary_of(type), {.parts = limits.parts});
  for (const Part& part : parts) {
    if (!part.is_file) {
      out.parameters.set(part.name, part.text(), limits);
      continue;
    }
    if (part.file_name.empty() && part.bytes.empty()) continue;  // a form's field nobody filled
    Piece piece;
    piece.name = part.file_name.empty() ? fmt::format("picture{}", out.pieces.size() + 1) : part.file_name;
    piece.bytes = part.bytes;
    out.pieces.push_back(std::move(piece));
  }
  if (out.pieces.empty()) throw bad_request("the form has no file: send pictures as files, under any name");
  return out;
}

Response all_failed(const Task& task) {
  const Problem& first = *task.pieces.front().problem;
  return error_response(*task.exchange, first);
}

Response single(Task& task) {
  Output& o = task.pieces.front().outputs.front();
  Response r;
  r.content_type = o.content_type;
  r.headers.add("Content-Disposition", disposition("inline", o.file_name));
  r.body = std::move(o.bytes);
  return r;
}

// Counts what an answer grows to, over all encoding threads.
class AnswerSize {
 public:
  AnswerSize(std::size_t limit, Budget& budget) : limit_(limit), lease_(budget) {}

  void add(const Piece& piece) {
    std::size_t bytes = 0;
    for (const Output& o : piece.outputs) bytes += o.bytes.size();
    const std::lock_guard lock(mutex_);
    size_ += bytes;
    if (size_ > limit_) {
      throw Refused(
          413, Refusal::too_large,
          fmt::format(
              "the answer would have more than {} bytes (--max-answer): send fewer pictures at a time",
              limit_));
    }
    if (!lease_.grow(bytes))
      throw Refused(429, Refusal::memory_full,
                    "too many bytes are held by requests (--max-in-flight); try again later");
  }

 private:
  const std::size_t limit_;
  std::mutex mutex_;
  std::size_t size_ = 0;
  Budget::Lease lease_;
};

void segment(const Context& context, const SharedExchange& exchange) {
  const Request& request = exchange->request;
  const Limits& limits = context.options.limits;
  Pictures pictures = read_request(request, limits);
  const auto plan = std::make_shared<SegmentPlan>();
  SharedTask task = new_task(context, exchange, model_or_refuse(context, pictures.parameters.model));
  *plan = plan_for(pictures.parameters, *task->model, limits);
  task->segment = plan->segment;
  task->decode = plan->decode;
  task->pieces = std::move(pictures.pieces);
  auto stems = std::make_shared<std::vector<std::string>>();
  FreeNames names;
  for (const Piece& piece : task->pieces) stems->push_back(names.take_stem(piece.name, plan->endings));
  const bool is_single = task->pieces.size() == 1 && plan->kinds.size() == 1 && !pictures.parameters.archive;
  const auto size =
      std::make_shared<AnswerSize>(is_single ? limits.in_flight : limits.answer, context.budget);
  task->encode = [plan, stems, size](Task& t, Piece& piece) {
    encode_outputs(*plan, (*stems)[static_cast<std::size_t>(&piece - t.pieces.data())], piece);
    size->add(piece);
  };
  const bool wants_zip = accepts(request.headers.get("Accept"), "application/zip") &&
                         request.headers.get("Accept").find("application/zip") != std::string_view::npos;
  const ArchiveKind kind =
      pictures.parameters.archive.value_or(wants_zip ? ArchiveKind::zip : ArchiveKind::multipart);
  submit(context, task, [is_single, kind](Task& t) {
    const bool any = std::any_of(t.pieces.begin(), t.pieces.end(), [](const Piece& p) { return !p.problem; });
    if (!any) return all_failed(t);
    return is_single ? single(t) : archive(t.pieces, kind);
  });
}

}  // namespace

void add_segment_routes(Router& router, const Context& context) {
  router.add({Method::post, "/v1/segment", Access::token, ErrorStyle::error,
              [&context](const SharedExchange& e) { segment(context, e); }});
}

}  // namespace sam2unet::serve
