/* Segments one picture with the model that comes with the library and writes the probability map.
 *   segment_c PICTURE MAP.png */
#include <sam2unet/sam2unet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tells an error and frees it; 1 if there was one. */
static int failed(s2u_status* status) {
  if (status == NULL) return 0;
  fprintf(stderr, "segment_c: %s\n", s2u_status_text(status));
  s2u_status_free(status);
  return 1;
}

/* Writes the map as a gray picture and tells how much of it is foreground. */
static int save(const s2u_segmentation* result, const char* path) {
  s2u_segmentation_info info;
  s2u_plane gray;
  uint8_t* pixels;
  size_t i, count = 0, foreground = 0;
  int is_bad;

  info.struct_size = sizeof info;
  if (failed(s2u_segmentation_get_info(result, &info))) return 1;
  if (failed(s2u_segmentation_gray(result, 0, NULL, &count))) return 1; /* how many pixels */
  pixels = malloc(count);
  if (pixels == NULL) return 1;
  is_bad = failed(s2u_segmentation_gray(result, 0, pixels, &count));
  for (i = 0; i < count && !is_bad; ++i) foreground += pixels[i] >= 128;

  memset(&gray, 0, sizeof gray);
  gray.struct_size = sizeof gray;
  gray.data = pixels;
  gray.type = S2U_U8;
  gray.width = info.width;
  gray.height = info.height;
  gray.channels = 1;
  gray.stride = info.width;
  if (!is_bad) is_bad = failed(s2u_png_write(path, &gray));
  if (!is_bad) {
    printf("%dx%d, %.1f %% foreground\n", (int)info.width, (int)info.height,
           100.0 * (double)foreground / (double)count);
  }
  free(pixels);
  return is_bad;
}

static int segment(const s2u_segmenter* segmenter, const char* name, const char* path) {
  s2u_image* picture = NULL;
  s2u_segmentation* result = NULL;
  s2u_plane plane;
  const s2u_plane* planes[1];
  int is_bad;

  plane.struct_size = sizeof plane;
  planes[0] = &plane;
  is_bad = failed(s2u_image_read(name, NULL, &picture)) || failed(s2u_image_plane(picture, &plane)) ||
           failed(s2u_segment(segmenter, planes, 1, NULL, &result)) || save(result, path);
  s2u_segmentation_free(result);
  s2u_image_free(picture);
  return is_bad;
}

int main(int argc, char** argv) {
  s2u_segmenter* segmenter = NULL;
  int is_bad;

  if (argc != 3) {
    fprintf(stderr, "usage: %s PICTURE MAP.png\n", argv[0]);
    return 2;
  }
  if (s2u_abi_version() != S2U_ABI_VERSION) {
    fprintf(stderr, "segment_c: compiled for another version of the library\n");
    return 1;
  }
  if (failed(s2u_segmenter_new(NULL, NULL, &segmenter))) return 1; /* the default model */
  is_bad = segment(segmenter, argv[1], argv[2]);
  s2u_segmenter_free(segmenter);
  return is_bad;
}
