/*
 * Metrics of segmentation in C99, in a library of their own (libsam2unet_metrics): no OpenMP, no GPU, no
 * codecs.
 *
 * s2u_pair: a prediction and its truth, of which each metric is asked for by itself. What PySODMetrics 1.6.2
 * computes, its parameters included.
 *
 * s2u_scorer: every metric of 8-bit maps at once, under the keys of `sam2unet eval` (docs/metrics.md).
 * s2u_scores is what is kept of a picture, s2u_dataset adds them up.
 *
 * Predictions and truths have one channel and one size. See s2u_base.h for errors, memory and threads.
 */
#ifndef SAM2UNET_S2U_METRICS_H
#define SAM2UNET_S2U_METRICS_H

#include "s2u_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One pair */

typedef struct s2u_pair s2u_pair;

S2U_API s2u_status* s2u_pair_new(s2u_pair** out);
S2U_API void s2u_pair_free(s2u_pair* pair);

/* Prepares the two for all metrics; the handle may be set again and again, and keeps its memory.
 *
 * A prediction S2U_U8 is levels over 255, then (p - min) / (max - min) unless constant; its truth is S2U_U8,
 * foreground where > 128.
 *
 * A prediction S2U_F32 or S2U_F64 is taken as it is, usually in [0, 1]; its truth is S2U_BOOL. */
S2U_API s2u_status* s2u_pair_set(s2u_pair* pair, const s2u_plane* prediction, const s2u_plane* truth);

/* S2U_INVALID_ARGUMENT from all of these before s2u_pair_set(). */

/* mean(|p - g|); of floats summed in float, as numpy does. */
S2U_API s2u_status* s2u_pair_mae(s2u_pair* pair, double* out);
/* alpha 0.5 in the paper. NaN where the truth's centroid lies in the last row or column, as in the reference.
 */
S2U_API s2u_status* s2u_pair_s_measure(s2u_pair* pair, double alpha, double* out);
/* curve[i]: (int)(255 p) >= 255 - i. Either may be NULL. */
S2U_API s2u_status* s2u_pair_e_measure(s2u_pair* pair, double* adaptive, double* curve /* [256] */);
/* beta^2 1 in the paper. */
S2U_API s2u_status* s2u_pair_weighted_f(s2u_pair* pair, double beta2, double* out);
/* relax 5, epsilon 2 in the paper. */
S2U_API s2u_status* s2u_pair_hce(s2u_pair* pair, int32_t relax, double epsilon, double* out);

/* Confusion matrices as tp, fp, tn, fn: of p >= min(2 mean(p), 1), of p > 0.5, and of the 256 thresholds,
 * [256][4], entry i as above. Any may be NULL. */
S2U_API s2u_status* s2u_pair_confusion(s2u_pair* pair, int64_t* adaptive /* [4] */, int64_t* binary /* [4] */,
                                       int64_t* curve /* [256][4] */);

typedef enum s2u_measure {
  S2U_F_MEASURE = 0, /* (1 + beta2) P R / (beta2 P + R) */
  S2U_PRECISION = 1,
  S2U_RECALL = 2,
  S2U_FPR = 3,
  S2U_IOU = 4,
  S2U_DICE = 5,
  S2U_SPECIFICITY = 6,
  S2U_BER = 7,
  S2U_OVERALL_ACCURACY = 8,
  S2U_KAPPA = 9
} s2u_measure;

/* Measures of those matrices: values[k][0] adaptive, [1] binary, [2 + i] threshold 255 - i. beta2 is read for
 * S2U_F_MEASURE only. */
S2U_API s2u_status* s2u_pair_measures(s2u_pair* pair, const s2u_measure* measures, const double* beta2,
                                      size_t count, double* values /* [count][258] */);

/* Multi-scale IoU. curve[t]: (int)(255 p) >= t for t = 0..256. `levels` is 10 in the paper. `half` is 1 for
 * numpy 2's rounding of the truth's cells, 0 for numpy 1's (docs/metrics.md). Any output may be NULL. */
S2U_API s2u_status* s2u_pair_msiou(s2u_pair* pair, int32_t levels, int32_t half, double* adaptive,
                                   double* binary, double* curve /* [257] */);

/* Context measure; beta2 1, alpha 6 in the paper. */
S2U_API s2u_status* s2u_pair_context(s2u_pair* pair, double beta2, double alpha, double* out);
/* Camouflage context measure of an RGB picture, S2U_U8; beta2 1.2, alpha 6, gamma 8, lambda 20 in the paper.
 */
S2U_API s2u_status* s2u_pair_camouflage(s2u_pair* pair, const s2u_plane* picture, double beta2, double alpha,
                                        double gamma, double lambda, double* out);

/* Size-invariant measures: the truth's parts of 50 pixels and more, each with its box; the largest if all are
 * smaller, none where the truth is empty. */
