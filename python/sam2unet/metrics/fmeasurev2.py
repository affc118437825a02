"""Measures of the confusion matrix, over all thresholds, at the adaptive one, and at p > 0.5."""
from __future__ import annotations

import abc
from typing import Any

import numpy as np

from sam2unet import _native
from sam2unet.metrics.utils import TYPE, Mergeable, load


class _BaseHandler(Mergeable):
    """A measure, and what was recorded of it.

    Subclasses compute it in ``__call__(tp, fp, tn, fn)``, of int64 arrays [256] or of ints.

    Args:
        with_dynamic: record the curve over the thresholds 255 down to 0 (``dynamic_results``, of [256]).
        with_adaptive: record the value at min(2 mean, 1) (``adaptive_results``).
        with_binary: record the value at p > 0.5 (``binary_results``).
        sample_based: average over pictures; else the confusion matrices are added up first.
    """

    _states = ("dynamic_results", "adaptive_results")

    def __init__(self, with_dynamic: bool, with_adaptive: bool, *, with_binary: bool = False, sample_based: bool = True):
        self.dynamic_results: list | None = [] if with_dynamic else None
        self.adaptive_results: list | None = [] if with_adaptive else None
        self.sample_based = sample_based
        self.binary_results: Any = None
        if with_binary:
            self.binary_results = [] if sample_based else {"tp": 0, "fp": 0, "tn": 0, "fn": 0}

    @abc.abstractmethod
    def __call__(self, tp, fp, tn, fn) -> np.ndarray:
        """The measure of the counts."""

    @staticmethod
    def divide(numerator, denominator) -> np.ndarray:
        """``numerator / denominator``, 0 where the denominator is 0."""
        denominator = np.array(denominator, dtype=TYPE)
        np.divide(numerator, denominator, out=denominator, where=denominator != 0)
        return denominator

    def merge(self, other):
        """Appends what another handler of the same class and settings has recorded; returns self."""
        super().merge(other)
        mine, theirs = self.binary_results, other.binary_results
        if (mine is None) != (theirs is None) or self.sample_based != other.sample_based:
            raise ValueError("the two handlers record different things")
        if isinstance(mine, dict):
            for key, count in theirs.items():
                mine[key] += count
        elif mine is not None:
            mine.extend(theirs)
        return self


class IOUHandler(_BaseHandler):
    """tp / (tp + fp + fn)"""

    def __call__(self, tp, fp, tn, fn):
        return self.divide(tp, tp + fp + fn)


class SpecificityHandler(_BaseHandler):
    """tn / (tn + fp), the true negative rate"""

    def __call__(self, tp, fp, tn, fn):
        return self.divide(tn, tn + fp)


TNRHandler = SpecificityHandler


class DICEHandler(_BaseHandler):
    """2 tp / (2 tp + fp + fn)"""

    def __call__(self, tp, fp, tn, fn):
        return self.divide(2 * tp, tp + fn + tp + fp)


class OverallAccuracyHandler(_BaseHandler):
    """(tp + tn) / (tp + fp + tn + fn)"""

    def __call__(self, tp, fp, tn, fn):
        return self.divide(tp + tn, tp + fp + tn + fn)


class KappaHandler(_BaseHandler):
    """(oa - q) / (1 - q), q = ((tp + fp)(tp + fn) + (tn + fn)(tn + tp)) / (tp + fp + tn + fn)^2, as py_sod_metrics has it"""

    def __init__(self, with_dynamic: bool, with_adaptive: bool, *, with_binary: bool = False, sample_based: bool = True):
        super().__init__(with_dynamic, with_adaptive, with_binary=with_binary, sample_based=sample_based)
        self.oa = OverallAccuracyHandler(False, False)

    def __call__(self, tp, fp, tn, fn):
        chance = self.divide((tp + fp) * (tp + fn) + (tn + fn) * (tn + tp), (tp + fp + tn + fn) ** 2)
        return self.divide(self.oa(tp, fp, tn, fn) - chance, 1 - chance)


class PrecisionHandler(_BaseHandler):
    """tp / (tp + fp)"""

    def __call__(self, tp, fp, tn, fn):
        return self.divide(tp, tp + fp)


class RecallHandler(_BaseHandler):
    """tp / (tp + fn), the true positive rate or sensitivity"""

    def __call__(self, tp, fp, tn, fn):
        return self.divide(tp, tp + fn)


TPRHandler = RecallHandler
SensitivityHandler = RecallHandler


class FPRHandler(_BaseHandler):
    """fp / (tn + fp), the false positive rate"""

    def __call__(self, tp, fp, tn, fn):
        return self.divide(fp, tn + fp)


class BERHandler(_BaseHandler):
    """1 - (tp / (tp + fn) + tn / (tn + fp)) / 2, the balanced error rate"""

    def __call__(self, tp, fp, tn, fn):
        return 1 - 0.5 * (self.divide(tp, tp + fn) + self.divide(tn, tn + fp))


class FmeasureHandler(_BaseHandler):
    """(1 + beta) P R / (beta P + R); ``beta`` is beta squared"""

    def __init__(self, with_dynamic: bool, with_adaptive: bool, *, with_binary: bool = False, sample_based: bool = True,
                 beta: float = 0.3):
        super().__init__(with_dynamic, with_adaptive, with_binary=with_binary, sample_based=sample_based)
        self.beta = beta
        self.precision = PrecisionHandler(False, False)
        self.recall = RecallHandler(False, False)

    def __call__(self, tp, fp, tn, fn):
        p, r = self.precision(tp, fp, tn, fn), self.recall(tp, fp, tn, fn)
        return self.divide((self.beta + 1) * p * r, self.beta * p + r)


