// sam2unet-train: the training component, started by `sam2unet train`.
#include <c10/util/Logging.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>

#include "core/clock_text.h"
#include "core/default_model.h"
#include "core/file.h"
#include "sam2unet/errors.h"
#include "sam2unet/listing.h"
#include "sam2unet/models.h"
#include "train/parallel.h"
#include "train/plan.h"
#include "train/trainer.h"

namespace {

using namespace sam2unet;
using namespace sam2unet::train;

std::atomic<bool> stop_requested{false};

std::string option_name(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return "--" + key;
}

// What the program decides comes first, then --config or the stored run, the recipe, and last the options on
// the command line.
struct Arguments {
  Settings given;
  CLI::Option* recipe = nullptr;
  std::vector<std::function<void(Settings&)>> overrides;
  std::string config;
  bool resume = false;
  bool plan = false, json = false;
  std::string memory, overhead;
};

// "--decay-all, --no-decay-all" without CLI11's "{false}".
struct HelpFormatter : CLI::Formatter {
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    std::string name = CLI::Formatter::make_option_name(option, is_positional);
    if (const auto at = name.find("{false}"); at != std::string::npos) name.erase(at);
    return name;
  }
};

// One option of the type of its field.
template <class T>
CLI::Option* add_option(CLI::App& app, const std::string& name, T& field, const char* help) {
  if constexpr (std::is_same_v<T, bool>) {
    return app.add_flag(name + ",--no-" + name.substr(2) + "{false}", field, help);
  } else if constexpr (Choice<T> || std::is_same_v<T, Fold>) {
    auto* option = app.add_option_function<std::string>(
        name, [name, &field](const std::string& text) { parse_setting(name.substr(2), text, field); }, help);
    if constexpr (Choice<T>) option->default_str(std::string(name_of(field)));
    return option;
  } else {
    auto* option = app.add_option(name, field, help);
    if constexpr (std::is_same_v<T, std::vector<double>>) {
      option->delimiter(',');
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    } else if (field != T{}) {
      option->capture_default_str();
    }
    return option;
  }
}

void add_options(CLI::App& app, Arguments& a) {
  Settings::visit(a.given, [&](const char* group, const char* key, auto& field, const char* help) {
    using T = std::remove_reference_t<decltype(field)>;
    CLI::Option* option = add_option(app, option_name(key), field, help);
    option->group(group);
    if constexpr (std::is_same_v<T, Recipe>) a.recipe = option;
    a.overrides.push_back([option, name = std::string(key), &field](Settings& s) {
      if (option->count() == 0) return;
      Settings::visit(s, [&](const char*, const char* other, auto& target, const char*) {
        if constexpr (std::is_same_v<std::remove_reference_t<decltype(target)>, T>) {
          if (name == other) target = field;
        }
      });
    });
  });
  app.add_option("--config", a.config, "A run's train.toml to repeat; options here come on top");
  auto* plan =
      app.add_flag("--plan", a.plan, "Only say which networks, batches and precisions fit into --memory");
  auto* memory = app.add_option("--memory", a.memory, "With --plan: memory there is, such as 12G");
  plan->needs(memory);
  memory->needs(plan);
  app.add_option("--overhead", a.overhead,
                 "With --plan: memory for the process itself (default 512M, on a GPU 1G)")
      ->needs(plan);
  app.add_flag("--json", a.json, "With --plan: print it as JSON")->needs(plan);
  app.add_flag("--resume", a.resume, "Go on with the run in --out");
  for (auto* o : {app.get_option("--config"), app.get_option("--resume")}) o->group("The run and its files");
}

