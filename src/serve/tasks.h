// What the groups of routes share: making a task of a request, and an answer of a finished one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "serve/service.h"
#include "serve/work.h"

namespace sam2unet::serve {

/// The model of that name, or the default one for "". Refused 404, or 503 while nothing is loaded.
SharedModel model_or_refuse(const Context& context, std::string_view name);

/// A task with model, client and deadline, still without pieces.
SharedTask new_task(const Context& context, const SharedExchange& exchange, SharedModel model);

/// Hands the task to the queue, or refuses with 429. Account and timing headers are filled in before `answer`
/// makes the response of a finished task; what that throws becomes an error.
void submit(const Context& context, const SharedTask& task, std::function<Response(Task&)> answer);

/// Of a text such as "0.5": a number from `low` to `high`. Refused 400.
double parse_number(std::string_view text, std::string_view what, double low, double high);
/// "1", "true", "yes", "on" and their opposites; "" is true, as of a parameter without a value. Refused 400.
bool parse_flag(std::string_view text, std::string_view what);

}  // namespace sam2unet::serve
