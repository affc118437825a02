/*
 * sam2unet in C99: pictures, the network, weight files, checks of data sets (libsam2unet). The metrics are in
 * s2u_metrics.h. See s2u_base.h for errors, memory and threads; beyond that:
 *
 * Handles: a handle that was freed, or is none of the function's kind, is S2U_INVALID_ARGUMENT, and _free()
 * passes it over, as long as no new handle has got its address. Status objects are not told like this: free
 * each once.
 *
 * Options: an object made by s2u_..._options_new(), which means the defaults that stand at its set functions.
 * NULL stands for it where options are taken. A value is checked when it is set, as far as it can be.
 *
 * Enumerations travel as int32_t, since compilers differ in what they make of an enum.
 *
 * Arrays that are given out: *count is the capacity of the caller's memory in elements and becomes what is
 * needed; nothing is written if that is more, or if the memory is NULL, and both are no error. Ask with NULL
 * first.
 *
 * Paths are the file system's bytes, UTF-8 on most.
 *
 * Threads: an s2u_segmenter may be used by several threads at once, and so may options, results and all else
 * that is only read. No handle may be freed while another thread uses it. In a child of fork() everything
 * works on one thread, but for devices on LibTorch; the child may use its parent's handles, unless a thread
 * of the parent was inside this library at that moment.
 */
#ifndef SAM2UNET_SAM2UNET_H
#define SAM2UNET_SAM2UNET_H

#include "s2u_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Text of any length, as JSON: "" for NULL. Lives until it is freed. */
typedef struct s2u_text s2u_text;
S2U_API const char* s2u_text_data(const s2u_text* text);
S2U_API size_t s2u_text_size(const s2u_text* text);
S2U_API void s2u_text_free(s2u_text* text);

/* Pictures */

/* A decoded picture: rows from top to bottom, 8 bits per channel. */
typedef struct s2u_image s2u_image;

typedef enum s2u_color {
  S2U_COLOR_RGB = 0,  /* 3 channels, as Pillow's convert("RGB") */
  S2U_COLOR_GRAY = 1, /* 1 channel, as Pillow's convert("L") */
  S2U_COLOR_IDS = 2,  /* masks of ids: a palette's indices, gray as it is; RGB where the file has colours */
  S2U_COLOR_RGBA = 3  /* 4 channels */
} s2u_color;

typedef struct s2u_decode_options s2u_decode_options;
S2U_API s2u_status* s2u_decode_options_new(s2u_decode_options** out);
S2U_API void s2u_decode_options_free(s2u_decode_options* options);
/* S2U_COLOR_RGB */
S2U_API s2u_status* s2u_decode_options_set_color(s2u_decode_options* options, int32_t color);
/* 1: turned upright as EXIF says. 0: as stored, which is what the reference sees. */
S2U_API s2u_status* s2u_decode_options_set_orientation(s2u_decode_options* options, int32_t apply);
/* 2^28: a picture with more pixels is refused before anything is decoded. */
S2U_API s2u_status* s2u_decode_options_set_max_pixels(s2u_decode_options* options, int64_t pixels);

/* JPEG, PNG, WebP, TIFF, BMP, PNM or GIF, of several frames the first. S2U_FILE_ERROR, S2U_IMAGE_ERROR. */
S2U_API s2u_status* s2u_image_read(const char* path, const s2u_decode_options* options, s2u_image** out);
/* The same of a file's bytes. `name` stands in messages and may be NULL. */
S2U_API s2u_status* s2u_image_decode(const void* bytes, size_t size, const char* name,
                                     const s2u_decode_options* options, s2u_image** out);
S2U_API void s2u_image_free(s2u_image* image);
/* A view of its pixels, which lives as long as the image. plane->struct_size must be set. */
S2U_API s2u_status* s2u_image_plane(const s2u_image* image, s2u_plane* plane);

/* Writes a gray, RGB or RGBA picture (S2U_U8): whole under its name or not at all. */
S2U_API s2u_status* s2u_png_write(const char* path, const s2u_plane* picture);

