// What the program knows of itself, for shells and for man: both are written from the CLI11 tree, so they
// cannot lag behind it.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "commands.h"
#include "sam2unet/version.h"

namespace sam2unet::cli {
namespace {

using Apps = std::vector<const CLI::App*>;

Apps commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::vector<std::string> flags_of(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* o : command.get_options()) {
    for (const auto& s : o->get_snames()) flags.push_back("-" + s);
    for (const auto& l : o->get_lnames()) flags.push_back("--" + l);
  }
  return flags;
}

std::string join(const std::vector<std::string>& words, const char* separator) {
  std::string text;
  for (const auto& w : words) text += (text.empty() ? "" : separator) + w;
  return text;
}

std::vector<std::string> names_of(const Apps& commands) {
  std::vector<std::string> names;
  for (const auto* c : commands) names.push_back(c->get_name());
  return names;
}

void bash(const CLI::App& app) {
  const Apps commands = commands_of(app);
  std::printf(
      "# bash completion for sam2unet; put into /etc/bash_completion.d/ or source it\n_sam2unet() {\n"
      "  local cur=\"${COMP_WORDS[COMP_CWORD]}\" words=\"\"\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then words=\"%s --help --version\"; else\n    case "
      "\"${COMP_WORDS[1]}\" in\n",
      join(names_of(commands), " ").c_str());
  for (const auto* c : commands)
    std::printf("      %s) words=\"%s\" ;;\n", c->get_name().c_str(), join(flags_of(*c), " ").c_str());
  std::printf(
      "    esac\n  fi\n  if [ \"$COMP_CWORD\" -eq 1 ] || [[ \"$cur\" == -* ]]; then\n"
      "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n  else\n"
      "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n  fi\n}\ncomplete -o filenames -F _sam2unet "
      "sam2unet\n");
}

std::string quoted(std::string text) {  // for single quotes in zsh and fish
  for (std::size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += 4)
    text.replace(at, 1, "'\\''");
  return text;
}

void zsh(const CLI::App& app) {
  const Apps commands = commands_of(app);
  std::printf("#compdef sam2unet\n_sam2unet() {\n  if (( CURRENT == 2 )); then\n    local -a commands=(\n");
  for (const auto* c : commands)
    std::printf("      '%s:%s'\n", c->get_name().c_str(), quoted(c->get_description()).c_str());
  std::printf("    )\n    _describe command commands\n    return\n  fi\n  case \"$words[2]\" in\n");
  for (const auto* c : commands) {
    std::printf("    %s) [[ \"$PREFIX\" == -* ]] && compadd -- %s || _files ;;\n", c->get_name().c_str(),
                join(flags_of(*c), " ").c_str());
  }
  std::printf("  esac\n}\n_sam2unet \"$@\"\n");
}

void fish(const CLI::App& app) {
  for (const auto* c : commands_of(app)) {
    std::printf("complete -c sam2unet -n __fish_use_subcommand -f -a %s -d '%s'\n", c->get_name().c_str(),
                quoted(c->get_description()).c_str());
    for (const CLI::Option* o : c->get_options()) {
      std::string names;
      for (const auto& s : o->get_snames()) names += " -s " + s;
      for (const auto& l : o->get_lnames()) names += " -l " + l;
      if (names.empty()) continue;
      std::printf("complete -c sam2unet -n '__fish_seen_subcommand_from %s'%s -d '%s'\n",
                  c->get_name().c_str(), names.c_str(), quoted(o->get_description()).c_str());
    }
  }
}

// troff: a line that starts with a dot or quote is a request, a dash is a hyphen unless escaped.
std::string troff(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool line_start = i == 0 || text[i - 1] == '\n';
    if (line_start && (text[i] == '.' || text[i] == '\'')) out += "\\&";
    if (text[i] == '\\')
      out += "\\e";
    else if (text[i] == '-')
      out += "\\-";
    else
      out += text[i];
  }
  return out;
}

void man(const CLI::App& app) {
  std::printf(".TH SAM2UNET 1 \"\" \"sam2unet %s\" \"User Commands\"\n.SH NAME\nsam2unet \\- %s\n", version(),
              troff(app.get_description()).c_str());
  std::printf(
      ".SH SYNOPSIS\n.B sam2unet\n.I COMMAND\n[\\fIOPTION\\fR ...] [\\fIARGUMENT\\fR ...]\n.SH COMMANDS\n");
  for (const auto* c : commands_of(app)) {
    std::printf(".SS %s\n%s\n", c->get_name().c_str(), troff(c->get_description()).c_str());
    for (const CLI::Option* o : c->get_options()) {
      const bool takes_value = o->get_items_expected_max() > 0 && !o->get_positional();
      const std::string value = takes_value ? " " + o->get_type_name() : "";
      const std::string usual = o->get_default_str().empty() ? "" : " (default " + o->get_default_str() + ")";
      std::printf(".TP\n\\fB%s\\fR\\fI%s\\fR\n%s\n", troff(o->get_name(false, true)).c_str(),
                  troff(value).c_str(), troff(o->get_description() + usual).c_str());
    }
    if (!c->get_footer().empty()) std::printf(".PP\n.nf\n%s\n.fi\n", troff(c->get_footer()).c_str());
  }
  std::printf(".SH EXIT STATUS\n0 on success, 1 if something failed, 2 on wrong usage.\n");
}

}  // namespace

void add_completion(CLI::App& app) {
  auto* c = app.add_subcommand("completion", "Print the completion script of a shell");
  auto shell = std::make_shared<std::string>();
  c->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  c->footer("Example: sam2unet completion bash > ~/.local/share/bash-completion/completions/sam2unet");
  c->callback([&app, shell] {
    if (*shell == "bash")
      bash(app);
    else if (*shell == "zsh")
      zsh(app);
    else
      fish(app);
  });
}

void add_man(CLI::App& app) {
  auto* c = app.add_subcommand("man", "Print the manual page");
  c->footer("Example: sam2unet man | man -l -");
  c->callback([&app] { man(app); });
}

}  // namespace sam2unet::cli
