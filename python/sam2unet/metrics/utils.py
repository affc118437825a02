"""How predictions and truths are prepared, and what all metrics share."""
from __future__ import annotations

import copy
from typing import Any, Iterable, TypeVar

import numpy as np

from sam2unet import _native

EPS = np.spacing(1)
TYPE = np.float64
_EPS, _TYPE = EPS, TYPE  # names of older versions of py_sod_metrics

_UINT8 = np.dtype(np.uint8)


def validate_and_normalize_input(pred: np.ndarray, gt: np.ndarray, normalize: bool = True) -> tuple:
    """Prediction in [0, 1] and boolean truth.

    With ``normalize`` both are 8-bit grey levels of one shape (see `prepare_data`). Without, ``pred`` must be float32
    or float64 in [0, 1] and ``gt`` boolean.

    Raises ValueError for other shapes or values, TypeError for other types.
    """
    if pred.shape != gt.shape:
        raise ValueError(f"Shape mismatch between prediction ({pred.shape}) and ground truth ({gt.shape})")
    if normalize:
        return prepare_data(pred, gt)
    if pred.dtype not in (np.float32, np.float64):
        raise TypeError(f"Prediction array must be float32 or float64, got {pred.dtype}")
    if not (0 <= pred.min() and pred.max() <= 1):
        raise ValueError("Prediction values must be in range [0, 1]")
    if gt.dtype != bool:
        raise TypeError(f"Ground truth must be boolean, got {gt.dtype}")
    return pred, gt


def prepare_data(pred: np.ndarray, gt: np.ndarray) -> tuple:
    """``gt > 128``; ``pred / 255``, then stretched to [0, 1] unless it is constant."""
    gt = gt > 128
    pred = pred / 255
    low, high = pred.min(), pred.max()
    if high != low:
        pred = (pred - low) / (high - low)
    return pred, gt


_prepare_data = prepare_data


def get_adaptive_threshold(matrix: np.ndarray, max_value: float = 1) -> float:
    """``min(2 * matrix.mean(), max_value)``"""
    return min(2 * matrix.mean(), max_value)


_get_adaptive_threshold = get_adaptive_threshold


def check_strictly(pred: np.ndarray, gt: np.ndarray, normalize: bool) -> None:
    """ValueError for input that PySODMetrics takes without a word and turns into a number that means nothing."""
    if pred.ndim != 2 or gt.ndim != 2:
        raise ValueError(f"prediction and truth must be 2-D, got {pred.ndim} and {gt.ndim} dimensions")
    if pred.dtype.kind == "f" and not np.isfinite(pred).all():
        raise ValueError("the prediction has values that are no numbers")
    if not normalize:
        return
    if gt.dtype.kind == "f" and not np.isfinite(gt).all():
        raise ValueError("the ground truth has values that are no numbers")
    if gt.size and not (gt > 128).any() and gt.any():
        raise ValueError(f"the ground truth has foreground, but no level above 128 (largest: {gt.max()}): it would count "
                         "as empty. Give levels 0 and 255, or a boolean truth with normalize=False")
    if pred.size and (pred.min() < 0 or pred.max() > 255):
        raise ValueError(f"the prediction has levels {pred.min()} to {pred.max()}, outside of 0..255")


def load(pred: np.ndarray, gt: np.ndarray, normalize: bool, strict: bool = False) -> _native.Pair:
    """This thread's pair, set."""
    pair = _native.pair()
    if strict:
        check_strictly(pred, gt, normalize)
    if normalize and pred.dtype == _UINT8 and pred.ndim == 2 and pred.shape == gt.shape and pred.size:
        pair.set_levels(pred, gt if gt.dtype == _UINT8 else np.where(gt > 128, np.uint8(255), np.uint8(0)))
        pair.type = TYPE
        return pair
    pred, gt = validate_and_normalize_input(pred, gt, normalize)
    return load_values(pred, gt)


def load_values(pred: np.ndarray, gt: np.ndarray) -> _native.Pair:
    """A normalized prediction and a boolean truth; of more or fewer dimensions than two as one row."""
    pair = _native.pair()
    pair.type = np.float32 if pred.dtype == np.float32 else TYPE
    if pred.dtype not in (np.float32, np.float64):
        pred = pred.astype(TYPE)
    if pred.ndim != 2:
        pred, gt = pred.reshape(1, -1), gt.reshape(1, -1)
    pair.set_values(pred, gt)
    return pair


M = TypeVar("M", bound="Mergeable")


class Mergeable:
    """States that are lists of one entry a picture: they are joined by `merge`."""

    _states: tuple[str, ...] = ()

    def merge(self: M, other: M) -> M:
        """Appends the pictures of another object of the same class (another worker's, say); returns self."""
        if type(other) is not type(self):
            raise TypeError(f"a {type(self).__name__} cannot take in a {type(other).__name__}")
        for name in self._states:
            mine, theirs = getattr(self, name), getattr(other, name)
            if (mine is None) != (theirs is None):
                raise ValueError(f"only one of the two records {name}")
            if mine is not None:
                mine.extend(theirs)
        return self


def merge(metrics: Iterable[Any]) -> Any:
    """One metric from several of the same class and settings, each of which has seen a part of the pictures.

    The parts may come from other processes, since all metrics can be pickled:

        parts = [None] * world_size
        torch.distributed.all_gather_object(parts, metric)
        print(merge(parts).get_results())
    """
    parts = list(metrics)
    if not parts:
        raise ValueError("there is nothing to merge")
    merged = copy.deepcopy(parts[0])
    for part in parts[1:]:
        merged.merge(part)
    return merged
