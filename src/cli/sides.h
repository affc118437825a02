// The two sides of a pairing as options, and the options that a pairing that fails asks for.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "sam2unet/listing.h"

namespace sam2unet::cli {

/// --SIDE-prefix and --SIDE-suffix.
void add_affix_options(CLI::App& command, const std::string& side, NameAffix& affix);
/// -r, --recursive.
void add_recursive_option(CLI::App& command, bool& recursive);

/// What `--FIRST...` and `--SECOND...` are called: {"images", "image"}.
struct SideNames {
  std::string option, affix;
};

/// The error with the options that would help behind it.
UsageError with_options(const PairingError& error, const SideNames& first, const SideNames& second);

/// Runs `pair`; a PairingError comes out with the options that would help.
template <typename F>
auto with_hints(const SideNames& first, const SideNames& second, F&& pair) {
  try {
    return pair();
  } catch (const PairingError& e) {
    throw with_options(e, first, second);
  }
}

}  // namespace sam2unet::cli