# What the library computes itself (s2u_measure); a subclass or another object is called.
_KINDS = {
    FmeasureHandler: 0, PrecisionHandler: 1, RecallHandler: 2, FPRHandler: 3, IOUHandler: 4, DICEHandler: 5,
    SpecificityHandler: 6, BERHandler: 7, OverallAccuracyHandler: 8, KappaHandler: 9,
}


def _scalar(handler: _BaseHandler, value: float):
    """Of the type that the handler's own call gives."""
    return np.float64(value) if type(handler) is BERHandler else np.array(value)


class _Counts:
    """Confusion matrices of one picture (or target), asked for where a handler needs them."""

    def __init__(self, adaptive: np.ndarray, binary: np.ndarray, curve: np.ndarray):
        self._adaptive, self._binary, self._curve = adaptive, binary, curve

    def dynamic(self) -> dict:
        return dict(zip(("tp", "fp", "tn", "fn"), np.ascontiguousarray(self._curve.T)))

    def adaptive(self) -> dict:
        return dict(zip(("tp", "fp", "tn", "fn"), self._adaptive.tolist()))

    def binary(self) -> dict:
        return dict(zip(("tp", "fp", "tn", "fn"), self._binary.tolist()))


class FmeasureV2(Mergeable):
    """Any number of handlers over the same pairs.

    Args:
        metric_handlers: handlers by name.
        strict: see `utils.check_strictly`.
    """

    def __init__(self, metric_handlers: dict | None = None, *, strict: bool = False):
        self._metric_handlers: dict = metric_handlers if metric_handlers else {}
        self.strict = strict

    def add_handler(self, handler_name: str, metric_handler) -> None:
        """Adds a handler under a name."""
        self._metric_handlers[handler_name] = metric_handler

    @staticmethod
    def get_statistics(binary: np.ndarray, gt: np.ndarray, FG: int, BG: int) -> dict:
        """Counts of a binary prediction and a boolean truth with FG and BG pixels."""
        tp, fp = np.count_nonzero(binary[gt]), np.count_nonzero(binary[~gt])
        return {"tp": tp, "fp": fp, "tn": BG - fp, "fn": FG - tp}

    def step(self, pred: np.ndarray, gt: np.ndarray, normalize: bool = True) -> None:
        """Adds a prediction [H, W] and its truth [H, W]; see `utils.validate_and_normalize_input`."""
        if not self._metric_handlers:
            raise ValueError("Please add your metric handler before using `step()`.")
        pair = load(pred, gt, normalize, self.strict)
        values = _values_of(self._metric_handlers, pair.measures)
        counts = _Counts(*pair.confusion()) if _needs_counts(self._metric_handlers) else None
        for name, handler in self._metric_handlers.items():
            _record(handler, values.get(name), counts)

    def get_results(self) -> dict:
        """By handler, what it records: ``{name: {"dynamic": [256], "adaptive": mean, "binary": mean}}``"""
        results = {}
        for name, handler in self._metric_handlers.items():
            res = {}
            if handler.dynamic_results is not None:
                res["dynamic"] = self._dynamic_result(handler)
            if handler.adaptive_results is not None:
                res["adaptive"] = np.mean(np.array(handler.adaptive_results, dtype=TYPE))
            if handler.binary_results is not None:
                res["binary"] = _binary_result(handler)
            results[name] = res
        return results

    @staticmethod
    def _dynamic_result(handler):
        return np.mean(np.array(handler.dynamic_results, dtype=TYPE), axis=0)

    def merge(self, other):
        """Appends the pictures of another object with handlers of the same names and settings; returns self."""
        super().merge(other)
        if list(self._metric_handlers) != list(other._metric_handlers):
            raise ValueError("the two have different handlers")
        for name, handler in self._metric_handlers.items():
            if not hasattr(handler, "merge"):
                raise TypeError(f"handler {name!r} has no merge(): derive it from _BaseHandler")
            handler.merge(other._metric_handlers[name])
        return self


def _binary_result(handler) -> np.floating:
    if handler.sample_based:
        return np.mean(np.array(handler.binary_results, dtype=TYPE))
    return np.mean(handler(**handler.binary_results))


def _values_of(handlers: dict, measures) -> dict:
    """Values of the handlers that the library knows, by name; ``measures`` is `Pair.measures` or its like."""
    known = [(name, _KINDS[type(h)], getattr(h, "beta", 0.0)) for name, h in handlers.items() if type(h) in _KINDS]
    if not known:
        return {}
    values = measures(np.array([kind for _, kind, _ in known], np.int32), np.array([beta for _, _, beta in known], TYPE))
    return {name: values[..., k, :] for k, (name, _, _) in enumerate(known)}


def _needs_counts(handlers: dict) -> bool:
    return any(type(h) not in _KINDS or isinstance(h.binary_results, dict) for h in handlers.values())


def _record(handler, values: np.ndarray | None, counts: _Counts | None) -> None:
    """Appends one picture's values [258], or what the handler makes of its counts."""
    if handler.dynamic_results is not None:
        handler.dynamic_results.append(handler(**counts.dynamic()) if values is None else values[2:].copy())
    if handler.adaptive_results is not None:
        handler.adaptive_results.append(
            handler(**counts.adaptive()) if values is None else _scalar(handler, values[0]))
    if handler.binary_results is not None:
        if handler.sample_based:
            handler.binary_results.append(
                handler(**counts.binary()) if values is None else _scalar(handler, values[1]))
        else:
            for key, count in counts.binary().items():
                handler.binary_results[key] += count
