"""The C API of the metrics (include/sam2unet/s2u_metrics.h) by ctypes, which releases the GIL during every call."""
from __future__ import annotations

import ctypes
import os
import threading
from ctypes import POINTER, byref, c_char_p, c_double, c_int32, c_int64, c_size_t, c_ssize_t, c_uint32, c_uint64, c_void_p

import numpy as np

from sam2unet._library import check, load
from sam2unet._planes import BOOL, F32, F64, U8, Plane, address, fill, plane

_P = c_void_p  # handles and statuses
_DOUBLES = _INT64S = _INT32S = c_void_p  # addresses of numpy arrays, or None
_PROTOTYPES = {
    "s2u_pair_new": (_P, [POINTER(c_void_p)]),
    "s2u_pair_free": (None, [_P]),
    "s2u_pair_set": (_P, [_P, POINTER(Plane), POINTER(Plane)]),
    "s2u_pair_mae": (_P, [_P, POINTER(c_double)]),
    "s2u_pair_s_measure": (_P, [_P, c_double, POINTER(c_double)]),
    "s2u_pair_e_measure": (_P, [_P, POINTER(c_double), _DOUBLES]),
    "s2u_pair_weighted_f": (_P, [_P, c_double, POINTER(c_double)]),
    "s2u_pair_hce": (_P, [_P, c_int32, c_double, POINTER(c_double)]),
    "s2u_pair_confusion": (_P, [_P, _INT64S, _INT64S, _INT64S]),
    "s2u_pair_measures": (_P, [_P, _INT32S, _DOUBLES, c_size_t, _DOUBLES]),
    "s2u_pair_msiou": (_P, [_P, c_int32, c_int32, POINTER(c_double), POINTER(c_double), _DOUBLES]),
    "s2u_pair_context": (_P, [_P, c_double, c_double, POINTER(c_double)]),
    "s2u_pair_camouflage": (_P, [_P, POINTER(Plane), c_double, c_double, c_double, c_double, POINTER(c_double)]),
    "s2u_pair_target_count": (_P, [_P, POINTER(c_size_t)]),
    "s2u_pair_target_confusion": (_P, [_P, c_size_t, _INT64S, _INT64S, _INT64S]),
    "s2u_pair_target_measures": (_P, [_P, c_size_t, _INT32S, _DOUBLES, c_size_t, _DOUBLES]),
    "s2u_pair_target_errors": (_P, [_P, c_size_t, _DOUBLES, _INT64S]),
    "s2u_scorer_new": (_P, [c_uint32, POINTER(c_void_p)]),
    "s2u_scorer_free": (None, [_P]),
    "s2u_scorer_score": (_P, [_P, POINTER(Plane), POINTER(Plane), POINTER(Plane), POINTER(c_void_p)]),
    "s2u_scores_free": (None, [_P]),
    "s2u_scores_write": (_P, [_P, c_void_p, POINTER(c_size_t)]),
    "s2u_scores_read": (_P, [c_char_p, c_size_t, POINTER(c_void_p)]),
    "s2u_value_count": (c_size_t, []),
    "s2u_value_key": (c_char_p, [c_size_t]),
    "s2u_value_higher_is_better": (c_int32, [c_size_t]),
    "s2u_scores_values": (_P, [_P, _DOUBLES]),
    "s2u_dataset_new": (_P, [c_int32, POINTER(c_void_p)]),
    "s2u_dataset_free": (None, [_P]),
    "s2u_dataset_add": (_P, [_P, _P]),
    "s2u_dataset_merge": (_P, [_P, _P]),
    "s2u_dataset_count": (_P, [_P, POINTER(c_size_t), POINTER(c_size_t)]),
    "s2u_dataset_scores": (_P, [_P, c_size_t, POINTER(c_void_p)]),
    "s2u_dataset_values": (_P, [_P, c_int32, c_uint64, c_int32, _DOUBLES, _DOUBLES, _DOUBLES]),
}
_lib = load("libsam2unet_metrics", _PROTOTYPES)


