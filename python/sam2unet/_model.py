"""Where the default model lies."""
from __future__ import annotations

import importlib.util
import os
from typing import Optional


def default_model() -> Optional[str]:
    """The default model of the package sam2unet-model-t, where it is installed and SAM2UNET_MODEL names no other."""
    if os.environ.get("SAM2UNET_MODEL"):
        return None
    spec = importlib.util.find_spec("sam2unet_model_t")
    if spec is None or not spec.submodule_search_locations:
        return None
    for place in spec.submodule_search_locations:
        path = os.path.join(place, "sam2unet_t_duts_int8.safetensors")
        if os.path.exists(path):
            return path
    return None
