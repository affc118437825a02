"""SAM2-UNet without PyTorch: metrics of segmentation, over the C API of the library ``sam2unet``.

``sam2unet.metrics`` is a drop-in for ``py_sod_metrics``:

    from sam2unet import metrics as py_sod_metrics
"""
from __future__ import annotations

from sam2unet._native import Error, version

__version__ = version()
__all__ = ["Error", "metrics", "__version__"]


def __getattr__(name: str):
    if name == "metrics":  # loaded when asked for
        import importlib

        return importlib.import_module("sam2unet.metrics")
    raise AttributeError(f"module 'sam2unet' has no attribute {name!r}")
