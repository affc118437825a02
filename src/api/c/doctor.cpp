// Checks of data sets.
#include "sam2unet/doctor.h"

#include "api/c/handles.h"
#include "core/forked.h"

using namespace sam2unet;
using namespace sam2unet::capi;

struct s2u_doctor_options {
  DoctorOptions value;
};

namespace {

s2u_status* set_affix(s2u_doctor_options* options, NameAffix DoctorOptions::*member, const char* prefix,
                      const char* suffix) {
  return guarded([&] {
    live(options, "the options").value.*
        member = {text_of(prefix, "the prefix"), text_of(suffix, "the suffix")};
  });
}

}  // namespace

extern "C" {

s2u_status* s2u_doctor_options_new(s2u_doctor_options** out) {
  return make(out, "where the options go");
}

void s2u_doctor_options_free(s2u_doctor_options* options) {
  destroy(options);
}

s2u_status* s2u_doctor_options_set_test_images(s2u_doctor_options* options, const char* place) {
  return guarded(
      [&] { live(options, "the options").value.test_images = text_of(place, "the test pictures"); });
}

s2u_status* s2u_doctor_options_set_classes(s2u_doctor_options* options, const char* file_or_count) {
  return guarded([&] {
    s2u_doctor_options& o = live(options, "the options");
    const std::string text = text_of(file_or_count, "the classes");
    o.value.classes = text.empty() ? ClassTable() : class_table_of(text);
  });
}

s2u_status* s2u_doctor_options_set_recursive(s2u_doctor_options* options, int32_t recursive) {
  return guarded([&] { live(options, "the options").value.recursive = flag(recursive, "recursive"); });
}

s2u_status* s2u_doctor_options_set_image_affix(s2u_doctor_options* options, const char* prefix,
                                               const char* suffix) {
  return set_affix(options, &DoctorOptions::image_affix, prefix, suffix);
}

s2u_status* s2u_doctor_options_set_mask_affix(s2u_doctor_options* options, const char* prefix,
                                              const char* suffix) {
  return set_affix(options, &DoctorOptions::mask_affix, prefix, suffix);
}

s2u_status* s2u_doctor_options_set_threads(s2u_doctor_options* options, int32_t threads) {
  return guarded([&] {
    s2u_doctor_options& o = live(options, "the options");
    if (threads < 0 || threads > 1024)
      throw UsageError(std::to_string(threads) + " threads: must be 0 (all cores) to 1024");
    o.value.threads = threads;
  });
}

s2u_status* s2u_doctor_options_set_progress(s2u_doctor_options* options, s2u_progress progress, void* user) {
  return guarded([&] {
    s2u_doctor_options& o = live(options, "the options");
    o.value.progress = nullptr;
    if (progress != nullptr)
      o.value.progress = [progress, user](std::size_t done, std::size_t total) {
        progress(done, total, user);
      };
  });
}

s2u_status* s2u_doctor(const char* images, const char* masks, const s2u_doctor_options* options,
                       s2u_text** json) {
  return guarded([&] {
    need(json, "where the text goes");
    DoctorOptions o = value_of(options, "the options");
    o.images = text_of(images, "the pictures' folder");
    o.masks = text_of(masks, "the masks' folder");
    if (forked()) o.threads = 1;
    give_text(to_json(diagnose(o)), json);
  });
}
}
