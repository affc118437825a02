#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "device.h"
#include "progress.h"
#include "sam2unet/cores.h"
#include "sam2unet/errors.h"
#include "sam2unet/segmenter.h"
#include "serve/guard.h"
#include "serve/server.h"
#include "units.h"
#include "weights.h"

namespace sam2unet::cli {
namespace {

struct Arguments {
  serve::Options options;
  std::vector<std::string> weights;
  std::string device = "cpu";
  Precision precision = Precision::standard;
  int threads = 0;
  std::string upload = "32M", in_flight = "512M", answer = "256M", header = "16K";
  std::string batch_delay = "5ms", deadline = "30s", drain = "30s";
  std::string header_time = "10s", body_time = "120s", write_time = "120s", idle_time = "75s";
  std::string access_log = "-", token_file;
  std::string certificate, key;
};

std::vector<serve::ModelFile> models_of(const std::vector<std::string>& weights) {
  if (weights.empty()) return {{"sam2unet", default_model_path()}};
  std::vector<serve::ModelFile> out;
  for (const std::string& w : weights) {
    const auto equals = w.find('=');
    const bool is_named = equals != std::string::npos && equals > 0;
    // A model's name stays one, so that each reading finds what lies there then.
    const std::filesystem::path file = is_named ? w.substr(equals + 1) : w;
    out.push_back({is_named ? w.substr(0, equals) : out.empty() ? "sam2unet" : name_of_weights(file), file});
  }
  return out;
}

// Connections are descriptors.
void raise_descriptors(std::size_t connections) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  constexpr rlim_t kOthers = 128;
  const rlim_t wanted = static_cast<rlim_t>(connections) + kOthers;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(limit.rlim_max, wanted);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted) {
    fmt::print(stderr,
               "sam2unet: warning: the system allows {} open files, fewer than {} connections need; `ulimit "
               "-n` raises it\n",
               limit.rlim_cur, wanted);
  }
}

std::FILE* open_log(const std::string& name) {
  if (name == "off") return nullptr;
  if (name == "-") return stdout;
  std::FILE* file = std::fopen(name.c_str(), "ae");  // NOLINT(cppcoreguidelines-owning-memory): to the end
  if (file == nullptr) throw FileError(fmt::format("cannot write the access log {}", name));
  return file;
}

void settle(Arguments& a) {
  serve::Options& o = a.options;
  o.models = models_of(a.weights);
  o.limits.upload = parse_bytes(a.upload, "--max-upload");
  o.limits.in_flight = parse_bytes(a.in_flight, "--max-in-flight");
  o.limits.answer = parse_bytes(a.answer, "--max-answer");
  o.limits.header = parse_bytes(a.header, "--max-header");
  o.limits.header_time = parse_time(a.header_time, "--header-timeout");
  o.limits.body_time = parse_time(a.body_time, "--body-timeout");
  o.limits.write_time = parse_time(a.write_time, "--write-timeout");
  o.limits.idle_time = parse_time(a.idle_time, "--idle-timeout");
  o.batch_delay = parse_time(a.batch_delay, "--batch-delay");
  o.deadline = parse_time(a.deadline, "--deadline");
  o.drain_time = parse_time(a.drain, "--drain-timeout");
  o.token_file = a.token_file;
  o.tls = {a.certificate, a.key};
  constexpr std::size_t kSmallestHeader = 1024, kLargestHeader = std::size_t{1} << 20;
  if (o.limits.header < kSmallestHeader || o.limits.header > kLargestHeader)
    throw UsageError("--max-header must be from 1K to 1M");
  if (o.limits.upload > o.limits.in_flight)
    throw UsageError("--max-in-flight must be at least --max-upload: no body would ever fit");
  if (a.certificate.empty() != a.key.empty()) throw UsageError("--tls-cert and --tls-key belong together");
  for (const std::string& origin : o.cors) {
    const bool has_scheme = origin.starts_with("http://") || origin.starts_with("https://");
    if (!has_scheme || origin.find('/', origin.find("//") + 2) != std::string::npos)
      throw UsageError(fmt::format(
          "--cors {}: an origin is a scheme and a host, such as https://example.org, and '*' is not taken",
          origin));
  }
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

void run(Arguments& a) {
  settle(a);
  serve::Options& o = a.options;
  raise_descriptors(o.limits.connections);
  std::FILE* log = open_log(a.access_log);
  if (log != nullptr) {
    o.access = [log](const std::string& line) {
      std::fprintf(log, "%s\n", line.c_str());
      std::fflush(log);
    };
  }
  o.say = [](const std::string& line) { fmt::print(stderr, "sam2unet: {}\n", line); };
  if (a.device.starts_with("cuda")) o.workers = available_cores();
  o.open = serve::open_segmenters({a.threads, a.device, a.precision});
  o.handle_signals = true;
  std::signal(SIGPIPE, SIG_IGN);
  serve::Server server(o);
  if (!is_loopback(o.host) && o.token_file.empty()) {
    fmt::print(stderr,
               "sam2unet: warning: whoever reaches {} may use this service; --token-file asks for a token, "
               "--host 127.0.0.1 takes this machine alone\n",
               o.host);
  }
  const std::string host = o.host.find(':') != std::string::npos ? "[" + o.host + "]" : o.host;
  fmt::print(stderr, "sam2unet: listening on {}://{}:{}/\n", o.tls.wanted() ? "https" : "http", host,
             server.port());
  server.run();
}

void add_limits(CLI::App& c, Arguments& a) {
  serve::Options& o = a.options;
  c.add_option("--max-upload", a.upload, "bytes of one request's body")
      ->type_name("BYTES")
      ->capture_default_str();
  c.add_option("--max-pixels", o.limits.pixels, "pixels of one picture")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 28).description(""))
      ->type_name("N")
      ->capture_default_str();
  c.add_option("--max-size", o.limits.side, "largest side of the network's input that a request may ask for")
      ->check(CLI::Range(32, 8192).description(""))
      ->type_name("N")
      ->capture_default_str();
  c.add_option("--max-parts", o.limits.parts, "files and fields of one form")
      ->check(CLI::Range(1, 100000).description(""))
      ->type_name("N")
      ->capture_default_str();
  c.add_option("--max-answer", a.answer, "bytes of one answer with several files")
      ->type_name("BYTES")
      ->capture_default_str();
  c.add_option("--max-in-flight", a.in_flight, "bytes that all requests hold together, bodies and answers")
      ->type_name("BYTES")
      ->capture_default_str();
  c.add_option("--max-connections", o.limits.connections,
               "open connections; an idle one makes room for a new one")
      ->check(CLI::Range(1, 1000000).description(""))
      ->type_name("N")
      ->capture_default_str();
  c.add_option("--max-requests", o.limits.requests, "requests of one connection")
      ->check(CLI::Range(1, 1000000000).description(""))
      ->type_name("N")
      ->capture_default_str();
  c.add_option("--max-header", a.header, "bytes of one request's header")
      ->type_name("BYTES")
      ->capture_default_str();
  c.add_option("--header-timeout", a.header_time, "time to send a header")
      ->type_name("TIME")
      ->capture_default_str();
  c.add_option("--body-timeout", a.body_time, "time to send a body")
      ->type_name("TIME")
      ->capture_default_str();
  c.add_option("--write-timeout", a.write_time, "time to take an answer")
      ->type_name("TIME")
      ->capture_default_str();
  c.add_option("--idle-timeout", a.idle_time, "time between two requests of a connection")
      ->type_name("TIME")
      ->capture_default_str();
}

}  // namespace

