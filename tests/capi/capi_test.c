/* The C API of the metrics as a C99 program uses it, and misuses it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sam2unet/s2u_metrics.h"

static int failures = 0;

static void expect(int ok, const char* what, int line) {
  if (ok) return;
  fprintf(stderr, "line %d: %s\n", line, what);
  ++failures;
}
#define EXPECT(condition) expect((condition) != 0, #condition, __LINE__)

static void must(s2u_status* status, int line) {
  if (status == NULL) return;
  fprintf(stderr, "line %d: %s\n", line, s2u_status_text(status));
  s2u_status_free(status);
  ++failures;
}
#define MUST(call) must((call), __LINE__)

/* The call fails with this code and says so with this word. */
static void refused(s2u_status* status, s2u_code code, const char* word, int line) {
  if (status == NULL || s2u_status_code(status) != code || strstr(s2u_status_text(status), word) == NULL) {
    fprintf(stderr, "line %d: code %d, \"%s\"\n", line, (int)s2u_status_code(status),
            s2u_status_text(status));
    ++failures;
  }
  s2u_status_free(status);
}
#define REFUSED(call, word) refused((call), S2U_INVALID_ARGUMENT, (word), __LINE__)

enum { W = 20, H = 16 };
static uint8_t pred[H][W], gt[H][W];
static double values[H][W];
static uint8_t truth[H][W];

static s2u_plane plane(const void* data, s2u_type type, size_t size) {
  s2u_plane p;
  memset(&p, 0, sizeof p);
  p.struct_size = sizeof p;
  p.data = data;
  p.type = type;
  p.width = W;
  p.height = H;
  p.channels = 1;
  p.stride = (ptrdiff_t)(W * size);
  return p;
}

static void make_maps(void) {
  for (int y = 0; y < H; ++y) {
    for (int x = 0; x < W; ++x) {
      gt[y][x] = (uint8_t)(y >= 4 && y < 12 && x >= 5 && x < 15 ? 255 : 0);
      pred[y][x] = (uint8_t)((x * 13 + y * 7) % 256);
      truth[y][x] = gt[y][x] > 128;
      values[y][x] = pred[y][x];
    }
  }
}

/* min-max, as the levels are prepared */
static void normalise(void) {
  double low = 255, high = 0;
  for (int i = 0; i < W * H; ++i) {
    const double v = pred[i / W][i % W] / 255.0;
    low = v < low ? v : low;
    high = v > high ? v : high;
  }
  for (int i = 0; i < W * H; ++i) values[i / W][i % W] = (pred[i / W][i % W] / 255.0 - low) / (high - low);
}