class Pair:
    """A prediction and its truth, prepared for all metrics. For one thread at a time."""

    def __init__(self) -> None:
        handle = c_void_p()
        check(_lib.s2u_pair_new(byref(handle)))
        self._handle = handle
        self._pred, self._gt, self._img = plane(), plane(), plane()
        self._value = c_double()
        self.type: type = np.float64  #: of the values that are given for it

    def __del__(self, free=_lib.s2u_pair_free) -> None:
        if getattr(self, "_handle", None) is not None:
            free(self._handle)

    def set_levels(self, pred: np.ndarray, gt: np.ndarray) -> None:
        """Two uint8 arrays [H, W]."""
        alive = fill(self._pred, pred, U8), fill(self._gt, gt, U8)
        check(_lib.s2u_pair_set(self._handle, self._pred, self._gt))
        del alive

    def set_values(self, pred: np.ndarray, gt: np.ndarray) -> None:
        """float32 or float64 [H, W], taken as they are, and a boolean truth."""
        alive = fill(self._pred, pred, F32 if pred.dtype == np.float32 else F64), fill(self._gt, gt, BOOL)
        check(_lib.s2u_pair_set(self._handle, self._pred, self._gt))
        del alive

    def mae(self) -> float:
        check(_lib.s2u_pair_mae(self._handle, self._value))
        return self._value.value

    def s_measure(self, alpha: float) -> float:
        check(_lib.s2u_pair_s_measure(self._handle, alpha, self._value))
        return self._value.value

    def e_measure(self) -> tuple[float, np.ndarray]:
        curve = np.empty(256)
        check(_lib.s2u_pair_e_measure(self._handle, self._value, address(curve)))
        return self._value.value, curve

    def weighted_f(self, beta2: float) -> float:
        check(_lib.s2u_pair_weighted_f(self._handle, beta2, self._value))
        return self._value.value

    def hce(self, relax: int, epsilon: float) -> float:
        check(_lib.s2u_pair_hce(self._handle, relax, epsilon, self._value))
        return self._value.value

    def confusion(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """int64 [4], [4], [256, 4]: tp, fp, tn, fn of the adaptive threshold, of p > 0.5, of 255 down to 0."""
        adaptive, binary, curve = np.empty(4, np.int64), np.empty(4, np.int64), np.empty((256, 4), np.int64)
        check(_lib.s2u_pair_confusion(self._handle, address(adaptive), address(binary), address(curve)))
        return adaptive, binary, curve

    def measures(self, kinds: np.ndarray, beta2: np.ndarray) -> np.ndarray:
        """float64 [len(kinds), 258]: adaptive, binary, thresholds 255 down to 0."""
        out = np.empty((len(kinds), 258))
        check(_lib.s2u_pair_measures(self._handle, address(kinds), address(beta2), len(kinds), address(out)))
        return out

    def msiou(self, levels: int, half: bool, curve: bool) -> tuple[float, float, np.ndarray | None]:
        """Adaptive, binary, and thresholds 0 to 256."""
        values = np.empty(257) if curve else None
        binary = c_double()
        check(_lib.s2u_pair_msiou(self._handle, levels, int(half), self._value, binary,
                                  None if values is None else address(values)))
        return self._value.value, binary.value, values

    def context(self, beta2: float, alpha: float) -> float:
        check(_lib.s2u_pair_context(self._handle, beta2, alpha, self._value))
        return self._value.value

    def camouflage(self, img: np.ndarray, beta2: float, alpha: float, gamma: float, weight: float) -> float:
        alive = fill(self._img, img, U8)
        check(_lib.s2u_pair_camouflage(self._handle, self._img, beta2, alpha, gamma, weight, self._value))
        del alive
        return self._value.value

    def target_count(self) -> int:
        count = c_size_t()
        check(_lib.s2u_pair_target_count(self._handle, count))
        return count.value

    def target_confusion(self, targets: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As confusion(), with the targets in front."""
        adaptive, binary = np.empty((targets, 4), np.int64), np.empty((targets, 4), np.int64)
        curve = np.empty((targets, 256, 4), np.int64)
        check(_lib.s2u_pair_target_confusion(self._handle, targets, address(adaptive), address(binary), address(curve)))
        return adaptive, binary, curve

    def target_measures(self, targets: int, kinds: np.ndarray, beta2: np.ndarray) -> np.ndarray:
        """float64 [targets, len(kinds), 258]."""
        out = np.empty((targets, len(kinds), 258))
        check(_lib.s2u_pair_target_measures(self._handle, targets, address(kinds), address(beta2), len(kinds),
                                            address(out)))
        return out

    def target_errors(self, targets: int) -> tuple[np.ndarray, np.ndarray]:
        """Sums of |p - g| and pixels: outside of all targets, then each target."""
        sums, pixels = np.empty(1 + targets), np.empty(1 + targets, np.int64)
        check(_lib.s2u_pair_target_errors(self._handle, targets, address(sums), address(pixels)))
        return sums, pixels


_local = threading.local()


def pair() -> Pair:
    """This thread's pair."""
    try:
        return _local.pair
    except AttributeError:
        _local.pair = Pair()
        return _local.pair


VALUE_KEYS = tuple(_lib.s2u_value_key(i).decode() for i in range(_lib.s2u_value_count()))
HIGHER_IS_BETTER = {key: bool(_lib.s2u_value_higher_is_better(i)) for i, key in enumerate(VALUE_KEYS)}
EMPTY = {"paper": 0, "skip": 1, "one-if-correct": 2}


class Scores:
    """The record of one scored picture; picklable."""

    def __init__(self, handle: c_void_p) -> None:
        self._handle = handle

    def __del__(self, free=_lib.s2u_scores_free) -> None:
        if getattr(self, "_handle", None) is not None:
            free(self._handle)

    def __reduce__(self):
        size = c_size_t(0)
        check(_lib.s2u_scores_write(self._handle, None, size))
        data = ctypes.create_string_buffer(size.value)
        check(_lib.s2u_scores_write(self._handle, data, size))
        return Scores.from_bytes, (data.raw,)

    @staticmethod
    def from_bytes(data: bytes) -> "Scores":
        handle = c_void_p()
        check(_lib.s2u_scores_read(data, len(data), byref(handle)))
        return Scores(handle)

    def values(self) -> np.ndarray:
        out = np.empty(len(VALUE_KEYS))
        check(_lib.s2u_scores_values(self._handle, address(out)))
        return out


class Scorer:
    """Every metric of a pair at once. For one thread at a time."""

    def __init__(self, groups: int) -> None:
        handle = c_void_p()
        check(_lib.s2u_scorer_new(groups, byref(handle)))
        self._handle = handle
        self._planes = plane(), plane(), plane()

    def __del__(self, free=_lib.s2u_scorer_free) -> None:
        if getattr(self, "_handle", None) is not None:
            free(self._handle)

    def score(self, pred: np.ndarray, gt: np.ndarray, img: np.ndarray | None) -> Scores:
        p, g, i = self._planes
        alive = [fill(p, pred, U8), fill(g, gt, U8)]
        if img is not None:
            alive.append(fill(i, img, U8))
        handle = c_void_p()
        check(_lib.s2u_scorer_score(self._handle, p, g, None if img is None else byref(i), byref(handle)))
        del alive
        return Scores(handle)


class Dataset:
    """Records of pictures, added up."""

    def __init__(self, empty: str) -> None:
        handle = c_void_p()
        check(_lib.s2u_dataset_new(EMPTY[empty], byref(handle)))
        self._handle = handle

    def __del__(self, free=_lib.s2u_dataset_free) -> None:
        if getattr(self, "_handle", None) is not None:
            free(self._handle)

    def add(self, scores: Scores) -> None:
        check(_lib.s2u_dataset_add(self._handle, scores._handle))

    def counts(self) -> tuple[int, int]:
        """Pictures that count, and pictures without foreground."""
        counted, empty = c_size_t(), c_size_t()
        check(_lib.s2u_dataset_count(self._handle, counted, empty))
        return counted.value, empty.value

    def values(self, resamples: int, seed: int, threads: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values and the bounds of their intervals."""
        out = np.empty((3, len(VALUE_KEYS)))
        check(_lib.s2u_dataset_values(self._handle, resamples, seed, threads, *(address(row) for row in out)))
        return out[0], out[1], out[2]


_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_after_fork)


def default_threads() -> int:
    """The cores this process may use; one in a forked child (a worker of a DataLoader), whose siblings have the rest."""
    return 1 if _forked else max(1, len(os.sched_getaffinity(0)))
