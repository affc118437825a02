"""F-measure, MAE, S-measure, E-measure, weighted F-measure, human correction effort."""
from __future__ import annotations

import warnings

import numpy as np

from sam2unet import _native
from sam2unet.metrics.utils import (  # noqa: F401: older code imports the names with underscores from here
    _EPS, _TYPE, EPS, TYPE, Mergeable, _get_adaptive_threshold, _prepare_data, check_strictly, get_adaptive_threshold, load,
    load_values, prepare_data, validate_and_normalize_input)

_F_P_R = np.array([0, 1, 2], np.int32)


def _mean(values: list, axis: int | None = None) -> np.floating:
    return np.mean(np.array(values, TYPE), axis=axis)


class MAE(Mergeable):
    """Mean absolute error (Perazzi et al., CVPR 2012). State: ``maes``."""

    _states = ("maes",)

    def __init__(self, *, strict: bool = False):
        self.maes: list = []
        self.strict = strict

    def step(self, pred: np.ndarray, gt: np.ndarray, normalize: bool = True) -> None:
        """Adds a prediction [H, W] and its truth [H, W]; see `utils.validate_and_normalize_input`."""
        if type(self).cal_mae is MAE.cal_mae and pred.dtype != np.float32:
            pair = load(pred, gt, normalize, self.strict)
            self.maes.append(pair.type(pair.mae()))
        else:
            if self.strict:
                check_strictly(pred, gt, normalize)
            self.maes.append(self.cal_mae(*validate_and_normalize_input(pred, gt, normalize)))

    def cal_mae(self, pred: np.ndarray, gt: np.ndarray) -> np.floating:
        """Of a normalized prediction and a boolean truth."""
        if pred.dtype == np.float32:  # summed in float32, in the order of the memory
            return np.mean(np.abs(pred - gt))
        pair = load_values(pred, gt)
        return pair.type(pair.mae())

    def get_results(self) -> dict:
        """``{"mae": mean}``"""
        return dict(mae=_mean(self.maes))


class Smeasure(Mergeable):
    """S-measure (Fan et al., ICCV 2017); ``alpha`` weighs the objects' part. State: ``sms``."""

    _states = ("sms",)

    def __init__(self, alpha: float = 0.5, *, strict: bool = False):
        self.sms: list = []
        self.alpha = alpha
        self.strict = strict

    def step(self, pred: np.ndarray, gt: np.ndarray, normalize: bool = True) -> None:
        """Adds a prediction [H, W] and its truth [H, W]; see `utils.validate_and_normalize_input`."""
        if type(self).cal_sm is not Smeasure.cal_sm:
            self.sms.append(self.cal_sm(*validate_and_normalize_input(pred, gt, normalize)))
            return
        pair = load(pred, gt, normalize, self.strict)
        if pair.type is np.float32:  # mixes float32 and float64 as the version of numpy has it
            self.sms.append(_s_of_floats(*validate_and_normalize_input(pred, gt, normalize), self.alpha))
        else:
            self.sms.append(_told(pair.s_measure(self.alpha)))

    def cal_sm(self, pred: np.ndarray, gt: np.ndarray) -> np.floating:
        """Of a normalized prediction and a boolean truth."""
        if pred.dtype == np.float32:
            return _s_of_floats(pred, gt, self.alpha)
        return _told(load_values(pred, gt).s_measure(self.alpha))

    def get_results(self) -> dict:
        """``{"sm": mean}``"""
        return dict(sm=_mean(self.sms))


def _told(value: float) -> np.float64:
    """With numpy's warning where a part of the picture is empty."""
    if value != value:
        warnings.warn("Mean of empty slice.", RuntimeWarning, stacklevel=4)
    return np.float64(value)


