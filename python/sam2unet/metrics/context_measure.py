"""Context measure, and its variant for camouflage."""
from __future__ import annotations

import numpy as np

from sam2unet.metrics.utils import TYPE, Mergeable, load


class ContextMeasure(Mergeable):
    """Context measure (Wang et al., arXiv 2512.07076). State: ``scores``.

    Args:
        beta2: weight of how well the prediction fits the truth's surroundings against how completely it covers it.
        alpha: size of the surroundings.
        strict: see `utils.check_strictly`.
    """

    _states = ("scores",)

    def __init__(self, beta2: float = 1.0, alpha: float = 6.0, *, strict: bool = False):
        self.beta2 = beta2
        self.alpha = alpha
        self.scores: list = []
        self.strict = strict

    def step(self, pred: np.ndarray, gt: np.ndarray, normalize: bool = True) -> None:
        """Adds a prediction [H, W] and its truth [H, W]; see `utils.validate_and_normalize_input`."""
        self.scores.append(np.float64(load(pred, gt, normalize, self.strict).context(self.beta2, self.alpha)))

    def get_results(self) -> dict:
        """``{"cm": mean}``"""
        return dict(cm=np.mean(np.array(self.scores, dtype=TYPE)))


class CamouflageContextMeasure(ContextMeasure):
    """Context measure weighted by how well the surroundings hide the object. State: ``scores``.

    Args:
        beta2, alpha, strict: see `ContextMeasure`.
        gamma: how fast the weight grows with the likeness.
        lambda_spatial: weight of the place in the search for alike surroundings.
    """

    def __init__(self, beta2: float = 1.2, alpha: float = 6.0, gamma: int = 8, lambda_spatial: float = 20, *,
                 strict: bool = False):
        super().__init__(beta2=beta2, alpha=alpha, strict=strict)
        self.gamma = gamma
        self.lambda_spatial = lambda_spatial

    def step(self, pred: np.ndarray, gt: np.ndarray, *, img: np.ndarray, normalize: bool = True) -> None:  # type: ignore[override]
        """Adds a prediction [H, W], its truth [H, W] and the picture, RGB uint8 [H, W, 3]."""
        pair = load(pred, gt, normalize, self.strict)
        if img.dtype != np.uint8:
            raise TypeError(f"the picture must be uint8, got {img.dtype}")
        if img.shape != (*gt.shape, 3):
            raise ValueError(f"the picture must be RGB of the truth's size, {(*gt.shape, 3)}, got {img.shape}")
        if min(gt.shape) <= 4:
            raise ValueError("window shape cannot be larger than input array shape")
        self.scores.append(np.float64(
            pair.camouflage(img, self.beta2, self.alpha, self.gamma, self.lambda_spatial)))

    def get_results(self) -> dict:
        """``{"ccm": mean}``"""
        return dict(ccm=np.mean(np.array(self.scores, dtype=TYPE)))
