#include "serve/work.h"

#include <new>

#include "sam2unet/errors.h"
#include "sam2unet/picture_limit.h"

namespace sam2unet::serve {

Problem problem_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Refused& e) {
    return {e.status(), e.reason(), e.what(), {}};
  } catch (const PictureTooLargeError& e) {
    return {413, Refusal::too_large, std::string(e.what()) + " (--max-pixels)", {}};
  } catch (const ImageError& e) {
    return {422, Refusal::unreadable_picture, e.what(), {}};
  } catch (const UsageError& e) {
    return {400, Refusal::bad_request, e.what(), {}};
  } catch (const WeightsError& e) {  // speaks of tensors, not of files
    return {500, Refusal::failed, "the model has no result for this picture", e.what()};
  } catch (const std::bad_alloc&) {
    return {500, Refusal::failed, "there is not enough memory for this picture; make it smaller first", {}};
  } catch (const std::exception& e) {
    return {500, Refusal::failed, "the service failed on this request", e.what()};
  } catch (...) {
    return {500, Refusal::failed, "the service failed on this request", "unknown exception"};
  }
}

void finish(const Ticket& ticket) {
  Task& task = *ticket.task;
  Piece& piece = ticket.piece();
  piece.pixels = {};
  piece.result = {};
  piece.color_profile = {};
  if (task.left.fetch_sub(1) == 1) task.done(task);
}

void fail_rest(const SharedTask& task, std::size_t first, const Problem& problem) {
  for (std::size_t i = first; i < task->pieces.size(); ++i) {
    task->pieces[i].problem = problem;
    finish({task, i});
  }
}

}  // namespace sam2unet::serve