def _s_of_floats(pred: np.ndarray, gt: np.ndarray, alpha: float) -> np.floating:
    """S-measure in numpy's own mixture of types."""
    share = np.mean(gt)
    if share == 0:
        return 1 - np.mean(pred)
    if share == 1:
        return np.mean(pred)

    def of_object(x: np.ndarray) -> np.floating:
        mean = np.mean(x)
        std = np.std(x, ddof=1) if x.size > 1 else 0
        return 2 * mean / (np.power(mean, 2) + 1 + std + EPS)

    def of_region(p: np.ndarray, g: np.ndarray) -> np.floating | int:
        x, y, below = np.mean(p), np.mean(g), p.shape[0] * p.shape[1] - 1 + EPS
        sigma_x, sigma_y = np.sum((p - x) ** 2) / below, np.sum((g - y) ** 2) / below
        numerator = 4 * x * y * (np.sum((p - x) * (g - y)) / below)
        denominator = (x**2 + y**2) * (sigma_x + sigma_y)
        if numerator != 0:
            return numerator / (denominator + EPS)
        return 1 if denominator == 0 else 0

    objects = of_object(pred[gt]) * share + of_object((1 - pred)[~gt]) * (1 - share)
    height, width = gt.shape
    cy, cx = (int(c) + 1 for c in np.argwhere(gt).mean(axis=0).round())
    area = height * width
    left_top, right_top, left_bottom = cx * cy / area, cy * (width - cx) / area, (height - cy) * cx / area
    regions = (of_region(pred[:cy, :cx], gt[:cy, :cx]) * left_top + of_region(pred[:cy, cx:], gt[:cy, cx:]) * right_top
               + of_region(pred[cy:, :cx], gt[cy:, :cx]) * left_bottom
               + of_region(pred[cy:, cx:], gt[cy:, cx:]) * (1 - left_top - right_top - left_bottom))
    return np.maximum(0, objects * alpha + regions * (1 - alpha))


class Emeasure(Mergeable):
    """E-measure (Fan et al., IJCAI 2018). States: ``adaptive_ems``; ``changeable_ems``, of [256], from the threshold
    255 down to 0."""

    _states = ("adaptive_ems", "changeable_ems")

    def __init__(self, *, strict: bool = False):
        self.adaptive_ems: list = []
        self.changeable_ems: list = []
        self.strict = strict

    def step(self, pred: np.ndarray, gt: np.ndarray, normalize: bool = True) -> None:
        """Adds a prediction [H, W] and its truth [H, W]; see `utils.validate_and_normalize_input`."""
        adaptive, curve = load(pred, gt, normalize, self.strict).e_measure()
        self.gt_size = gt.shape[0] * gt.shape[1]
        self.changeable_ems.append(curve)
        self.adaptive_ems.append(np.float64(adaptive))

    def cal_adaptive_em(self, pred: np.ndarray, gt: np.ndarray) -> np.floating:
        """Of a normalized prediction and a boolean truth, at the threshold min(2 mean, 1)."""
        return np.float64(load_values(pred, gt).e_measure()[0])

    def cal_changeable_em(self, pred: np.ndarray, gt: np.ndarray) -> np.ndarray:
        """[256], of a normalized prediction and a boolean truth."""
        return load_values(pred, gt).e_measure()[1]

    def get_results(self) -> dict:
        """``{"em": {"adp": mean, "curve": mean curve [256]}}``"""
        return dict(em=dict(adp=_mean(self.adaptive_ems), curve=_mean(self.changeable_ems, axis=0)))


