#include "serve/archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "formats/zip_writer.h"
#include "serve/multipart.h"
#include "serve/random.h"

namespace sam2unet::serve {
namespace {

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

std::string error_json(const Piece& piece) {
  return fmt::format("{{\"file\":{},\"status\":{},\"error\":{}}}", json_string(piece.name),
                     piece.problem->status, json_string(piece.problem->text));
}

}  // namespace

std::string FreeNames::take_stem(const std::string& picture, const std::vector<std::string>& endings) {
  const auto is_free = [&](const std::string& stem) {
    return std::none_of(endings.begin(), endings.end(),
                        [&](const std::string& e) { return taken_.count(lower(stem + e)) != 0; });
  };
  const std::string stem = std::filesystem::path(picture).stem().string();
  std::string out = stem;
  if (!is_free(out)) out = picture;
  for (int n = 2; !is_free(out); ++n) out = fmt::format("{}-{}", stem, n);
  for (const std::string& e : endings) taken_.insert(lower(out + e));
  return out;
}

std::string disposition(std::string_view kind, std::string_view file_name) {
  std::string plain, escaped;
  for (const char c : file_name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_letter =
        (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    plain += byte < 0x20 || byte > 0x7E || c == '"' || c == '\\' ? '_' : c;
    if (is_letter || c == '.' || c == '-' || c == '_')
      escaped += c;
    else
      escaped += fmt::format("%{:02X}", byte);
  }
  return fmt::format("{}; filename=\"{}\"; filename*=UTF-8''{}", kind, plain, escaped);
}

namespace {

Response multipart_archive(const std::vector<Piece>& pieces) {
  MultipartWriter writer(random_hex(16));
  for (const Piece& piece : pieces) {
    if (piece.problem) {
      Headers h;
      h.add("Content-Type", "application/json");
      h.add("Content-Disposition", disposition("attachment", piece.name + ".error.json"));
      writer.add(h, view_of(std::string_view(error_json(piece))));
      continue;
    }
    for (const Output& o : piece.outputs) {
      Headers h;
      h.add("Content-Type", o.content_type);
      h.add("Content-Disposition", disposition("attachment", o.file_name));
      writer.add(h, o.bytes);
    }
  }
  Response r;
  r.content_type = writer.content_type();
  r.body = writer.finish();
  return r;
}

Response zip_archive(const std::vector<Piece>& pieces) {
  Bytes out;
  formats::ZipWriter zip([&](ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); });
  std::string errors;
  for (const Piece& piece : pieces) {
    if (piece.problem) errors += (errors.empty() ? "[" : ",\n ") + error_json(piece);
    for (const Output& o : piece.outputs) zip.add(o.file_name, o.bytes);
  }
  if (!errors.empty()) zip.add("errors.json", errors + "]\n");
  zip.finish();
  Response r;
  r.content_type = "application/zip";
  r.headers.add("Content-Disposition", disposition("attachment", "sam2unet.zip"));
  r.body = std::move(out);
  return r;
}

}  // namespace

Response archive(const std::vector<Piece>& pieces, ArchiveKind kind) {
  return kind == ArchiveKind::zip ? zip_archive(pieces) : multipart_archive(pieces);
}

}  // namespace sam2unet::serve
