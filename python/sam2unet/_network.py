"""The C API of the network (include/sam2unet/sam2unet.h) by ctypes, which releases the GIL during every call."""
from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_double, c_int32, c_int64, c_size_t, c_void_p

from sam2unet._library import check, load
from sam2unet._planes import Plane

PRECISIONS = {"automatic": 0, "f32": 1, "bf16": 2, "int8": 3, "tf32": 4, "f16": 5, "standard": 6}
FITS = {None: 0, "squash": 1, "letterbox": 2}
OUTPUTS = {"probabilities": 0, "ids": 1}
PILLOWS = {12: 0, 13: 1}
FILTERS = {"bilinear": 0, "bicubic": 1}
COLORS = {"rgb": 0, "gray": 1, "ids": 2, "rgba": 3}
WEIGHTS_PRECISIONS = {"keep": 0, "f32": 1, "f16": 2, "bf16": 3, "int8": 4}


class SegmenterInfo(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("channels", c_int32), ("width", c_int32), ("height", c_int32),
                ("batch", c_int32), ("fit", c_int32), ("precision", c_int32)]


class SegmentationInfo(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("width", c_int32), ("height", c_int32), ("channels", c_int32),
                ("logits_width", c_int32), ("logits_height", c_int32), ("official", c_int32), ("output", c_int32),
                ("fit", c_int32)]


class Region(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("id", c_int32), ("x", c_int32), ("y", c_int32), ("width", c_int32),
                ("height", c_int32), ("area", c_int64), ("confidence", c_double)]


class Tensor(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("dtype", c_int32), ("rank", c_int32),
                ("shape", c_int64 * 8), ("bytes", c_size_t)]


Progress = CFUNCTYPE(None, c_size_t, c_size_t, c_void_p)

