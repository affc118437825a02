// Published weights by name: listed, found, checked, added, fetched.
#include "sam2unet/models.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "commands.h"
#include "sam2unet/errors.h"

namespace sam2unet::cli {
namespace {

struct Arguments {
  std::string action, sha256;
  std::vector<std::string> names;
  bool json = false;
};

std::string size_text(std::uint64_t bytes) {
  return fmt::format("{:.0f} MB", static_cast<double>(bytes) * 1e-6);
}

nlohmann::json json_of(const KnownModel& m) {
  nlohmann::json j{{"name", m.name},
                   {"what", m.what},
                   {"file", m.file},
                   {"page", m.page},
                   {"bytes", m.bytes},
                   {"code_licence", m.code_licence},
                   {"data_licence", m.data_licence},
                   {"weights_licence", m.weights_licence}};
  if (!m.url.empty()) j["url"] = m.url;
  if (!m.sha256.empty()) j["sha256"] = m.sha256;
  return j;
}

void list_as_json(const std::vector<InstalledModel>& installed) {
  nlohmann::json all = nlohmann::json::array();
  for (const KnownModel& m : known_models()) {
    all.push_back(json_of(m));
    for (const auto& i : installed)
      if (i.name == m.name) all.back()["path"] = i.path.string();
  }
  for (const auto& i : installed)
    if (find_known_model(i.name) == nullptr)
      all.push_back({{"name", i.name}, {"path", i.path.string()}, {"bytes", i.bytes}});
  std::printf("%s\n", all.dump(2).c_str());
}

void list(const Arguments& a) {
  const auto installed = installed_models();
  if (a.json) return list_as_json(installed);
  const auto line = [](const std::string& name, std::uint64_t bytes, const std::string& where,
                       const std::string& what) {
    std::printf("%-18s %8s  %-8s %s\n", name.c_str(), size_text(bytes).c_str(), where.c_str(), what.c_str());
  };
  for (const KnownModel& m : known_models()) {
    std::string where = m.url.empty() ? "by hand" : "fetch",
                what = fmt::format("{} [weights: {}]", m.what, m.weights_licence);
    for (const auto& i : installed) {
      if (i.name != m.name) continue;
      where = "here";
      what = i.path.string();
    }
    line(m.name, m.bytes, where, what);
  }
  for (const auto& i : installed)
    if (find_known_model(i.name) == nullptr) line(i.name, i.bytes, "here", i.path.string());
}

void path(const Arguments& a) {
  for (const auto& name : a.names) std::printf("%s\n", model_path(name).c_str());
}

void verify(const Arguments& a) {
  std::vector<InstalledModel> chosen;
  for (auto& m : installed_models()) {
    const bool named = std::find(a.names.begin(), a.names.end(), m.name) != a.names.end();
    if (a.names.empty() || named) chosen.push_back(std::move(m));
  }
  for (const auto& name : a.names) model_path(name);  // says what is missing
  bool ok = true;
  for (const auto& m : chosen) {
    const ModelCheck c = check_model(m);
    const char* state = c.state == ModelState::sound     ? "ok"
                        : c.state == ModelState::unknown ? "readable; no SHA-256 is known"
                                                         : "DAMAGED: ";
    std::printf("%s  %s: %s%s\n", c.sha256.c_str(), m.path.c_str(), state, c.why.c_str());
    ok = ok && c.state != ModelState::damaged;
  }
  if (chosen.empty()) std::printf("no models in %s\n", model_folders().front().c_str());
  if (!ok) throw Failed{};
}

void add(const Arguments& a) {
  for (const auto& name : a.names) {
    const InstalledModel m = add_model(name);
    std::printf("%s: %s\n", m.name.c_str(), m.path.c_str());
  }
}

void fetch(const Arguments& a) {
  FetchOptions options;
  options.sha256 = a.sha256;
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  if (terminal) {
    options.progress = [](std::uint64_t done, std::uint64_t all) {
      std::fprintf(stderr, "\r%s of %s ", size_text(done).c_str(), all == 0 ? "?" : size_text(all).c_str());
    };
  }
  for (const auto& name : a.names) {
    const InstalledModel m = fetch_model(name, options);
    if (terminal) std::fprintf(stderr, "\r\033[K");
    std::printf("%s: %s\n", m.name.c_str(), m.path.c_str());
  }
}

void run(const Arguments& a) {
  const bool needs_names = a.action == "path" || a.action == "add" || a.action == "fetch";
  if (needs_names && a.names.empty())
    throw UsageError(fmt::format("models {} needs {}", a.action,
                                 a.action == "add" ? "a file" : "a name; `models list` shows them"));
  if (a.action == "list" && !a.names.empty()) throw UsageError("models list takes no names");
  if (!a.sha256.empty() && (a.action != "fetch" || a.names.size() != 1))
    throw UsageError("--sha256 goes with the fetching of one address");
  if (a.action == "list") return list(a);
  if (a.action == "path") return path(a);
  if (a.action == "verify") return verify(a);
  if (a.action == "add") return add(a);
  fetch(a);
}

}  // namespace

void add_models(CLI::App& app) {
  auto* c = app.add_subcommand("models", "Published weights: list, find, check, add, fetch");
  auto a = std::make_shared<Arguments>();
  c->add_option("ACTION", a->action,
                "list: what is known and what is here; path NAME: its file; verify [NAME]: SHA-256 and "
                "structure; add FILE: "
                "copy into the folder; fetch NAME or address: download")
      ->required()
      ->check(CLI::IsMember({"list", "path", "verify", "add", "fetch"}).description(""));
  c->add_option("NAME", a->names, "names, files or addresses");
  c->add_option("--sha256", a->sha256, "of fetch ADDRESS: what the file must have")->type_name("HEX");
  c->add_flag("--json", a->json, "of list: everything that is known, licences too");
  c->footer(
      "Folder: SAM2UNET_MODELS, else $XDG_DATA_HOME/sam2unet/models or ~/.local/share/sam2unet/models. "
      "Wherever a weight file is asked for, a name will do. Nothing is downloaded but by fetch, and with "
      "SAM2UNET_OFFLINE=1 nothing at all.\n"
      "Examples: sam2unet models fetch sam2-t\n"
      "          sam2unet predict photos/ -o out -w sam2unet-cod");
  c->callback([a] { run(*a); });
}

}  // namespace sam2unet::cli
