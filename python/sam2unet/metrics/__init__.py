"""Metrics of segmentation: a drop-in for py_sod_metrics 1.6.2 without its dependencies, and many times as fast.

    from sam2unet import metrics as py_sod_metrics

    sm = py_sod_metrics.Smeasure()
    for pred, gt in pairs:          # uint8 [H, W], 0..255
        sm.step(pred, gt)
    print(sm.get_results()["sm"])

Beyond it: `evaluate` computes all metrics in one pass on all cores, `merge` joins what several processes have seen, and
every class takes ``strict=True``, which refuses input that would silently give a number without meaning.
"""
from sam2unet.metrics import context_measure, fmeasurev2, multiscale_iou, size_invariance, sod_metrics, utils
from sam2unet.metrics.context_measure import CamouflageContextMeasure, ContextMeasure
from sam2unet.metrics.evaluation import Evaluation, evaluate
from sam2unet.metrics.fmeasurev2 import (
    BERHandler, DICEHandler, FmeasureHandler, FmeasureV2, FPRHandler, IOUHandler, KappaHandler, OverallAccuracyHandler,
    PrecisionHandler, RecallHandler, SensitivityHandler, SpecificityHandler, TNRHandler, TPRHandler)
from sam2unet.metrics.multiscale_iou import MSIoU
from sam2unet.metrics.size_invariance import SizeInvarianceFmeasureV2, SizeInvarianceMAE
from sam2unet.metrics.sod_metrics import (
    MAE, Emeasure, Fmeasure, HumanCorrectionEffortMeasure, Smeasure, WeightedFmeasure)
from sam2unet.metrics.utils import merge

__all__ = [
    "BERHandler", "CamouflageContextMeasure", "ContextMeasure", "DICEHandler", "Emeasure", "Evaluation", "FPRHandler",
    "Fmeasure", "FmeasureHandler", "FmeasureV2", "HumanCorrectionEffortMeasure", "IOUHandler", "KappaHandler", "MAE",
    "MSIoU", "OverallAccuracyHandler", "PrecisionHandler", "RecallHandler", "SensitivityHandler",
    "SizeInvarianceFmeasureV2", "SizeInvarianceMAE", "Smeasure", "SpecificityHandler", "TNRHandler", "TPRHandler",
    "WeightedFmeasure", "context_measure", "evaluate", "fmeasurev2", "merge", "multiscale_iou", "size_invariance",
    "sod_metrics", "utils",
]
