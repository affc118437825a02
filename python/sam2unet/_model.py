"""Where weights lie: the default model of a package of its own, the others as the library finds them."""
from __future__ import annotations

import importlib.util
import os
from typing import Optional, Union

_NAME = "sam2unet-t-duts"


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


def weights_file(weights: Union[str, "os.PathLike[str]", None]) -> Optional[bytes]:
    """What the library is told: a path or the name of a model, None for its own default model."""
    is_default = weights is None or (weights == _NAME and not os.path.exists(_NAME))
    found = default_model() if is_default else weights
    if found is None:
        found = weights
    return None if found is None else os.fsencode(found)
