/*
 * sam2unet in C99: what all parts of the C API share. Functions, types and constants begin with s2u_ or S2U_.
 *
 * Errors: every function that can fail returns a status. NULL if all went well, else an object with a code
 * and a text of one line (what is wrong, where, what to do), to be freed with s2u_status_free(). Outputs are
 * untouched then. No exception passes through, nothing is printed, nothing exits.
 *
 * Handles: opaque; made by s2u_..._new(), freed by s2u_..._free(), which takes NULL. A null handle elsewhere
 * or a null output is S2U_INVALID_ARGUMENT.
 *
 * Memory: outputs belong to the caller, who asks for sizes first. Texts that are returned live as long as
 * their owner, or for ever where no owner is named. Text is UTF-8.
 *
 * Structs begin with `struct_size`, set by the caller to sizeof, so that they can grow. Values of enums are
 * only ever appended.
 *
 * Threads: different handles may be used from different threads at the same time; one handle by one thread at
 * a time, unless it says otherwise. libsam2unet_metrics keeps no thread between calls and holds no lock: it
 * may be used after fork() at any moment. Of libsam2unet see sam2unet.h.
 */
#ifndef SAM2UNET_S2U_BASE_H
#define SAM2UNET_S2U_BASE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define S2U_API
#else
#define S2U_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a function or a struct's meaning changes in a way that old callers notice. */
#define S2U_ABI_VERSION 1

/* The library's own S2U_ABI_VERSION. */
S2U_API uint32_t s2u_abi_version(void);
/* "0.2.0" */
S2U_API const char* s2u_version(void);

typedef enum s2u_code {
  S2U_OK = 0,
  S2U_INVALID_ARGUMENT = 1, /* a caller's mistake: null, out of range, sizes that do not fit */
  S2U_FILE_ERROR = 2,       /* the file system refused */
  S2U_FORMAT_ERROR = 3,     /* bytes that are not what they claim to be */
  S2U_WEIGHTS_ERROR = 4,    /* a checkpoint that does not hold this network */
  S2U_IMAGE_ERROR = 5,      /* a picture that cannot be decoded */
  S2U_UNAVAILABLE = 6,      /* a part that this build or machine does not have */
  S2U_OUT_OF_MEMORY = 7,
  S2U_INTERNAL = 8 /* a fault of the library */
} s2u_code;

typedef struct s2u_status s2u_status;

/* For libraries over this one, which tell their own errors in the same way. NULL for S2U_OK. */
S2U_API s2u_status* s2u_status_new(s2u_code code, const char* text);
/* S2U_OK for NULL. */
S2U_API s2u_code s2u_status_code(const s2u_status* status);
/* "" for NULL; lives as long as the status. */
S2U_API const char* s2u_status_text(const s2u_status* status);
S2U_API void s2u_status_free(s2u_status* status);

typedef enum s2u_type {
  S2U_U8 = 0,  /* unsigned bytes */
  S2U_F32 = 1, /* float */
  S2U_F64 = 2, /* double */
  S2U_BOOL = 3 /* bytes, 0 or not 0 */
} s2u_type;

/* Rows of a picture: element (x, y, c) stands at data + y * stride + (x * channels + c) * size of the type.
 * The memory is only read, and not kept. */
typedef struct s2u_plane {
  size_t struct_size;
  const void* data;
  s2u_type type;
  int32_t width, height; /* at least 1 */
  int32_t channels;      /* 1, 3 for RGB, 4 for RGBA */
  ptrdiff_t stride;      /* bytes from a row to the next; negative where rows run upwards */
} s2u_plane;

#ifdef __cplusplus
}
#endif
#endif