S2U_API s2u_status* s2u_pair_target_count(s2u_pair* pair, size_t* out);
/* As s2u_pair_confusion, for each target: [targets][4], [targets][4], [targets][256][4]. `targets` is what
 * s2u_pair_target_count() said. */
S2U_API s2u_status* s2u_pair_target_confusion(s2u_pair* pair, size_t targets, int64_t* adaptive,
                                              int64_t* binary, int64_t* curve);
/* As s2u_pair_measures: [targets][count][258]. */
S2U_API s2u_status* s2u_pair_target_measures(s2u_pair* pair, size_t targets, const s2u_measure* measures,
                                             const double* beta2, size_t count, double* values);
/* Sums of |p - g| and pixels: entry 0 outside of all targets' boxes, entry 1 + k in the box of target k. */
S2U_API s2u_status* s2u_pair_target_errors(s2u_pair* pair, size_t targets, double* sums /* [1 + targets] */,
                                           int64_t* pixels /* [1 + targets] */);

/* Every metric at once, data sets */

/* Groups that a scorer computes beside the classic metrics, which it always does. */
#define S2U_GROUP_HCE 1u
#define S2U_GROUP_MSIOU 2u
#define S2U_GROUP_CONTEXT 4u
#define S2U_GROUP_SIZE_INVARIANT 8u
#define S2U_GROUP_BOUNDARY 16u
#define S2U_GROUP_MIRROR 32u
#define S2U_GROUP_ALL 63u

typedef struct s2u_scorer s2u_scorer;
typedef struct s2u_scores s2u_scores; /* of one picture */
typedef struct s2u_dataset s2u_dataset;

S2U_API s2u_status* s2u_scorer_new(uint32_t groups, s2u_scorer** out);
S2U_API void s2u_scorer_free(s2u_scorer* scorer);
/* Prediction and truth are S2U_U8, one channel; `picture` is RGB or NULL (no camouflage context measure
 * then). */
S2U_API s2u_status* s2u_scorer_score(s2u_scorer* scorer, const s2u_plane* prediction, const s2u_plane* truth,
                                     const s2u_plane* picture, s2u_scores** out);

S2U_API void s2u_scores_free(s2u_scores* scores);
/* A picture's record as bytes, to be sent to another process. *size is the capacity of `bytes` and becomes
 * what is needed; nothing is written if that is more, or if `bytes` is NULL. */
S2U_API s2u_status* s2u_scores_write(const s2u_scores* scores, void* bytes, size_t* size);
/* S2U_FORMAT_ERROR for anything that s2u_scores_write() has not made. */
S2U_API s2u_status* s2u_scores_read(const void* bytes, size_t size, s2u_scores** out);

/* The keys of all values, in a fixed order: "S", "fm.max", "overall_iou". NULL from s2u_value_count() on. */
S2U_API size_t s2u_value_count(void);
S2U_API const char* s2u_value_key(size_t index);
/* 1 if larger is better, else 0. */
S2U_API int32_t s2u_value_higher_is_better(size_t index);
/* [s2u_value_count()]: values of one picture; NaN where not computed, and where only a data set has the
 * value. */
S2U_API s2u_status* s2u_scores_values(const s2u_scores* scores, double* values);

typedef enum s2u_empty {
  S2U_EMPTY_PAPER = 0,         /* pictures without foreground count as the papers' code counts them */
  S2U_EMPTY_SKIP = 1,          /* they are left out */
  S2U_EMPTY_ONE_IF_CORRECT = 2 /* agreement counts as 1 where the prediction is empty too */
} s2u_empty;

S2U_API s2u_status* s2u_dataset_new(s2u_empty empty, s2u_dataset** out);
S2U_API void s2u_dataset_free(s2u_dataset* dataset);
/* Copies the record. */
S2U_API s2u_status* s2u_dataset_add(s2u_dataset* dataset, const s2u_scores* scores);
/* Appends all pictures of `from`. */
S2U_API s2u_status* s2u_dataset_merge(s2u_dataset* dataset, const s2u_dataset* from);
/* Pictures that count in the means, and those without foreground, counted or not. Either may be NULL. */
S2U_API s2u_status* s2u_dataset_count(const s2u_dataset* dataset, size_t* counted, size_t* empty_truths);
/* The record of a counted picture, in the order of adding; to be freed. */
S2U_API s2u_status* s2u_dataset_scores(const s2u_dataset* dataset, size_t index, s2u_scores** out);
/* [s2u_value_count()]: values of the data set; NaN where not computed. With resamples > 0 also the bounds of
 * 95 % bootstrap intervals, which depend on the seed and not on the threads. `low` and `high` may be NULL. */
S2U_API s2u_status* s2u_dataset_values(const s2u_dataset* dataset, int32_t resamples, uint64_t seed,
                                       int32_t threads, double* values, double* low, double* high);

#ifdef __cplusplus
}
#endif
#endif