typedef enum s2u_filter { S2U_BILINEAR = 0, S2U_BICUBIC = 1 } s2u_filter;
/* The two orders of passes that Pillow has had (docs/decisions.md). */
typedef enum s2u_pillow { S2U_PILLOW_12 = 0, S2U_PILLOW_13 = 1 } s2u_pillow;
/* Pillow's antialiased resize((width, height), filter) of a gray, RGB or RGBA picture, bit for bit.
 * `pixels`: [height, width, channels], `count` as for all arrays. */
S2U_API s2u_status* s2u_resize_pillow(const s2u_plane* picture, int32_t width, int32_t height, int32_t filter,
                                      int32_t version, uint8_t* pixels, size_t* count);

/* The network */

typedef struct s2u_segmenter s2u_segmenter;

typedef enum s2u_precision {
  S2U_PRECISION_AUTOMATIC = 0, /* on the CPU the fastest here that the weights' precision gates allow */
  S2U_PRECISION_F32 = 1,
  S2U_PRECISION_BF16 = 2,
  S2U_PRECISION_INT8 = 3,    /* on the CPU */
  S2U_PRECISION_TF32 = 4,    /* on a GPU */
  S2U_PRECISION_F16 = 5,     /* on the device "cuda" */
  S2U_PRECISION_STANDARD = 6 /* f32 on the CPU, bf16 on a GPU */
} s2u_precision;

typedef enum s2u_fit {
  S2U_FIT_AS_TRAINED = 0,
  S2U_FIT_SQUASH = 1,   /* both sides are resized, the reference's way */
  S2U_FIT_LETTERBOX = 2 /* the picture's shape is kept, in the middle of the mean colour */
} s2u_fit;

typedef struct s2u_segmenter_options s2u_segmenter_options;
S2U_API s2u_status* s2u_segmenter_options_new(s2u_segmenter_options** out);
S2U_API void s2u_segmenter_options_free(s2u_segmenter_options* options);
/* 0: all cores, or as many as OMP_NUM_THREADS says. Up to 1024. */
S2U_API s2u_status* s2u_segmenter_options_set_threads(s2u_segmenter_options* options, int32_t threads);
/* "cpu"; "cuda" and "cuda:N" need the CUDA backend beside the library, "cuda-torch", "cuda-torch:N" and
 * "torch-cpu" the training component. */
S2U_API s2u_status* s2u_segmenter_options_set_device(s2u_segmenter_options* options, const char* device);
/* S2U_PRECISION_STANDARD */
S2U_API s2u_status* s2u_segmenter_options_set_precision(s2u_segmenter_options* options, int32_t precision);

/* Reads safetensors or PyTorch .pth/.pt, by path or by a model's name (`sam2unet models list`; what exists,
 * or has a '/' in it, is a path); NULL is the default model. S2U_FILE_ERROR, S2U_FORMAT_ERROR,
 * S2U_WEIGHTS_ERROR, S2U_UNAVAILABLE that says what is missing for the device. */
S2U_API s2u_status* s2u_segmenter_new(const char* weights, const s2u_segmenter_options* options,
                                      s2u_segmenter** out);
/* The same of a file's bytes, which are needed during the call only. `name` stands in messages. */
S2U_API s2u_status* s2u_segmenter_new_from_bytes(const void* bytes, size_t size, const char* name,
                                                 const s2u_segmenter_options* options, s2u_segmenter** out);
S2U_API void s2u_segmenter_free(s2u_segmenter* segmenter);
/* Where the default model lies; S2U_FILE_ERROR that lists where it was looked for. */
S2U_API s2u_status* s2u_default_model(s2u_text** path);

typedef struct s2u_segmenter_info {
  size_t struct_size;
  int32_t channels;      /* K: 1 for one foreground, else the number of classes */
  int32_t width, height; /* what the network sees unless told otherwise */
  int32_t batch;         /* how many pictures at once are fastest on the device */
  int32_t fit;           /* s2u_fit, how the weights were trained */
  int32_t precision;     /* s2u_precision, in effect, never AUTOMATIC or STANDARD */
} s2u_segmenter_info;
S2U_API s2u_status* s2u_segmenter_get_info(const s2u_segmenter* segmenter, s2u_segmenter_info* out);

