"""The network: pictures in, maps of probabilities out."""
from __future__ import annotations

import ctypes
import dataclasses
import json
import os
from ctypes import POINTER, byref, c_size_t, c_void_p
from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Tuple, Union, overload

import numpy as np

from sam2unet import _network
from sam2unet._library import FileError, check
from sam2unet._model import weights_file
from sam2unet._planes import U8, Plane, address, fill, plane
from sam2unet.pictures import Picture, open_picture

if TYPE_CHECKING:
    from typing_extensions import TypedDict, Unpack

    class Options(TypedDict, total=False):
        """What `Segmenter` takes beside its pictures."""

        size: Optional[Size]
        fit: Optional[str]
        official: bool
        output: str
        batch: int
        exif: Optional[bool]
        pillow: int
        tile: Union[None, int, str]
        overlap: float
        tile_context: float
        tta: str

#: A side in pixels, or (height, width) as in an array's shape; multiples of 32.
Size = Union[int, Tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class ClassInfo:
    """A class of the network: its id is its channel, and its value in masks."""

    id: int
    name: str
    color: Tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Region:
    """A class of a picture, or one of its connected parts (pixels that share a side)."""

    id: int  #: of its class; 1 is the one foreground
    box: Optional[Tuple[int, int, int, int]]  #: x, y, width, height in pixels; None if there is nothing
    area: int  #: pixels
    confidence: float  #: mean probability over its pixels
    polygons: List[List[np.ndarray]]  #: see `Segmentation.polygons`


@dataclasses.dataclass
class Segmentation:
    """One segmented picture. K is 1 for one foreground, else the number of classes. Picklable.

    Attributes:
        maps: float32 [K, H, W] probabilities in [0, 1] at the picture's own size; None where ids were asked for.
        logits: float32 [K, h, w], the network's own output.
        official: whether it was made as the reference's test.py does.
        classes: names and colours; empty for one foreground.
    """

    maps: Optional[np.ndarray]
    logits: np.ndarray
    height: int
    width: int
    official: bool
    classes: Tuple[ClassInfo, ...]
    _ids: Optional[np.ndarray] = None
    _confidence: Optional[np.ndarray] = None

    @property
    def channels(self) -> int:
        """K"""
        return self.logits.shape[0]

    def _probabilities(self) -> np.ndarray:
        if self.maps is None:
            raise ValueError("this result was made with output='ids', without probabilities")
        return self.maps

    @property
    def map(self) -> np.ndarray:
        """float32 [H, W], probability of the one foreground. ValueError with several classes, which have `maps`."""
        maps = self._probabilities()
        if len(maps) != 1:
            raise ValueError(f"a result of {len(maps)} classes has no single map: use maps[k]")
        return maps[0]

    def _channel(self, channel: Optional[int]) -> np.ndarray:
        return self.map if channel is None else self._probabilities()[channel]

    def mask(self, threshold: float = 0.5, channel: Optional[int] = None) -> np.ndarray:
        """bool [H, W]: where the map, or a class's, is at least the threshold."""
        least = np.float32(threshold)  # of float32, those that are at least the threshold in double
        if float(least) < threshold:
            least = np.nextafter(least, np.float32(np.inf))
        return self._channel(channel) >= least

    def gray(self, channel: Optional[int] = None) -> np.ndarray:
        """uint8 [H, W]: the map as the program writes it, truncated if official, else rounded."""
        p = self._channel(channel) * np.float32(255)
        return np.minimum(p if self.official else p + np.float32(0.5), np.float32(255)).astype(np.uint8)

    @property
    def ids(self) -> np.ndarray:
        """uint8 [H, W], the most probable class; of one foreground 1 where it is 0.5 or more."""
        if self._ids is None:
            maps = self._probabilities()
            self._ids = (maps[0] >= 0.5).astype(np.uint8) if len(maps) == 1 else maps.argmax(0).astype(np.uint8)
        return self._ids

    @property
    def confidence(self) -> np.ndarray:
        """float32 [H, W], that class's probability."""
        if self._confidence is None:
            maps = self._probabilities()
            p = maps[0]
            self._confidence = np.where(p >= 0.5, p, 1 - p) if len(maps) == 1 else maps.max(0)
        return self._confidence

    def polygons(self, threshold: float = 0.5, channel: Optional[int] = None, *,
                 tolerance: float = 0.0) -> List[List[np.ndarray]]:
        """Outlines of `mask`'s connected parts in reading order: of each its rings, the outer one first, then its holes;
        a ring is int32 [points, 2] of x and y. Points are corners of pixels, (0, 0) the picture's upper left one.

        Args:
            tolerance: 0 encloses the mask's pixels exactly; with more, corners are left out where the line stays within
                so many pixels of them.
        """
        return polygons(self.mask(threshold, channel), tolerance=tolerance)

    def regions(self, *, instances: bool = False, tolerance: float = 0.0) -> List[Region]:
        """Areas, boxes and outlines of all classes but the background, in their order; of their connected parts with
        `instances`, in reading order."""
        p = plane()
        alive = fill(p, self.ids, U8), np.ascontiguousarray(self.confidence, np.float32)
        made = _network.make("regions", "s2u_ids_regions", byref(p), address(alive[1]), self.channels, int(instances),
                             tolerance)
        return [_region(made, i) for i in range(_network.lib.s2u_regions_count(made))]


def polygons(mask: np.ndarray, *, tolerance: float = 0.0) -> List[List[np.ndarray]]:
    """Outlines of a mask [H, W], inside where it is not 0; see `Segmentation.polygons`."""
    array = np.ascontiguousarray(np.asarray(mask) != 0).view(np.uint8) * np.uint8(255)
    if array.ndim != 2:
        raise ValueError(f"a mask of shape {array.shape}: [H, W] is needed")
    p = plane()
    alive = fill(p, array, U8)
    made = _network.make("polygons", "s2u_mask_polygons", byref(p), tolerance)
    del alive
    return _rings(made)


def _rings(handle) -> List[List[np.ndarray]]:
    lib = _network.lib
    out = []
    for i in range(lib.s2u_polygons_count(handle)):
        rings = []
        for k in range(lib.s2u_polygons_ring_count(handle, i)):
            count = c_size_t()
            check(lib.s2u_polygons_ring(handle, i, k, None, byref(count)))
            points = np.empty((count.value // 2, 2), np.int32)
            check(lib.s2u_polygons_ring(handle, i, k, address(points), byref(count)))
            rings.append(points)
        out.append(rings)
    return out


def _region(regions, index: int) -> Region:
    r = _network.Region(struct_size=ctypes.sizeof(_network.Region))
    check(_network.lib.s2u_regions_get(regions, index, byref(r)))
    outlines = _rings(_network.lib.s2u_regions_polygons(regions, index))
    return Region(r.id, (r.x, r.y, r.width, r.height) if r.area else None, r.area, r.confidence, outlines)


class Segmenter:
    """A network with its weights. May be called from several threads at once; Python's other threads run meanwhile. A child
    of fork() (a worker of a DataLoader) may go on using it, on one thread; pickled it opens its weights again.

    Args:
        weights: a path (safetensors, .pth, .pt), the name of a model (``sam2unet models list``; what exists, or has a "/" in
            it, is a path), a file's bytes, or None: the default model.
        device: "cpu"; "cuda" and "cuda:N" need the CUDA backend beside the library, "cuda-torch", "cuda-torch:N" and
            "torch-cpu" the training component.
        precision: "standard" (f32 on the CPU, bf16 on a GPU), "automatic" (on the CPU the fastest that the weights' stored
            gates allow: ``sam2unet convert --gates``), "f32", "bf16", "int8" (on the CPU), "tf32" (on cuda-torch) or "f16"
            (on "cuda").
        threads: for one picture; 0: all cores, or as many as OMP_NUM_THREADS says.

    Raises:
        FileError, FormatError: the file cannot be read.
        WeightsError: it does not hold this network; the message names the tensor.
        UnavailableError: says what is missing for the device.
        ValueError: an argument that cannot be meant.
    """

    def __init__(self, weights: Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, None] = None, *,
                 device: str = "cpu", precision: str = "standard", threads: int = 0):
        if isinstance(weights, (bytearray, memoryview)):
            weights = bytes(weights)
        self._arguments = (weights, device, precision, threads)
        options = _network.options("segmenter", threads=threads, device=device.encode(),
                                   precision=_network.chosen(_network.PRECISIONS, precision, "precision"))
        if isinstance(weights, bytes):
            self._handle = _network.make("segmenter", "s2u_segmenter_new_from_bytes", weights, len(weights), None, options)
        else:
            self._handle = self._opened(weights, options)
        self._info = _network.SegmenterInfo(struct_size=ctypes.sizeof(_network.SegmenterInfo))
        check(_network.lib.s2u_segmenter_get_info(self._handle, byref(self._info)))
        self._classes = tuple(self._class(i) for i in range(_network.lib.s2u_segmenter_class_count(self._handle)))

    @staticmethod
    def _opened(weights, options):
        path = weights_file(weights)
        try:
            return _network.make("segmenter", "s2u_segmenter_new", path, options)
        except FileError as error:
            if path is not None or os.environ.get("SAM2UNET_MODEL"):
                raise
            raise FileError("the default model is not here: pip install sam2unet-model-t, or name a weight file "
                            f"({error})") from None

    def _class(self, index: int) -> ClassInfo:
        color = np.empty(3, np.uint8)
        check(_network.lib.s2u_segmenter_class_color(self._handle, index, address(color)))
        name = _network.lib.s2u_segmenter_class_name(self._handle, index).decode(errors="replace")
        red, green, blue = color.tolist()
        return ClassInfo(index, name, (red, green, blue))

    def __reduce__(self):
        weights, device, precision, threads = self._arguments
        return _unpickled, (type(self), weights, device, precision, threads)

    def __repr__(self) -> str:
        kind = "one foreground" if self.channels == 1 else f"{self.channels} classes"
        return f"<sam2unet.Segmenter {self.variant}, {kind}, on {self.device}>"

    @property
    def variant(self) -> str:
        """"t", "s", "b+", "l" or "custom"."""
        return _network.lib.s2u_segmenter_variant(self._handle).decode()

    @property
    def device(self) -> str:
        """"cpu", "torch-cpu", "cuda:0", "cuda-torch:0"."""
        return _network.lib.s2u_segmenter_device(self._handle).decode()

    @property
    def precision(self) -> str:
        """In effect: "f32", "bf16" ..., never "automatic" or "standard"."""
        return next(name for name, number in _network.PRECISIONS.items() if number == self._info.precision)

    @property
    def channels(self) -> int:
        """K: 1 for one foreground, else the number of classes."""
        return self._info.channels

    @property
    def classes(self) -> Tuple[ClassInfo, ...]:
        """Names and colours of the classes; empty for one foreground."""
        return self._classes

    @property
    def size(self) -> Tuple[int, int]:
        """(height, width) that the network sees unless told otherwise: what the weights were trained at."""
        return self._info.height, self._info.width

    @property
    def config(self) -> dict:
        """The network's configuration."""
        return json.loads(_network.lib.s2u_segmenter_config(self._handle))

    @property
    def notes(self) -> List[str]:
        """What a user may want to know of the weight file."""
        count = _network.lib.s2u_segmenter_note_count(self._handle)
        return [_network.lib.s2u_segmenter_note(self._handle, i).decode(errors="replace") for i in range(count)]

    @overload
    def __call__(self, pictures: Union[List[Picture], Tuple[Picture, ...]],
                 **options: Unpack[Options]) -> List[Segmentation]: ...
    @overload
    def __call__(self, pictures: Picture, **options: Unpack[Options]) -> Segmentation: ...

    def __call__(self, pictures: Any, *, size: Optional[Size] = None, fit: Optional[str] = None, official: bool = False,
                 output: str = "probabilities", batch: int = 0, exif: Optional[bool] = None, pillow: int = 12,
                 tile: Union[None, int, str] = None, overlap: float = 0.25, tile_context: float = 0.0, tta: str = "") -> Any:
        """Segments a picture, or a list of pictures of any sizes.

        Args:
            pictures: a path, a file's bytes, a PIL image, or a uint8 array [H, W], [H, W, 3] (RGB) or [H, W, 4] (alpha is
                dropped) of any strides; or a list or tuple of them, or an array [N, H, W, 3 or 4].
            size: what the network sees: a side, or (height, width), multiples of 32; None: as trained.
            fit: "squash" or "letterbox" (the picture's shape is kept); None: as trained.
            official: everything as the reference's test.py; one foreground only.
            output: "probabilities", or "ids": of many classes a fraction of the memory.
            batch: how many pictures the network sees at once; 0: what is fastest.
            exif: turn files upright as EXIF says; None: unless `official`. PIL images are taken as they are.
            pillow: 12 or 13, whose resizing is used.
            tile: side of tiles in the picture's pixels, or "auto", for pictures much larger than the network's input
                (objects are then seen at another scale); None: the picture as a whole.
            overlap: the part of a side that neighbouring tiles share, 0 to 0.9.
            tile_context: how much the logits of the whole picture count, 0 to 1.
            tta: test-time augmentation, such as "hflip,vflip,rot90,scale=0.75:1.25".

        Returns:
            A `Segmentation`, or a list of them.

        Raises:
            TypeError, ValueError: no picture, or options that cannot be meant.
            FileError, ImageError: a file that cannot be read or decoded.
            WeightsError: the network's result holds NaN or infinity.
        """
        many = isinstance(pictures, (list, tuple)) or (isinstance(pictures, np.ndarray) and pictures.ndim == 4)
        options = _options(size, fit, official, output, batch, pillow, tta)
        if tile is not None:
            side = 0 if tile == "auto" else int(tile)
            check(_network.lib.s2u_segment_options_set_tiles(options, side, overlap, tile_context))
        upright = not official if exif is None else exif
        opened = [open_picture(p, upright) for p in (pictures if many else [pictures])]
        results = self._segment([p for p, _ in opened], options)
        del opened
        return results if many else results[0]

    segment = __call__

    def _segment(self, planes: Sequence[Plane], options) -> List[Segmentation]:
        count = len(planes)
        pointers = (POINTER(Plane) * count)(*(ctypes.pointer(p) for p in planes))
        handles = (c_void_p * count)()
        check(_network.lib.s2u_segment(self._handle, pointers, count, options, handles))
        owners = [_network.Handle("segmentation", c_void_p(h)) for h in handles]
        results = []
        while owners:  # each is freed when it is copied
            results.append(_copied(owners.pop(0), self._classes))
        return results


def _unpickled(kind, weights, device, precision, threads):
    return kind(weights, device=device, precision=precision, threads=threads)


def _options(size, fit, official, output, batch, pillow, tta):
    height, width = (0, 0) if size is None else (size, size) if np.ndim(size) == 0 else tuple(size)
    return _network.options("segment", size=(int(width), int(height)), fit=_network.chosen(_network.FITS, fit, "fit"),
                            official=int(bool(official)), output=_network.chosen(_network.OUTPUTS, output, "output"),
                            batch=batch, pillow=_network.chosen(_network.PILLOWS, pillow, "pillow"),
                            augmentation=tta.encode())


def _array(function: str, handle, shape: tuple, dtype) -> np.ndarray:
    out = np.empty(shape, dtype)
    check(getattr(_network.lib, function)(handle, address(out), byref(c_size_t(out.size))))
    return out


def _copied(handle, classes: Tuple[ClassInfo, ...]) -> Segmentation:
    info = _network.SegmentationInfo(struct_size=ctypes.sizeof(_network.SegmentationInfo))
    check(_network.lib.s2u_segmentation_get_info(handle, byref(info)))
    plane_shape = (info.height, info.width)
    logits = _array("s2u_segmentation_logits", handle, (info.channels, info.logits_height, info.logits_width), np.float32)
    result = Segmentation(None, logits, *plane_shape, bool(info.official), classes)
    if info.output == _network.OUTPUTS["ids"]:
        result._ids = _array("s2u_segmentation_ids", handle, plane_shape, np.uint8)
        result._confidence = _array("s2u_segmentation_confidence", handle, plane_shape, np.float32)
    else:
        result.maps = _array("s2u_segmentation_probabilities", handle, (info.channels,) + plane_shape, np.float32)
    return result
