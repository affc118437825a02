"""Pictures: what the library takes as one, and resizing as Pillow does it."""
from __future__ import annotations

import os
from ctypes import byref, c_size_t
from typing import Any, Tuple, Union

import numpy as np

from sam2unet import _network
from sam2unet._library import check
from sam2unet._planes import U8, Plane, address, fill, plane

#: A path, a file's bytes, a PIL image, or an array [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] of uint8.
Picture = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, np.ndarray, Any]

_PIL_MODES = ("L", "RGB", "RGBA")


def as_array(picture: Any) -> np.ndarray:
    """A PIL image, an array or what turns itself into one, as uint8 [H, W] or [H, W, 3 or 4], not copied if need be."""
    if hasattr(picture, "mode") and hasattr(picture, "convert"):  # PIL, which need not be there
        return np.asarray(picture if picture.mode in _PIL_MODES else picture.convert("RGB"))
    array = np.asarray(picture)
    if array.dtype != np.uint8:
        raise TypeError(f"a picture of {array.dtype}: uint8 is needed, 0 to 255 (of floats in [0, 1]: "
                        "(255 * p).round().astype(np.uint8))")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        hint = "; channels come last" if array.ndim == 3 and array.shape[0] in (1, 3, 4) else ""
        raise ValueError(f"a picture of shape {array.shape}: [H, W], [H, W, 3] (RGB) or [H, W, 4] (RGBA) is needed{hint}")
    if array.size == 0:
        raise ValueError(f"a picture of shape {array.shape} has no pixels")
    return array


def open_picture(picture: Picture, exif: bool) -> Tuple[Plane, object]:
    """The picture as a plane, and what must live as long as it is used."""
    p = plane()
    if isinstance(picture, (str, os.PathLike, bytes, bytearray, memoryview)):
        options = _network.options("decode", orientation=int(exif))
        if isinstance(picture, (str, os.PathLike)):
            image = _network.make("image", "s2u_image_read", os.fsencode(picture), options)
        else:
            data = bytes(picture)
            image = _network.make("image", "s2u_image_decode", data, len(data), None, options)
        check(_network.lib.s2u_image_plane(image, byref(p)))
        return p, image
    return p, fill(p, as_array(picture), U8)


def resize_pillow(picture: np.ndarray, width: int, height: int, *, filter: str = "bilinear", pillow: int = 12) -> np.ndarray:
    """Pillow's ``Image.resize((width, height), filter)``, antialiased, bit for bit.

    Args:
        picture: uint8 [H, W], [H, W, 3] or [H, W, 4] (whose colours are weighted with alpha), or a PIL image.
        width, height: of the result in pixels.
        filter: "bilinear" or "bicubic".
        pillow: 12 or 13, whose passes come in another order.

    Returns:
        uint8 [height, width] or [height, width, channels].

    Raises:
        TypeError, ValueError: of another type or shape, or a size that is not positive or over 2^28 pixels.
    """
    p = plane()
    array = as_array(picture)
    alive = fill(p, array, U8)
    shape = (int(height), int(width)) + array.shape[2:]
    limits = 1 <= shape[0] < 2**24 and 1 <= shape[1] < 2**24 and shape[0] * shape[1] <= 2**28
    if not limits:
        raise ValueError(f"a size of {width}x{height}: at least 1x1, at most 2^28 pixels")
    out = np.empty(shape, np.uint8)
    check(_network.lib.s2u_resize_pillow(p, shape[1], shape[0], _network.chosen(_network.FILTERS, filter, "filter"),
                                         _network.chosen(_network.PILLOWS, pillow, "pillow"), address(out),
                                         byref(c_size_t(out.size))))
    del alive
    return out
