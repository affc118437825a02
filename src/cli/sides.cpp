#include "sides.h"

#include <fmt/format.h>

namespace sam2unet::cli {

void add_affix_options(CLI::App& command, const std::string& side, NameAffix& affix) {
  command
      .add_option(fmt::format("--{}-suffix", side), affix.suffix,
                  fmt::format("what the {} names have behind the shared part, such as _{}", side, side))
      ->type_name("TEXT");
  command
      .add_option(fmt::format("--{}-prefix", side), affix.prefix,
                  fmt::format("what the {} names have before the shared part", side))
      ->type_name("TEXT");
}

void add_recursive_option(CLI::App& command, bool& recursive) {
  command.add_flag("-r,--recursive", recursive,
                   "look into subfolders too; files then pair by their path below the folder");
}

UsageError with_options(const PairingError& error, const SideNames& first, const SideNames& second) {
  switch (error.remedy()) {
    case PairingError::Remedy::none:
      break;
    case PairingError::Remedy::recursive:
      return UsageError(fmt::format("{} (-r looks into them)", error.what()));
    case PairingError::Remedy::patterns:
      return UsageError(fmt::format("{} (--{} 'DIR/*.jpg' --{} 'DIR/*.png', or --{}-suffix _{})",
                                    error.what(), first.option, second.option, second.affix, second.affix));
    case PairingError::Remedy::affixes: {
      std::string options;
      const auto add = [&](const SideNames& side, const char* kind, const std::string& text) {
        if (!text.empty())
          options += fmt::format("{}--{}-{} '{}'", options.empty() ? "" : " ", side.affix, kind, text);
      };
      add(first, "prefix", error.first().prefix);
      add(first, "suffix", error.first().suffix);
      add(second, "prefix", error.second().prefix);
      add(second, "suffix", error.second().suffix);
      return UsageError(fmt::format("{} ({})", error.what(), options));
    }
  }
  return UsageError(error.what());
}

}  // namespace sam2unet::cli
