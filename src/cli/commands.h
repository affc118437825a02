// A file per command. Each adds its subcommand to the program; its callback does the work through the
// library's public headers, and throws what goes wrong.
#pragma once

#include <CLI/CLI.hpp>

namespace sam2unet::cli {

/// Thrown by a command that has already said on stderr what failed (one unreadable picture among many).
struct Failed {};

void add_predict(CLI::App& app);
void add_info(CLI::App& app);
void add_models(CLI::App& app);
void add_convert(CLI::App& app);
void add_export(CLI::App& app);
void add_eval(CLI::App& app);
void add_doctor(CLI::App& app);
void add_verify(CLI::App& app);
void add_train(CLI::App& app);
void add_report(CLI::App& app);
void add_reproduce(CLI::App& app);
void add_bench(CLI::App& app);
void add_serve(CLI::App& app);
void add_completion(CLI::App& app);
void add_man(CLI::App& app);

}  // namespace sam2unet::cli
