"""Multi-scale IoU."""
from __future__ import annotations

import numpy as np

from sam2unet.metrics.utils import TYPE, Mergeable, load

# numpy 2 adds one to a float16 in float16, numpy 1 in float64: it decides the last of these numbers.
_HALF = int(np.__version__.split(".")[0]) >= 2


class MSIoU(Mergeable):
    """Multi-scale IoU of edges (Ahmadzadeh et al., ICIP 2021).

    Args:
        with_dynamic: record the curve over the thresholds 0 to 256 (``dynamic_results``, lists of 257).
        with_adaptive: record the value at min(2 mean, 1) (``adaptive_results``).
        with_binary: record the value at p > 0.5 (``binary_results``).
        num_levels: how many grids, from 1 to 512 pixels.
        strict: see `utils.check_strictly`.
    """

    _states = ("dynamic_results", "adaptive_results", "binary_results")

    def __init__(self, with_dynamic: bool, with_adaptive: bool, *, with_binary: bool = False, num_levels: int = 10,
                 strict: bool = False):
        self.dynamic_results: list | None = [] if with_dynamic else None
        self.adaptive_results: list | None = [] if with_adaptive else None
        self.binary_results: list | None = [] if with_binary else None
        self.cell_sizes = np.power(2, np.linspace(0, 9, num=num_levels, dtype=int))
        self.strict = strict

    def step(self, pred: np.ndarray, gt: np.ndarray, normalize: bool = True) -> None:
        """Adds a prediction [H, W] and its truth [H, W]; see `utils.validate_and_normalize_input`."""
        pair = load(pred, gt, normalize, self.strict)
        adaptive, binary, curve = pair.msiou(len(self.cell_sizes), _HALF, self.dynamic_results is not None)
        if self.dynamic_results is not None:
            self.dynamic_results.append(list(curve))
        if self.adaptive_results is not None:
            self.adaptive_results.append(np.float64(adaptive))
        if self.binary_results is not None:
            self.binary_results.append(np.float64(binary))

    def get_results(self) -> dict:
        """What was asked for of ``{"dynamic": mean curve [257], "adaptive": mean, "binary": mean}``"""
        results = {}
        if self.dynamic_results is not None:
            results["dynamic"] = np.mean(np.array(self.dynamic_results, dtype=TYPE), axis=0)
        if self.adaptive_results is not None:
            results["adaptive"] = np.mean(np.array(self.adaptive_results, dtype=TYPE))
        if self.binary_results is not None:
            results["binary"] = np.mean(np.array(self.binary_results, dtype=TYPE))
        return results