static void test_pair(void) {
  s2u_pair *levels = NULL, *floats = NULL;
  MUST(s2u_pair_new(&levels));
  MUST(s2u_pair_new(&floats));
  double value = -1, other = -1, curve[256];
  REFUSED(s2u_pair_mae(levels, &value), "s2u_pair_set");
  EXPECT(value == -1); /* untouched */

  s2u_plane p = plane(pred, S2U_U8, 1), g = plane(gt, S2U_U8, 1);
  s2u_plane v = plane(values, S2U_F64, sizeof(double)), t = plane(truth, S2U_BOOL, 1);
  MUST(s2u_pair_set(levels, &p, &g));
  MUST(s2u_pair_set(floats, &v, &t));

  /* mean(|p - g|), naively */
  double sum = 0;
  for (int i = 0; i < W * H; ++i) sum += fabs(values[i / W][i % W] - truth[i / W][i % W]);
  MUST(s2u_pair_mae(levels, &value));
  EXPECT(fabs(value - sum / (W * H)) < 1e-12);
  MUST(s2u_pair_mae(floats, &other));
  EXPECT(fabs(value - other) < 1e-12);

  /* a truth that differs from the one before in a level that is background just so is another truth */
  double before = 0;
  MUST(s2u_pair_s_measure(levels, 0.5, &before));
  gt[5][6] = 128;
  MUST(s2u_pair_set(levels, &p, &g));
  MUST(s2u_pair_mae(levels, &value));
  EXPECT(fabs(value - (sum + values[5][6] - fabs(values[5][6] - 1)) / (W * H)) < 1e-12);
  gt[5][6] = 129;
  MUST(s2u_pair_set(levels, &p, &g));
  MUST(s2u_pair_s_measure(levels, 0.5, &value));
  EXPECT(value == before);

  /* levels and their values are the same maps */
  MUST(s2u_pair_s_measure(levels, 0.5, &value));
  MUST(s2u_pair_s_measure(floats, 0.5, &other));
  EXPECT(value > 0 && fabs(value - other) < 1e-12);
  MUST(s2u_pair_weighted_f(levels, 1, &value));
  MUST(s2u_pair_weighted_f(floats, 1, &other));
  EXPECT(value > 0 && fabs(value - other) < 1e-12);
  MUST(s2u_pair_context(levels, 1, 6, &value));
  MUST(s2u_pair_context(floats, 1, 6, &other));
  EXPECT(value > 0 && fabs(value - other) < 1e-12);
  MUST(s2u_pair_hce(levels, 5, 2, &value));
  MUST(s2u_pair_hce(floats, 5, 2, &other));
  EXPECT(value == other);

  /* confusion matrices, counted naively at one threshold */
  int64_t adaptive[4], binary[4], all[256][4];
  MUST(s2u_pair_confusion(levels, adaptive, binary, &all[0][0]));
  int64_t tp = 0, fp = 0;
  for (int i = 0; i < W * H; ++i) {
    const int above = (int)(values[i / W][i % W] * 255) >= 100;
    tp += above && truth[i / W][i % W];
    fp += above && !truth[i / W][i % W];
  }
  EXPECT(all[155][0] == tp && all[155][1] == fp);
  EXPECT(all[155][2] == W * H - 80 - fp && all[155][3] == 80 - tp);
  EXPECT(all[255][0] == 80 && all[255][2] == 0);
  const s2u_measure wanted[2] = {S2U_IOU, S2U_F_MEASURE};
  const double beta2[2] = {0, 0.3};
  double measured[2][258];
  MUST(s2u_pair_measures(levels, wanted, beta2, 2, &measured[0][0]));
  EXPECT(fabs(measured[0][2 + 155] - (double)tp / (double)(80 + fp)) < 1e-15);
  MUST(s2u_pair_e_measure(levels, &value, curve));
  EXPECT(value > 0 && curve[0] > 0);

  size_t targets = 9;
  MUST(s2u_pair_target_count(levels, &targets));
  EXPECT(targets == 1);
  double sums[2];
  int64_t pixels[2];
  MUST(s2u_pair_target_errors(levels, targets, sums, pixels));
  EXPECT(pixels[0] == W * H - 80 && pixels[1] == 80);
  EXPECT(fabs(sums[0] + sums[1] - sum) < 1e-9);
  REFUSED(s2u_pair_target_errors(levels, 7, sums, pixels), "targets");

  /* mistakes */
  s2u_plane bad = p;
  bad.width = 0;
  REFUSED(s2u_pair_set(levels, &bad, &g), "pixels");
  bad = p;
  bad.struct_size = 8;
  REFUSED(s2u_pair_set(levels, &bad, &g), "struct_size");
  bad = p;
  bad.width = bad.height = 1 << 24;
  REFUSED(s2u_pair_set(levels, &bad, &g), "pixels");
  bad = p;
  bad.stride = 3;
  REFUSED(s2u_pair_set(levels, &bad, &g), "stride");
  bad = p;
  bad.data = NULL;
  REFUSED(s2u_pair_set(levels, &bad, &g), "null");
  bad = p;
  bad.height = H - 1;
  REFUSED(s2u_pair_set(levels, &bad, &g), "differ in size");
  REFUSED(s2u_pair_set(levels, NULL, &g), "null");
  REFUSED(s2u_pair_set(NULL, &p, &g), "null");
  REFUSED(s2u_pair_set(levels, &p, &t), "grey levels");
  REFUSED(s2u_pair_set(floats, &v, &g), "boolean");
  MUST(s2u_pair_set(levels, &p, &g));
  REFUSED(s2u_pair_context(levels, 1, 1e12, &value), "alpha");
  REFUSED(s2u_pair_context(levels, 1, NAN, &value), "alpha");
  REFUSED(s2u_pair_hce(levels, -1, 2, &value), "relax");
  REFUSED(s2u_pair_msiou(levels, 1, 0, &value, NULL, NULL), "levels");
  REFUSED(s2u_pair_mae(levels, NULL), "null");
  const s2u_measure none = (s2u_measure)99;
  REFUSED(s2u_pair_measures(levels, &none, beta2, 1, &measured[0][0]), "measure 99");
  s2u_pair_free(levels);
  s2u_pair_free(floats);
  s2u_pair_free(NULL);
}