/* Texts that live as long as the segmenter; "" for a handle that is none. */
S2U_API const char* s2u_segmenter_variant(const s2u_segmenter* segmenter); /* "t", "s", "b+", "l", "custom" */
S2U_API const char* s2u_segmenter_device(
    const s2u_segmenter* segmenter); /* "cpu", "cuda:0", "cuda-torch:0" */
S2U_API const char* s2u_segmenter_config(const s2u_segmenter* segmenter); /* JSON */
/* What a user may want to know of the weight file. */
S2U_API size_t s2u_segmenter_note_count(const s2u_segmenter* segmenter);
S2U_API const char* s2u_segmenter_note(const s2u_segmenter* segmenter, size_t index);

/* Classes: id i is channel i; 0 of them for one foreground. */
S2U_API size_t s2u_segmenter_class_count(const s2u_segmenter* segmenter);
S2U_API const char* s2u_segmenter_class_name(const s2u_segmenter* segmenter, size_t id);
S2U_API s2u_status* s2u_segmenter_class_color(const s2u_segmenter* segmenter, size_t id,
                                              uint8_t* rgb /* [3] */);
/* Value of pixels of masks that count nowhere; -1 for one foreground. */
S2U_API int32_t s2u_segmenter_ignored_id(const s2u_segmenter* segmenter);

typedef enum s2u_output {
  S2U_OUTPUT_PROBABILITIES = 0, /* a map, or one for each class */
  S2U_OUTPUT_IDS = 1            /* the most probable class of each pixel, and its probability */
} s2u_output;

typedef struct s2u_segment_options s2u_segment_options;
S2U_API s2u_status* s2u_segment_options_new(s2u_segment_options** out);
S2U_API void s2u_segment_options_free(s2u_segment_options* options);
/* What the network sees, multiples of 32; 0 is as trained. */
S2U_API s2u_status* s2u_segment_options_set_size(s2u_segment_options* options, int32_t width, int32_t height);
/* 0. 1: everything as the reference's test.py, one foreground only. */
S2U_API s2u_status* s2u_segment_options_set_official(s2u_segment_options* options, int32_t official);
/* S2U_PILLOW_12 */
S2U_API s2u_status* s2u_segment_options_set_pillow(s2u_segment_options* options, int32_t version);
/* S2U_FIT_AS_TRAINED */
S2U_API s2u_status* s2u_segment_options_set_fit(s2u_segment_options* options, int32_t fit);
/* Of several pictures, how many the network sees at once; 0 is what is fastest. Up to 256. */
S2U_API s2u_status* s2u_segment_options_set_batch(s2u_segment_options* options, int32_t batch);
/* S2U_OUTPUT_PROBABILITIES */
S2U_API s2u_status* s2u_segment_options_set_output(s2u_segment_options* options, int32_t output);
/* None. Pictures are segmented in tiles of `side` of their pixels (0: half of the longer side, but no less
 * than the network's input), which share `overlap` of a side (0 to 0.9); the logits of the whole picture
 * count `context` of theirs (0 to 1). Objects are then seen at another scale. */
S2U_API s2u_status* s2u_segment_options_set_tiles(s2u_segment_options* options, int32_t side, double overlap,
                                                  double context);
/* "". Test-time augmentation, such as "hflip,vflip,rot90,scale=0.75:1.25": probabilities are averaged. */
S2U_API s2u_status* s2u_segment_options_set_augmentation(s2u_segment_options* options, const char* text);

/* One segmented picture. */
typedef struct s2u_segmentation s2u_segmentation;

/* Segments gray, RGB or RGBA pictures (S2U_U8, alpha is dropped) of any sizes. out[i] belongs to pictures[i];
 * all or none are made. S2U_INVALID_ARGUMENT for a size that the network cannot take; S2U_WEIGHTS_ERROR if
 * its result holds NaN or infinity. */
