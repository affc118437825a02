#include "eval_shared.h"

#include <set>

#include "outputs.h"
#include "sam2unet/errors.h"

namespace sam2unet::cli {

namespace fs = std::filesystem;

namespace {

// "NAME=DIR", or DIR, which is then called as the folder is; a folder whose own name has '=' in it is taken
// as such.
Method method_of(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals != std::string::npos && equals > 0 && !fs::exists(text))
    return {text.substr(0, equals), text.substr(equals + 1)};
  fs::path whole = fs::absolute(text).lexically_normal();
  // A pattern is called as the last folder that has a name.
  while (is_pattern(text) && whole.has_relative_path() && is_pattern(whole.filename()))
    whole = whole.parent_path();
  return {(whole.has_filename() ? whole.filename() : whole.parent_path().filename()).string(), text};
}

}  // namespace

std::vector<Method> methods_of(const EvalArguments& a) {
  std::vector<Method> methods;
  std::set<std::string> names;
  for (const std::string& text : a.predictions) {
    methods.push_back(method_of(text));
    if (!a.name.empty()) methods.back().name = a.name;
    if (!names.insert(methods.back().name).second) {
      throw UsageError("two predictions are called " + methods.back().name +
                       ": give them names, --pred NAME=DIR");
    }
  }
  return methods;
}

void check(const EvalArguments& a) {
  if (a.predictions.empty() && a.options.pictures.empty()) {
    throw UsageError("what is to be scored? Give --pred DIR, or --images DIR for the model to predict from");
  }
  if (!a.predictions.empty() && a.predicting_given) {
    throw UsageError(
        "--pred scores maps that are there; --weights, --size, --official, --device and --precision are for "
        "predicting: leave one out");
  }
  if (a.predictions.size() > 1 && !a.name.empty())
    throw UsageError("--name names one method; name several with --pred NAME=DIR");
  check_result_files({a.json, a.csv, a.dataset_csv, a.html});
}

}  // namespace sam2unet::cli
