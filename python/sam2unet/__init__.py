"""SAM2-UNet without PyTorch, over the C API of the library ``sam2unet``.

    import sam2unet
    segmenter = sam2unet.Segmenter()
    segmenter("cat.jpg").map            # float32 [H, W], probability of foreground

``sam2unet.metrics`` is a drop-in for ``py_sod_metrics``:

    from sam2unet import metrics as py_sod_metrics

``sam2unet.weights`` reads, converts and writes weight files, ``sam2unet.doctor`` finds what would ruin a training,
``sam2unet.resize_pillow`` resizes as Pillow does, bit for bit.
"""
from __future__ import annotations

from sam2unet._library import (Error, FileError, FormatError, ImageError, UnavailableError, WeightsError, version)

__version__ = version()
__all__ = ["Error", "FileError", "FormatError", "ImageError", "Region", "Segmentation", "Segmenter", "UnavailableError",
           "WeightsError", "doctor", "metrics", "resize_pillow", "weights", "__version__"]

# What is loaded when asked for, so that the metrics alone load neither OpenMP nor oneDNN.
_PLACES = {"Segmenter": "segmenter", "Segmentation": "segmenter", "Region": "segmenter", "doctor": "datasets",
           "resize_pillow": "pictures", "metrics": None, "weights": None}


def __getattr__(name: str):
    if name not in _PLACES:
        raise AttributeError(f"module 'sam2unet' has no attribute {name!r}")
    import importlib

    place = _PLACES[name]
    if place is None:
        return importlib.import_module(f"sam2unet.{name}")
    value = getattr(importlib.import_module(f"sam2unet.{place}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