S2U_API s2u_status* s2u_segment(const s2u_segmenter* segmenter, const s2u_plane* const* pictures,
                                size_t count, const s2u_segment_options* options,
                                s2u_segmentation** out /* [count] */);
S2U_API void s2u_segmentation_free(s2u_segmentation* segmentation);

typedef struct s2u_segmentation_info {
  size_t struct_size;
  int32_t width, height;               /* of the picture */
  int32_t channels;                    /* K */
  int32_t logits_width, logits_height; /* of the network's own output; 0 with tiles or augmentation */
  int32_t official;                    /* 1 if it was asked for */
  int32_t output;                      /* s2u_output */
  int32_t fit;                         /* s2u_fit, in effect */
} s2u_segmentation_info;
S2U_API s2u_status* s2u_segmentation_get_info(const s2u_segmentation* segmentation,
                                              s2u_segmentation_info* out);

/* Probabilities, [K, height, width] in [0, 1]: the sigmoid of one foreground's logits (stretched where
 * official), the softmax of several classes'. S2U_INVALID_ARGUMENT where ids were asked for. */
S2U_API s2u_status* s2u_segmentation_probabilities(const s2u_segmentation* segmentation, float* values,
                                                   size_t* count);
/* One channel as 8 bits, [height, width]: truncated if official, as the reference writes it; else rounded. */
S2U_API s2u_status* s2u_segmentation_gray(const s2u_segmentation* segmentation, int32_t channel,
                                          uint8_t* values, size_t* count);
/* 255 where the channel's probability is at least the threshold, else 0: [height, width]. */
S2U_API s2u_status* s2u_segmentation_mask(const s2u_segmentation* segmentation, int32_t channel,
                                          double threshold, uint8_t* values, size_t* count);
/* The most probable class of each pixel, [height, width]; of one foreground 1 where it is 0.5 or more. */
S2U_API s2u_status* s2u_segmentation_ids(const s2u_segmentation* segmentation, uint8_t* values,
                                         size_t* count);
/* That class's probability, [height, width]. */
S2U_API s2u_status* s2u_segmentation_confidence(const s2u_segmentation* segmentation, float* values,
                                                size_t* count);
/* The network's own output, [K, logits_height, logits_width]. */
S2U_API s2u_status* s2u_segmentation_logits(const s2u_segmentation* segmentation, float* values,
                                            size_t* count);

/* Outlines */

/* Polygons of connected parts (pixels that share a side). Ring 0 of each is the outer one, which runs
 * clockwise on the screen, the others are its holes. Points are corners of pixels: (0, 0) is the picture's
 * upper left one. */
typedef struct s2u_polygons s2u_polygons;
/* Of a mask (S2U_U8, one channel, inside is 128 or more), in reading order. Tolerance 0 encloses the mask's
 * pixels exactly; with more, corners are left out where the line stays within so many pixels of them. */
S2U_API s2u_status* s2u_mask_polygons(const s2u_plane* mask, double tolerance, s2u_polygons** out);
S2U_API void s2u_polygons_free(s2u_polygons* polygons);
S2U_API size_t s2u_polygons_count(const s2u_polygons* polygons);
S2U_API size_t s2u_polygons_ring_count(const s2u_polygons* polygons, size_t polygon);
/* x and y of each point: *count is twice as many. */
S2U_API s2u_status* s2u_polygons_ring(const s2u_polygons* polygons, size_t polygon, size_t ring, int32_t* xy,
                                      size_t* count);

typedef enum s2u_region_kind {
  S2U_REGION_CLASSES = 0,  /* one for each class, also for those that do not occur */
  S2U_REGION_INSTANCES = 1 /* one for each connected part */
} s2u_region_kind;

typedef struct s2u_region {
  size_t struct_size;
  int32_t id;                  /* of its class; 1 is the one foreground */
  int32_t x, y, width, height; /* box around it; width 0 if there is nothing */
  int64_t area;                /* pixels */
  double confidence;           /* mean over its pixels; 0 if there are none */
} s2u_region;