_P = c_void_p  # handles and statuses
_OUT = POINTER(c_void_p)
_ARRAY = c_void_p  # address of a numpy array, or None
_COUNT = POINTER(c_size_t)
lib = load("libsam2unet", {
    "s2u_text_data": (c_void_p, [_P]),
    "s2u_text_size": (c_size_t, [_P]),
    "s2u_text_free": (None, [_P]),
    "s2u_decode_options_new": (_P, [_OUT]),
    "s2u_decode_options_free": (None, [_P]),
    "s2u_decode_options_set_color": (_P, [_P, c_int32]),
    "s2u_decode_options_set_orientation": (_P, [_P, c_int32]),
    "s2u_image_read": (_P, [c_char_p, _P, _OUT]),
    "s2u_image_decode": (_P, [c_char_p, c_size_t, c_char_p, _P, _OUT]),
    "s2u_image_free": (None, [_P]),
    "s2u_image_plane": (_P, [_P, POINTER(Plane)]),
    "s2u_resize_pillow": (_P, [POINTER(Plane), c_int32, c_int32, c_int32, c_int32, _ARRAY, _COUNT]),
    "s2u_segmenter_options_new": (_P, [_OUT]),
    "s2u_segmenter_options_free": (None, [_P]),
    "s2u_segmenter_options_set_threads": (_P, [_P, c_int32]),
    "s2u_segmenter_options_set_device": (_P, [_P, c_char_p]),
    "s2u_segmenter_options_set_precision": (_P, [_P, c_int32]),
    "s2u_segmenter_new": (_P, [c_char_p, _P, _OUT]),
    "s2u_segmenter_new_from_bytes": (_P, [c_char_p, c_size_t, c_char_p, _P, _OUT]),
    "s2u_segmenter_free": (None, [_P]),
    "s2u_segmenter_get_info": (_P, [_P, POINTER(SegmenterInfo)]),
    "s2u_segmenter_variant": (c_char_p, [_P]),
    "s2u_segmenter_device": (c_char_p, [_P]),
    "s2u_segmenter_config": (c_char_p, [_P]),
    "s2u_segmenter_note_count": (c_size_t, [_P]),
    "s2u_segmenter_note": (c_char_p, [_P, c_size_t]),
    "s2u_segmenter_class_count": (c_size_t, [_P]),
    "s2u_segmenter_class_name": (c_char_p, [_P, c_size_t]),
    "s2u_segmenter_class_color": (_P, [_P, c_size_t, _ARRAY]),
    "s2u_segmenter_ignored_id": (c_int32, [_P]),
    "s2u_segment_options_new": (_P, [_OUT]),
    "s2u_segment_options_free": (None, [_P]),
    "s2u_segment_options_set_size": (_P, [_P, c_int32, c_int32]),
    "s2u_segment_options_set_official": (_P, [_P, c_int32]),
    "s2u_segment_options_set_pillow": (_P, [_P, c_int32]),
    "s2u_segment_options_set_fit": (_P, [_P, c_int32]),
    "s2u_segment_options_set_batch": (_P, [_P, c_int32]),
    "s2u_segment_options_set_output": (_P, [_P, c_int32]),
    "s2u_segment_options_set_tiles": (_P, [_P, c_int32, c_double, c_double]),
    "s2u_segment_options_set_augmentation": (_P, [_P, c_char_p]),
    "s2u_segment": (_P, [_P, POINTER(POINTER(Plane)), c_size_t, _P, _OUT]),
    "s2u_segmentation_free": (None, [_P]),
    "s2u_segmentation_get_info": (_P, [_P, POINTER(SegmentationInfo)]),
    "s2u_segmentation_probabilities": (_P, [_P, _ARRAY, _COUNT]),
    "s2u_segmentation_ids": (_P, [_P, _ARRAY, _COUNT]),
    "s2u_segmentation_confidence": (_P, [_P, _ARRAY, _COUNT]),
    "s2u_segmentation_logits": (_P, [_P, _ARRAY, _COUNT]),
    "s2u_mask_polygons": (_P, [POINTER(Plane), c_double, _OUT]),
    "s2u_polygons_free": (None, [_P]),
    "s2u_polygons_count": (c_size_t, [_P]),
    "s2u_polygons_ring_count": (c_size_t, [_P, c_size_t]),
    "s2u_polygons_ring": (_P, [_P, c_size_t, c_size_t, _ARRAY, _COUNT]),
    "s2u_ids_regions": (_P, [POINTER(Plane), _ARRAY, c_int32, c_int32, c_double, _OUT]),
    "s2u_regions_free": (None, [_P]),
    "s2u_regions_count": (c_size_t, [_P]),
    "s2u_regions_get": (_P, [_P, c_size_t, POINTER(Region)]),
    "s2u_regions_polygons": (_P, [_P, c_size_t]),
    "s2u_weights_info": (_P, [c_char_p, _OUT]),
    "s2u_convert_options_new": (_P, [_OUT]),
    "s2u_convert_options_free": (None, [_P]),
    "s2u_convert_options_set_precision": (_P, [_P, c_int32]),
    "s2u_convert_options_set_task_only": (_P, [_P, c_int32]),
    "s2u_convert_options_set_trunk": (_P, [_P, c_char_p]),
    "s2u_weights_convert": (_P, [c_char_p, c_char_p, _P, _OUT]),
    "s2u_tensors_open": (_P, [c_char_p, _OUT]),
    "s2u_tensors_free": (None, [_P]),
    "s2u_tensors_count": (c_size_t, [_P]),
    "s2u_tensors_get": (_P, [_P, c_size_t, POINTER(Tensor)]),
    "s2u_tensors_read": (_P, [_P, c_size_t, _ARRAY, c_size_t]),
    "s2u_tensors_metadata_count": (c_size_t, [_P]),
    "s2u_tensors_metadata_key": (c_char_p, [_P, c_size_t]),
    "s2u_tensors_metadata_value": (c_char_p, [_P, c_size_t]),
    "s2u_tensor_writer_new": (_P, [_OUT]),
    "s2u_tensor_writer_free": (None, [_P]),
    "s2u_tensor_writer_add": (_P, [_P, c_char_p, c_int32, _ARRAY, c_int32, _ARRAY, c_size_t]),
    "s2u_tensor_writer_set_metadata": (_P, [_P, c_char_p, c_char_p]),
    "s2u_tensor_writer_save": (_P, [_P, c_char_p]),
    "s2u_doctor_options_new": (_P, [_OUT]),
    "s2u_doctor_options_free": (None, [_P]),
    "s2u_doctor_options_set_test_images": (_P, [_P, c_char_p]),
    "s2u_doctor_options_set_classes": (_P, [_P, c_char_p]),
    "s2u_doctor_options_set_recursive": (_P, [_P, c_int32]),
    "s2u_doctor_options_set_image_affix": (_P, [_P, c_char_p, c_char_p]),
    "s2u_doctor_options_set_mask_affix": (_P, [_P, c_char_p, c_char_p]),
    "s2u_doctor_options_set_threads": (_P, [_P, c_int32]),
    "s2u_doctor_options_set_progress": (_P, [_P, Progress, c_void_p]),
    "s2u_doctor": (_P, [c_char_p, c_char_p, _P, _OUT]),
})


class Handle:
    """An object of the C API, freed with this one."""

    def __init__(self, kind: str, handle: c_void_p):
        self.handle = handle
        self._free = getattr(lib, f"s2u_{kind}_free")

    def __del__(self) -> None:
        if getattr(self, "_free", None) is not None:
            self._free(self.handle)

    @property
    def _as_parameter_(self) -> c_void_p:
        return self.handle


def make(kind: str, function: str, *arguments) -> Handle:
    """The handle that a function gives out behind its other arguments."""
    handle = c_void_p()
    check(getattr(lib, function)(*arguments, byref(handle)))
    return Handle(kind, handle)


def options(kind: str, **values) -> Handle:
    """Options of a kind with these values set: a value, or a tuple of them."""
    made = make(f"{kind}_options", f"s2u_{kind}_options_new")
    for name, value in values.items():
        check(getattr(lib, f"s2u_{kind}_options_set_{name}")(made, *(value if isinstance(value, tuple) else (value,))))
    return made


def text(function: str, *arguments) -> str:
    """The text that a function gives out."""
    made = make("text", function, *arguments)
    return ctypes.string_at(lib.s2u_text_data(made), lib.s2u_text_size(made)).decode(errors="replace")


def chosen(table: dict, value, what: str) -> int:
    """The number of a name; ValueError that lists the names."""
    try:
        return table[value]
    except (KeyError, TypeError):
        raise ValueError(f"{what} is {value!r}: must be one of {', '.join(map(repr, table))}") from None
