// The program: subcommands, and the one place where an error becomes a line on stderr and an exit code.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "commands.h"
#include "progress.h"
#include "sam2unet/errors.h"
#include "sam2unet/version.h"

namespace {

enum ExitCode { kOk = 0, kFailed = 1, kUsage = 2 };

// One line, whatever the message held.
int report(std::string message, int code) {
  for (char& c : message) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  while (!message.empty() && message.back() == ' ') message.pop_back();
  std::fprintf(stderr, "sam2unet: %s\n", message.c_str());
  return code;
}

// What is wrong with the command line, and which help tells what is right.
std::string explain(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  const std::string first = argc > 1 ? argv[1] : "";
  const auto named = app.get_subcommands([&](const CLI::App* c) { return c->get_name() == first; });
  if (!named.empty()) {
    // Asking for an input after a mistyped option would send its writer looking in the wrong place.
    const bool extras = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
    const std::vector<std::string> unknown = named[0]->remaining();
    const bool is_option = !extras && !unknown.empty() && unknown[0].starts_with("-");
    const std::string what = is_option ? CLI::ExtrasError(unknown).what() : error.what();
    return what + " (see `sam2unet " + first + " --help`)";
  }
  std::string what = "a command is required";
  if (!first.empty()) what = (first[0] == '-' ? "unknown option '" : "unknown command '") + first + "'";
  return what + " (see `sam2unet --help`)";
}

int run(int argc, char** argv) {
  CLI::App app{"SAM2-UNet: segments camouflaged, salient, marine, mirror and polyp pictures.", "sam2unet"};
  app.set_version_flag("--version", std::string("sam2unet ") + sam2unet::version());
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  app.footer("`sam2unet COMMAND --help` tells more. Exit code: 0 ok, 1 failed, 2 wrong usage.");
  sam2unet::cli::add_predict(app);
  sam2unet::cli::add_info(app);
  sam2unet::cli::add_models(app);
  sam2unet::cli::add_convert(app);
  sam2unet::cli::add_export(app);
  sam2unet::cli::add_eval(app);
  sam2unet::cli::add_doctor(app);
  sam2unet::cli::add_verify(app);
  sam2unet::cli::add_train(app);
  sam2unet::cli::add_report(app);
  sam2unet::cli::add_reproduce(app);
  sam2unet::cli::add_bench(app);
  sam2unet::cli::add_serve(app);
  sam2unet::cli::add_completion(app);
  sam2unet::cli::add_man(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    return report(explain(app, e, argc, argv), kUsage);
  }
  return kOk;
}

// OpenMP's threads spin for up to milliseconds while they wait, on cores that decoding and encoding (or other
// programs) want: with every core busy a picture took four times as long. A short spin costs a quiet machine
// nothing. OpenMP reads this when it is loaded, so the program starts itself again, once.
void spin_briefly(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  if (::setenv("GOMP_SPINCOUNT", "1000", 1) == 0) ::execv("/proc/self/exe", argv);
}

}  // namespace

int main(int argc, char** argv) {
  spin_briefly(argv);
  try {
    const int code = run(argc, argv);
    sam2unet::cli::flush_stdout();
    return code;
  } catch (const sam2unet::cli::Failed&) {
    return kFailed;
  } catch (const sam2unet::UsageError& e) {
    return report(e.what(), kUsage);
  } catch (const std::bad_alloc&) {
    return report("out of memory; use a smaller --size, fewer threads, or a smaller picture", kFailed);
  } catch (const std::exception& e) {
    return report(e.what(), kFailed);
  }
}