/* Regions of a result's ids, of all classes but the background. */
typedef struct s2u_regions s2u_regions;
S2U_API s2u_status* s2u_segmentation_regions(const s2u_segmentation* segmentation, int32_t kind,
                                             double tolerance, s2u_regions** out);
/* The same of ids [height, width] (S2U_U8, one channel) that were changed since, and the probability of each,
 * whose rows have no gaps. `classes` is K, 1 for one foreground. */
S2U_API s2u_status* s2u_ids_regions(const s2u_plane* ids, const float* confidence, int32_t classes,
                                    int32_t kind, double tolerance, s2u_regions** out);
S2U_API void s2u_regions_free(s2u_regions* regions);
S2U_API size_t s2u_regions_count(const s2u_regions* regions);
S2U_API s2u_status* s2u_regions_get(const s2u_regions* regions, size_t index, s2u_region* out);
/* Its outlines, which live as long as the regions and are not to be freed; NULL if there is no such region.
 */
S2U_API const s2u_polygons* s2u_regions_polygons(const s2u_regions* regions, size_t index);

/* Weight files */

/* Where a file is read here, a model's name will do too. */

/* What a file holds and what it can be used for, as the JSON of `sam2unet info --json`. S2U_FILE_ERROR,
 * S2U_FORMAT_ERROR. */
S2U_API s2u_status* s2u_weights_info(const char* path, s2u_text** json);

typedef enum s2u_weights_precision {
  S2U_WEIGHTS_KEEP = 0,
  S2U_WEIGHTS_F32 = 1,
  S2U_WEIGHTS_F16 = 2,
  S2U_WEIGHTS_BF16 = 3,
  S2U_WEIGHTS_INT8 = 4 /* with scales; safetensors only */
} s2u_weights_precision;

typedef struct s2u_convert_options s2u_convert_options;
S2U_API s2u_status* s2u_convert_options_new(s2u_convert_options** out);
S2U_API void s2u_convert_options_free(s2u_convert_options* options);
/* S2U_WEIGHTS_KEEP */
S2U_API s2u_status* s2u_convert_options_set_precision(s2u_convert_options* options, int32_t precision);
/* 0. 1: without the frozen trunk. */
S2U_API s2u_status* s2u_convert_options_set_task_only(s2u_convert_options* options, int32_t task_only);
/* "": where the trunk of a task-only input comes from. */
S2U_API s2u_status* s2u_convert_options_set_trunk(s2u_convert_options* options, const char* path);
/* Writes `out`, whose extension decides the format: .safetensors, .pth, .pt. `notes` (may be NULL): lines on
 * what a user of the result may stumble over. S2U_FILE_ERROR, S2U_FORMAT_ERROR, S2U_WEIGHTS_ERROR. */
S2U_API s2u_status* s2u_weights_convert(const char* in, const char* out, const s2u_convert_options* options,
                                        s2u_text** notes);

typedef enum s2u_dtype {
  S2U_DTYPE_F64 = 0,
  S2U_DTYPE_F32 = 1,
  S2U_DTYPE_F16 = 2,
  S2U_DTYPE_BF16 = 3,
  S2U_DTYPE_I64 = 4,
  S2U_DTYPE_I32 = 5,
  S2U_DTYPE_I16 = 6,
  S2U_DTYPE_I8 = 7,
  S2U_DTYPE_U8 = 8,
  S2U_DTYPE_BOOL = 9
} s2u_dtype;

/* The tensors of any weight file as they are stored, and its metadata. The file must stay as it is until the
 * handle is freed. */
typedef struct s2u_tensors s2u_tensors;

typedef struct s2u_tensor {
  size_t struct_size;
  const char* name; /* lives as long as the tensors */
  int32_t dtype;    /* s2u_dtype */
  int32_t rank;     /* 0 to 8 */
  int64_t shape[8];
  size_t bytes; /* of all elements, in row-major order */
} s2u_tensor;

