"""Numbers that are a function of a name: weights, inputs and masks that need no file.

For a name N and its 64-bit FNV-1a hash h, value i is made of splitmix64's output for the state h + i. The C++
counterpart is src/model/weight_source.h.
"""

import math

import numpy as np

_MASK64 = (1 << 64) - 1
BLOBS = 5  # discs of one mask


def fnv1a64(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & _MASK64
    return value


def splitmix64(name: str, count: int) -> np.ndarray:
    """[count] uint64: the generator's outputs for the states hash(name) + 0, 1, ..."""
    with np.errstate(over="ignore"):
        z = np.arange(count, dtype=np.uint64) + np.uint64(fnv1a64(name.encode()))
        z += np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(name: str, count: int) -> np.ndarray:
    """[count] float64 in [-1, 1), multiples of 2^-23: the upper 24 bits of each output."""
    return (splitmix64(name, count) >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0


def picture_bytes(name: str, count: int) -> np.ndarray:
    """[count] uint8: the top byte of each output."""
    return (splitmix64(name, count) >> np.uint64(56)).astype(np.uint8)


def parameter(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The tensor that a state_dict holds under `name`, float32 (counters: int64)."""
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    u = uniform(name, math.prod(shape))
    if leaf == "running_mean" or leaf == "bias":
        values = 0.1 * u
    elif leaf == "running_var":
        values = 1.0 + 0.5 * u
    elif leaf == "weight" and len(shape) == 1:  # of LayerNorm and BatchNorm
        values = 1.0 + 0.1 * u
    elif leaf.startswith("pos_embed"):
        values = 0.2 * u
    else:
        values = u * math.sqrt(3.0 / math.prod(shape[1:]))  # the variance of 1 / fan_in
    return values.astype(np.float32).reshape(shape)


def image(tag: str, batch: int, height: int, width: int) -> np.ndarray:
    """[B,3,H,W] float64 in [-2, 2)."""
    return (2.0 * uniform(f"image:{tag}", batch * 3 * height * width)).reshape(batch, 3, height, width)


def _depths(tag: str, batch: int, height: int, width: int) -> np.ndarray:
    """[B,5,H,W]: how far each pixel lies inside each disc, in pixels; negative outside."""
    u = uniform(f"mask:{tag}", batch * BLOBS * 3).reshape(batch, BLOBS, 3, 1, 1)
    y, x = np.mgrid[0:height, 0:width]
    center_y = (u[:, :, 0] + 1) / 2 * height
    center_x = (u[:, :, 1] + 1) / 2 * width
    radius = (u[:, :, 2] + 1.2) / 2.2 * min(height, width) / 4
    return radius - np.hypot(y - center_y, x - center_x)


def mask(tag: str, batch: int, height: int, width: int) -> np.ndarray:
    """[B,1,H,W] float64: discs with an edge one pixel soft, as multiples of 1/255 (a resized 8-bit label)."""
    soft = np.clip(_depths(tag, batch, height, width) + 0.5, 0, 1).max(axis=1, keepdims=True)
    return np.round(255 * soft) / 255


def class_ids(tag: str, batch: int, height: int, width: int, classes: int) -> np.ndarray:
    """[B,H,W] int64: disc j is class 1 + j mod (classes - 1), its rim is ignored (255), later discs lie on top."""
    ids = np.zeros((batch, height, width), np.int64)
    depths = _depths(tag, batch, height, width)
    for j in range(BLOBS):
        ids[depths[:, j] > -0.5] = 255
        ids[depths[:, j] >= 0.5] = 1 + j % (classes - 1)
    return ids


def self_check() -> None:
    """Raises unless the generator gives the numbers that docs/golden.md states."""
    expected = [0.04737353324890137, -0.14812350273132324, -0.619655966758728, 0.6241564750671387]
    if uniform("check", 4).tolist() != expected:
        raise AssertionError("the generator does not give the values that docs/golden.md states")
