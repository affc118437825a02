"""Size-invariant measures: every part of the truth counts alike, in its box."""
from __future__ import annotations

import numpy as np

from sam2unet import _native
from sam2unet.metrics.fmeasurev2 import FmeasureV2, _Counts, _needs_counts, _scalar, _values_of
from sam2unet.metrics.sod_metrics import MAE
from sam2unet.metrics.utils import TYPE, load

_MOST_TARGETS = 63  # py_sod_metrics keeps a bit for each in an int64


def _targets_of(pair: _native.Pair) -> int:
    """How many parts the truth has; raises where py_sod_metrics does."""
    tp, fp, tn, fn = pair.confusion()[1].tolist()
    if tp + fn > 0 and tn + fp == 0:
        raise AssertionError("connected_block_size = 0 when label = 0 for [1]!")
    targets = pair.target_count()
    if targets > _MOST_TARGETS:
        np.zeros(1, int) & (1 << _MOST_TARGETS)  # raises what py_sod_metrics raises with this numpy
    return targets


class SizeInvarianceFmeasureV2(FmeasureV2):
    """`FmeasureV2` over parts (Li et al., ICML 2024). Of a sample-based handler "dynamic" is the list of its
    curves [parts, 256]."""

    def step(self, pred: np.ndarray, gt: np.ndarray, normalize: bool = True) -> None:
        """Adds a prediction [H, W] and its truth [H, W]; see `utils.validate_and_normalize_input`."""
        handlers = self._metric_handlers
        if not handlers:
            raise ValueError("Please add your metric handler before using `step()`.")
        pair = load(pred, gt, normalize, self.strict)
        targets = _targets_of(pair)
        if targets == 0:  # the whole picture is the one part
            values = {name: v[None] for name, v in _values_of(handlers, pair.measures).items()}
            counts = [_Counts(*pair.confusion())] if _needs_counts(handlers) else []
        else:
            values = _values_of(handlers, lambda kinds, beta2: pair.target_measures(targets, kinds, beta2))
            counts = []
            if _needs_counts(handlers):
                counts = [_Counts(*parts) for parts in zip(*pair.target_confusion(targets))]
        for name, handler in handlers.items():
            _record_parts(handler, values.get(name), counts)

    @staticmethod
    def _dynamic_result(handler):
        """Of a sample-based handler the list of its curves [parts, 256], as they differ in length."""
        if handler.sample_based:
            return handler.dynamic_results
        return FmeasureV2._dynamic_result(handler)


def _record_parts(handler, values: np.ndarray | None, counts: list) -> None:
    """Of one picture: values [parts, 258], or what the handler makes of each part's counts."""
    if handler.dynamic_results is not None:
        curves = np.array([handler(**c.dynamic()) for c in counts], TYPE) if values is None else values[:, 2:].copy()
        if handler.sample_based:
            handler.dynamic_results.append(curves)
        else:
            handler.dynamic_results.extend(curves)
    if handler.adaptive_results is not None:
        adaptive = [handler(**c.adaptive()) for c in counts] if values is None else [_scalar(handler, v) for v in values[:, 0]]
        handler.adaptive_results.append(np.mean(np.array(adaptive, dtype=TYPE)))
    if handler.binary_results is not None:
        if handler.sample_based:
            binary = [handler(**c.binary()) for c in counts] if values is None else values[:, 1]
            handler.binary_results.append(np.mean(np.array(binary, dtype=TYPE)))
        else:
            for part in counts:
                for key, count in part.binary().items():
                    handler.binary_results[key] += count


class SizeInvarianceMAE(MAE):
    """MAE over parts and the rest (Li et al., ICML 2024). State: ``maes``."""

    def step(self, pred: np.ndarray, gt: np.ndarray, normalize: bool = True) -> None:
        """Adds a prediction [H, W] and its truth [H, W]; see `utils.validate_and_normalize_input`."""
        pair = load(pred, gt, normalize, self.strict)
        targets = _targets_of(pair)
        if targets == 0:
            self.maes.append(pair.type(pair.mae()))
            return
        sums, areas = pair.target_errors(targets)
        sums = sums.astype(pair.type)
        outside, *inside = areas.tolist()
        ratio = outside / (gt.size - outside)
        factor = 1 / (targets + ratio)
        mae = ratio * sums[0] / outside * factor
        for error, area in zip(sums[1:], inside):
            mae += error / area * factor
        self.maes.append(mae)

    def get_results(self) -> dict:
        """``{"si_mae": mean}``"""
        return dict(si_mae=super().get_results()["mae"])