void add_serve(CLI::App& app) {
  auto* c = app.add_subcommand("serve", "Serve a page and an HTTP interface");
  auto a = std::make_shared<Arguments>();
  serve::Options& o = a->options;
  c->add_option("-w,--weights", a->weights,
                "checkpoints (or names of models) with the names they are asked for by; the first is used "
                "where none is named; "
                "without any, the model that comes with the program")
      ->type_name("NAME=FILE")
      ->allow_extra_args(false);
  c->add_option("--host", o.host, "address to listen on; 0.0.0.0 is all of IPv4, :: all")
      ->type_name("ADDRESS")
      ->capture_default_str();
  c->add_option("--port", o.port, "port; 0 is any free one")->type_name("N")->capture_default_str();
  add_device_options(*c, a->device, a->precision);
  c->add_option("-j,--threads", a->threads, "threads of the network (0: all cores, or OMP_NUM_THREADS)")
      ->check(CLI::Range(0, 1024).description(""))
      ->type_name("N");
  c->add_option("--token-file", a->token_file,
                "file whose first line whoever asks must send: Authorization: Bearer TOKEN")
      ->type_name("FILE");
  c->add_option("--cors", o.cors, "origin whose pages may use the service")
      ->type_name("ORIGIN")
      ->allow_extra_args(false);
  c->add_option("--allow-host", o.hosts,
                "name the service is called by, beside localhost and addresses; * is any")
      ->type_name("NAME")
      ->allow_extra_args(false);
  c->add_option("--queue", o.queue, "requests that may wait")
      ->check(CLI::Range(1, 1000000).description(""))
      ->type_name("N")
      ->capture_default_str();
  c->add_option("--batch", o.batch,
                "pictures the network sees at once; 0 is what is fastest on the device: 1 on the CPU")
      ->check(CLI::Range(0, 256).description(""))
      ->type_name("N")
      ->capture_default_str();
  c->add_option("--batch-delay", a->batch_delay, "how long a batch waits for more pictures")
      ->type_name("TIME")
      ->capture_default_str();
  c->add_option("--deadline", a->deadline, "how long a request may wait for its turn")
      ->type_name("TIME")
      ->capture_default_str();
  c->add_option("--drain-timeout", a->drain, "how long requests may take to finish after SIGTERM")
      ->type_name("TIME")
      ->capture_default_str();
  add_limits(*c, *a);
  c->add_option("--access-log", a->access_log,
                "where a line of JSON for each request goes; - is standard output, off none")
      ->type_name("FILE")
      ->capture_default_str();
  c->add_option("--tls-cert", a->certificate, "certificate chain (PEM): HTTPS instead of HTTP")
      ->type_name("FILE");
  c->add_option("--tls-key", a->key, "its key (PEM)")->type_name("FILE");
  c->add_flag("--rembg-alias", o.rembg_alias,
              "/api/remove: take names of rembg's models and its alpha matting, and pass over them");
  c->footer(
      "Examples:\n"
      "  sam2unet serve                                          then open http://127.0.0.1:8080/\n"
      "  curl --data-binary @cat.jpg 'http://127.0.0.1:8080/v1/segment?result=cutout' -o cutout.png\n"
      "  sam2unet serve --weights cod=SAM2-UNet-COD.pth --weights road=road.safetensors --port 9000\n"
      "SIGTERM finishes what was accepted and ends with exit code 0; SIGHUP reads weights and token again.\n"
      "docs/service.md tells more.");
  c->callback([a] { run(*a); });
}

}  // namespace sam2unet::cli