Settings read_settings(const std::filesystem::path& file) {
  const auto bytes = read_file(file);
  return Settings::from_toml({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                             std::filesystem::absolute(file).parent_path());
}

Settings settle(const Arguments& a) {
  Settings s;
  const bool is_stored = a.resume || !a.config.empty();
  if (is_stored)
    s = read_settings(a.resume ? std::filesystem::path(a.given.out) / "train.toml"
                               : std::filesystem::path(a.config));
  if (a.resume) s.out = a.given.out;
  if (!is_stored || a.recipe->count() > 0) apply_recipe(s, a.given.recipe);
  if (!a.given.classes.empty()) apply_classes(s);
  for (const auto& o : a.overrides) o(s);
  if (s.init == kInitDefault)
    s.init = find_default_model(own_folder()).string();
  else if (s.init != kInitScratch)
    s.init = find_weights(s.init).string();
  return s;
}

// What was printed is on its way, or the exit code says that it is not.
void flush_stdout() {
  std::cout.flush();
  if (!std::cout || std::fflush(stdout) != 0) throw FileError("cannot write to standard output");
}

int print_plan(const Arguments& a) {
  const Settings s = settle(a);
  Settings complete = s;
  if (s.images.empty()) complete.images = complete.masks = {"DIR"};
  complete.validate();
  const Plan plan = make_plan(s, parse_bytes(a.memory),
                              a.overhead.empty() ? default_overhead(s.device) : parse_bytes(a.overhead));
  fmt::print("{}", a.json ? to_json(plan, s) : to_text(plan, s));
  return plan.recommended >= 0 ? 0 : 1;
}

std::string described(const StepReport& r) {
  return fmt::format("{}/{} loss {:.4f} {:.1f} pictures/s, {} left", r.batch, r.batches, r.loss,
                     r.pictures_per_s, clock_text(r.seconds_left));
}

void draw_bar(const StepReport& r) {
  const auto filled = static_cast<std::size_t>(24 * r.batch / r.batches);
  fmt::print(stderr, "\r\x1b[Kepoch {}/{} [{:<24}] {}", r.epoch, r.epochs, std::string(filled, '#'),
             described(r));
}

// Where no terminal shows a bar: the first batch and the last of an epoch, and in long ones a line every half
// minute.
class StepLines {
 public:
  void tell(const StepReport& r) {
    const auto now = std::chrono::steady_clock::now();
    const bool is_first = !told_;
    if (!is_first && r.batch < r.batches && now - *told_ < std::chrono::seconds(30)) return;
    told_ = now;
    fmt::print(stderr, "epoch {}/{}: batch {}\n", r.epoch, r.epochs, described(r));
  }

 private:
  std::optional<std::chrono::steady_clock::time_point> told_;
};

int train_run(const Arguments& arguments) {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_requested = true; };
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  // A file that may not grow and a process that is gone are errors that are told, not the end.
  ::signal(SIGXFSZ, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);

  Listener listener;
  const bool is_terminal = ::isatty(STDERR_FILENO) == 1;
  const auto clear = is_terminal ? "\r\x1b[K" : "";
  listener.message = [&](const std::string& line) { fmt::print(stderr, "{}{}\n", clear, line); };
  StepLines lines;
  listener.step = [&](const StepReport& r) { is_terminal ? draw_bar(r) : lines.tell(r); };
  listener.stop = [] { return stop_requested.load(); };
  Settings settings = settle(arguments);
  const std::string out = settings.out;
  settings.resolve_paths(std::filesystem::current_path());
  const RunResult r = run(settings, arguments.resume ? Begin::resume : Begin::fresh, listener);
  if (r.finished && place_from_environment().rank == 0) fmt::print("{}/last.safetensors\n", out);
  return 0;
}

// What a pairing that fails asks for, by the options of this program.
std::string with_options(const PairingError& e) {
  switch (e.remedy()) {
    case PairingError::Remedy::none:
      break;
    case PairingError::Remedy::recursive:
      return fmt::format("{} (--recursive looks into them)", e.what());
    case PairingError::Remedy::patterns:
      return fmt::format("{} (--images 'DIR/*.jpg' --masks 'DIR/*.png', or --mask-suffix _mask)", e.what());
    case PairingError::Remedy::affixes: {
      std::string options;
      const auto add = [&](const char* option, const std::string& text) {
        if (!text.empty()) options += fmt::format("{}{} '{}'", options.empty() ? "" : " ", option, text);
      };
      add("--image-prefix", e.first().prefix);
      add("--image-suffix", e.first().suffix);
      add("--mask-prefix", e.second().prefix);
      add("--mask-suffix", e.second().suffix);
      return fmt::format("{} ({})", e.what(), options);
    }
  }
  return e.what();
}

int run_command(CLI::App& app, int argc, char** argv, const Arguments& arguments) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help
    throw UsageError(std::string(e.what()) + " (see `sam2unet train --help`)");
  }
  return arguments.plan ? print_plan(arguments) : train_run(arguments);
}

}  // namespace

int main(int argc, char** argv) {
  // LibTorch's threads spin while they wait, which on shared cores costs many times the work; OpenMP reads
  // this when it is loaded, so the program starts itself again once.
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) {
    ::setenv("OMP_WAIT_POLICY", "passive", 1);
    ::execv("/proc/self/exe", argv);
  }
  ::setenv("TORCH_CPP_LOG_LEVEL", "FATAL", /*overwrite=*/0);  // what goes wrong is told by exceptions
  c10::initLogging();
  CLI::App app(
      "Train SAM2-UNet. The defaults are those of the official recipe.\n"
      "On several GPUs or machines: torchrun --no-python --nproc-per-node N sam2unet train ..., or srun, or "
      "mpirun.");
  app.formatter(std::make_shared<HelpFormatter>());
  app.name("sam2unet train");
  Arguments arguments;
  add_options(app, arguments);
  try {
    const int code = run_command(app, argc, argv, arguments);
    flush_stdout();
    return code;
  } catch (const LostProcess& e) {
    if (e.told() == LostProcess::Told::by_this) fmt::print(stderr, "sam2unet train: {}\n", e.what());
    // The broken group's threads may still wait for what will not come.
    std::fflush(nullptr);
    std::_Exit(1);
  } catch (const PairingError& e) {
    fmt::print(stderr, "sam2unet train: {}\n", with_options(e));
    return 2;
  } catch (const UsageError& e) {
    fmt::print(stderr, "sam2unet train: {}\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "sam2unet train: {}\n", e.what());
    return 1;
  }
}