class Fmeasure(Mergeable):
    """F-measure (Achanta et al., CVPR 2009), precision and recall; `FmeasureV2` has replaced it. States:
    ``adaptive_fms``; ``precisions``, ``recalls`` and ``changeable_fms``, of [256], from the threshold 255 down to 0."""

    _states = ("precisions", "recalls", "adaptive_fms", "changeable_fms")

    def __init__(self, beta: float = 0.3, *, strict: bool = False):
        warnings.warn("This class will be removed in the future, please use FmeasureV2 instead!")
        self.beta = beta
        self.precisions: list = []
        self.recalls: list = []
        self.adaptive_fms: list = []
        self.changeable_fms: list = []
        self.strict = strict

    def step(self, pred: np.ndarray, gt: np.ndarray, normalize: bool = True) -> None:
        """Adds a prediction [H, W] and its truth [H, W]; see `utils.validate_and_normalize_input`."""
        values = self._values(load(pred, gt, normalize, self.strict))
        self.adaptive_fms.append(self._adaptive(values))
        self.precisions.append(values[1, 2:].copy())
        self.recalls.append(values[2, 2:].copy())
        self.changeable_fms.append(values[0, 2:].copy())

    def _values(self, pair: _native.Pair) -> np.ndarray:
        return pair.measures(_F_P_R, np.full(3, self.beta))

    @staticmethod
    def _adaptive(values: np.ndarray) -> np.floating | int:
        return values[0, 0] if values[2, 0] != 0 else 0

    def cal_adaptive_fm(self, pred: np.ndarray, gt: np.ndarray) -> np.floating | int:
        """Of a normalized prediction and a boolean truth, at the threshold min(2 mean, 1)."""
        return self._adaptive(self._values(load_values(pred, gt)))

    def cal_pr(self, pred: np.ndarray, gt: np.ndarray) -> tuple:
        """Precisions, recalls, F-measures, each [256], of a normalized prediction and a boolean truth."""
        values = self._values(load_values(pred, gt))
        return values[1, 2:].copy(), values[2, 2:].copy(), values[0, 2:].copy()

    def get_results(self) -> dict:
        """``{"fm": {"adp": mean, "curve": mean curve}, "pr": {"p": mean curve, "r": mean curve}}``"""
        return dict(fm=dict(adp=_mean(self.adaptive_fms), curve=_mean(self.changeable_fms, axis=0)),
                    pr=dict(p=_mean(self.precisions, axis=0), r=_mean(self.recalls, axis=0)))


class WeightedFmeasure(Mergeable):
    """Weighted F-measure (Margolin et al., CVPR 2014); ``beta`` is beta squared. State: ``weighted_fms``."""

    _states = ("weighted_fms",)

    def __init__(self, beta: float = 1, *, strict: bool = False):
        self.beta = beta
        self.weighted_fms: list = []
        self.strict = strict

    def step(self, pred: np.ndarray, gt: np.ndarray, normalize: bool = True) -> None:
        """Adds a prediction [H, W] and its truth [H, W]; see `utils.validate_and_normalize_input`."""
        if type(self).cal_wfm is not WeightedFmeasure.cal_wfm:
            pred, gt = validate_and_normalize_input(pred, gt, normalize)
            self.weighted_fms.append(self.cal_wfm(pred, gt) if gt.any() else 0)
            return
        value = load(pred, gt, normalize, self.strict).weighted_f(self.beta)
        # 0 without foreground, as an int
        self.weighted_fms.append(np.float64(value) if value != 0 or (gt > (128 if normalize else 0)).any() else 0)

    def cal_wfm(self, pred: np.ndarray, gt: np.ndarray) -> np.floating:
        """Of a normalized prediction and a boolean truth that is not empty."""
        return np.float64(load_values(pred, gt).weighted_f(self.beta))

    def get_results(self) -> dict:
        """``{"wfm": mean}``"""
        return dict(wfm=_mean(self.weighted_fms))


class HumanCorrectionEffortMeasure(Mergeable):
    """Human correction effort (Qin et al., ECCV 2022): clicks, at p > 0.5. State: ``hces``."""

    _states = ("hces",)

    def __init__(self, relax: int = 5, epsilon: float = 2.0, *, strict: bool = False):
        self.hces: list = []
        self.relax = relax
        self.epsilon = epsilon
        self.strict = strict

    def step(self, pred: np.ndarray, gt: np.ndarray, normalize: bool = True) -> None:
        """Adds a prediction [H, W] and its truth [H, W]; see `utils.validate_and_normalize_input`."""
        if type(self).cal_hce is not HumanCorrectionEffortMeasure.cal_hce:
            self.hces.append(self.cal_hce(*validate_and_normalize_input(pred, gt, normalize)))
        else:
            self.hces.append(np.int64(load(pred, gt, normalize, self.strict).hce(self.relax, self.epsilon)))

    def cal_hce(self, pred: np.ndarray, gt: np.ndarray) -> np.integer:
        """Of a normalized prediction and a boolean truth."""
        return np.int64(load_values(pred, gt).hce(self.relax, self.epsilon))

    def get_results(self) -> dict:
        """``{"hce": mean}``"""
        return dict(hce=_mean(self.hces))