S2U_API s2u_status* s2u_tensors_open(const char* path, s2u_tensors** out);
S2U_API void s2u_tensors_free(s2u_tensors* tensors);
S2U_API size_t s2u_tensors_count(const s2u_tensors* tensors);
S2U_API s2u_status* s2u_tensors_get(const s2u_tensors* tensors, size_t index, s2u_tensor* out);
/* Its elements in row-major order; `size` must be the tensor's bytes. */
S2U_API s2u_status* s2u_tensors_read(const s2u_tensors* tensors, size_t index, void* bytes, size_t size);
S2U_API size_t s2u_tensors_metadata_count(const s2u_tensors* tensors);
/* NULL where there is no such entry; they live as long as the tensors. */
S2U_API const char* s2u_tensors_metadata_key(const s2u_tensors* tensors, size_t index);
S2U_API const char* s2u_tensors_metadata_value(const s2u_tensors* tensors, size_t index);

/* A new file of tensors. */
typedef struct s2u_tensor_writer s2u_tensor_writer;
S2U_API s2u_status* s2u_tensor_writer_new(s2u_tensor_writer** out);
S2U_API void s2u_tensor_writer_free(s2u_tensor_writer* writer);
/* `bytes` are read when the file is saved and must live until then; `size` must be what dtype and shape
 * say. */
S2U_API s2u_status* s2u_tensor_writer_add(s2u_tensor_writer* writer, const char* name, int32_t dtype,
                                          const int64_t* shape, int32_t rank, const void* bytes, size_t size);
S2U_API s2u_status* s2u_tensor_writer_set_metadata(s2u_tensor_writer* writer, const char* key,
                                                   const char* value);
/* .safetensors, or .pth/.pt as torch.load reads it (which holds no metadata). Whole or not at all. */
S2U_API s2u_status* s2u_tensor_writer_save(const s2u_tensor_writer* writer, const char* path);

/* Data sets */

typedef struct s2u_doctor_options s2u_doctor_options;
S2U_API s2u_status* s2u_doctor_options_new(s2u_doctor_options** out);
S2U_API void s2u_doctor_options_free(s2u_doctor_options* options);
/* "": pictures that the training ones must not hold. */
S2U_API s2u_status* s2u_doctor_options_set_test_images(s2u_doctor_options* options, const char* place);
/* "": masks of one foreground; else a class file, or a number of classes. */
S2U_API s2u_status* s2u_doctor_options_set_classes(s2u_doctor_options* options, const char* file_or_count);
/* 0. 1: subfolders too. */
S2U_API s2u_status* s2u_doctor_options_set_recursive(s2u_doctor_options* options, int32_t recursive);
/* "": what names have beside the part that both sides share. */
S2U_API s2u_status* s2u_doctor_options_set_image_affix(s2u_doctor_options* options, const char* prefix,
                                                       const char* suffix);
S2U_API s2u_status* s2u_doctor_options_set_mask_affix(s2u_doctor_options* options, const char* prefix,
                                                      const char* suffix);
/* 0: all cores. Up to 1024. */
S2U_API s2u_status* s2u_doctor_options_set_threads(s2u_doctor_options* options, int32_t threads);
/* Called now and then, by one thread at a time; NULL: not. It must not throw or jump out. */
typedef void (*s2u_progress)(size_t done, size_t total, void* user);
S2U_API s2u_status* s2u_doctor_options_set_progress(s2u_doctor_options* options, s2u_progress progress,
                                                    void* user);
/* What would silently ruin a training or an evaluation, as the JSON of `sam2unet doctor --json`. Folders, or
 * patterns ("Imgs/[*].jpg" without the brackets). S2U_FILE_ERROR or S2U_INVALID_ARGUMENT if a folder cannot
 * be listed or holds no pictures; trouble with single files is what it finds. */
S2U_API s2u_status* s2u_doctor(const char* images, const char* masks, const s2u_doctor_options* options,
                               s2u_text** json);

#ifdef __cplusplus
}
#endif
#endif
