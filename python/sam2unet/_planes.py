"""Arrays as the C API's planes."""
from __future__ import annotations

import ctypes
from ctypes import c_int32, c_size_t, c_ssize_t, c_void_p

import numpy as np

U8, F32, F64, BOOL = range(4)


class Plane(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("data", c_void_p), ("type", c_int32), ("width", c_int32),
                ("height", c_int32), ("channels", c_int32), ("stride", c_ssize_t)]


def plane() -> Plane:
    return Plane(struct_size=ctypes.sizeof(Plane))


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def fill(plane: Plane, array: np.ndarray, kind: int) -> np.ndarray:
    """Describes a 2-D (or RGB) array; returns what must stay alive until the call: the array, or a copy whose rows are
    dense."""
    channels = 1 if array.ndim == 2 else array.shape[2]
    if array.strides[1] != array.itemsize * channels or (channels != 1 and array.strides[2] != array.itemsize) \
            or not array.flags.aligned or not array.dtype.isnative \
            or (array.shape[0] > 1 and abs(array.strides[0]) < array.shape[1] * array.itemsize * channels):
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    plane.data = array.__array_interface__["data"][0]
    plane.type = kind
    plane.height, plane.width = array.shape[:2]
    plane.channels = channels
    plane.stride = array.strides[0]
    return array