static void test_dataset(void) {
  s2u_plane p = plane(pred, S2U_U8, 1), g = plane(gt, S2U_U8, 1);
  s2u_scorer* scorer = NULL;
  s2u_scores *scores = NULL, *again = NULL;
  s2u_dataset *one = NULL, *two = NULL;
  MUST(s2u_scorer_new(S2U_GROUP_ALL, &scorer));
  REFUSED(s2u_scorer_new(1u << 20, &scorer), "group");
  MUST(s2u_scorer_score(scorer, &p, &g, NULL, &scores));
  MUST(s2u_dataset_new(S2U_EMPTY_PAPER, &one));
  MUST(s2u_dataset_new(S2U_EMPTY_PAPER, &two));
  MUST(s2u_dataset_add(one, scores));
  MUST(s2u_dataset_merge(two, one));
  MUST(s2u_dataset_merge(two, two));
  size_t counted = 0, empty = 9;
  MUST(s2u_dataset_count(two, &counted, &empty));
  EXPECT(counted == 2 && empty == 0);
  { /* truths without foreground are counted across a merge too */
    static uint8_t nothing[H][W];
    s2u_plane none = plane(nothing, S2U_U8, 1);
    s2u_scores* of_none = NULL;
    s2u_dataset *left_out = NULL, *sum = NULL;
    MUST(s2u_scorer_score(scorer, &p, &none, NULL, &of_none));
    MUST(s2u_dataset_new(S2U_EMPTY_SKIP, &left_out));
    MUST(s2u_dataset_new(S2U_EMPTY_SKIP, &sum));
    MUST(s2u_dataset_add(left_out, of_none));
    MUST(s2u_dataset_merge(sum, left_out));
    MUST(s2u_dataset_add(sum, scores));
    MUST(s2u_dataset_count(sum, &counted, &empty));
    EXPECT(counted == 1 && empty == 1);
    MUST(s2u_dataset_merge(sum, left_out)); /* beside those that it had */
    MUST(s2u_dataset_count(sum, &counted, &empty));
    EXPECT(counted == 1 && empty == 2);
    s2u_scores_free(of_none);
    s2u_dataset_free(left_out);
    s2u_dataset_free(sum);
  }
  const size_t n = s2u_value_count();
  double* a = malloc(n * sizeof *a);
  double* b = malloc(n * sizeof *b);
  MUST(s2u_dataset_values(one, 0, 0, 1, a, NULL, NULL));
  MUST(s2u_dataset_values(two, 100, 1, 2, b, NULL, NULL));
  for (size_t k = 0; k < n; ++k) {
    if (strcmp(s2u_value_key(k), "CCM") == 0) EXPECT(isnan(a[k])); /* no picture was given */
    EXPECT(fabs(a[k] - b[k]) < 1e-12 || isnan(a[k]));
  }
  EXPECT(s2u_value_key(n) == NULL);
  REFUSED(s2u_dataset_values(one, -1, 0, 1, a, NULL, NULL), "resamples");
  REFUSED(s2u_dataset_scores(one, 1, &again), "pictures");

  size_t size = 0;
  MUST(s2u_scores_write(scores, NULL, &size));
  char* bytes = malloc(size);
  MUST(s2u_scores_write(scores, bytes, &size));
  MUST(s2u_scores_read(bytes, size, &again));
  MUST(s2u_scores_values(again, b));
  MUST(s2u_scores_values(scores, a));
  EXPECT(memcmp(a, b, n * sizeof *a) == 0);
  s2u_scores* broken = NULL;
  refused(s2u_scores_read(bytes, size - 1, &broken), S2U_FORMAT_ERROR, "bytes", __LINE__);
  bytes[0] = 'x';
  refused(s2u_scores_read(bytes, size, &broken), S2U_FORMAT_ERROR, "bytes", __LINE__);
  EXPECT(broken == NULL);
  free(bytes);
  free(a);
  free(b);
  s2u_scores_free(scores);
  s2u_scores_free(again);
  s2u_dataset_free(one);
  s2u_dataset_free(two);
  s2u_scorer_free(scorer);
}

/* A child of fork() works on its parent's handles. */
static void test_fork(void) {
  s2u_plane p = plane(pred, S2U_U8, 1), g = plane(gt, S2U_U8, 1);
  s2u_pair* pair = NULL;
  double before = 0, after = 0;
  MUST(s2u_pair_new(&pair));
  MUST(s2u_pair_set(pair, &p, &g));
  MUST(s2u_pair_weighted_f(pair, 1, &before));
  const pid_t child = fork();
  if (child == 0) {
    s2u_status* status = s2u_pair_set(pair, &p, &g);
    if (status == NULL) status = s2u_pair_weighted_f(pair, 1, &after);
    _exit(status == NULL && before == after ? 0 : 1);
  }
  int code = -1;
  EXPECT(waitpid(child, &code, 0) == child);
  EXPECT(WIFEXITED(code) && WEXITSTATUS(code) == 0);
  s2u_pair_free(pair);
}

int main(void) {
  make_maps();
  normalise();
  EXPECT(s2u_abi_version() == S2U_ABI_VERSION);
  EXPECT(strlen(s2u_version()) >= 5);
  EXPECT(s2u_status_code(NULL) == S2U_OK && strcmp(s2u_status_text(NULL), "") == 0);
  test_pair();
  test_dataset();
  test_fork();
  if (failures == 0) puts("ok");
  return failures == 0 ? 0 : 1;
}
