"""Weight files: what they hold, conversion between formats and precisions, and their tensors as numpy arrays.

safetensors and PyTorch's .pth and .pt, without PyTorch. A task file is what was trained without the frozen trunk:
``convert(full, task, task_only=True)`` makes one, ``convert(task, full, trunk=sam2)`` a full file again.
"""
from __future__ import annotations

import ctypes
import json
import os
from ctypes import byref
from typing import Dict, List, Mapping, Optional, Union

import numpy as np

from sam2unet import _network
from sam2unet._library import check
from sam2unet._model import weights_file
from sam2unet._planes import address

Path = Union[str, "os.PathLike[str]"]

_DTYPES = ("<f8", "<f4", "<f2", None, "<i8", "<i4", "<i2", "|i1", "|u1", "|b1")
_BF16 = 3


def info(path: Path) -> dict:
    """What a file holds and what it can be used for; the keys are those of ``sam2unet info --json``: "contents", "variant",
    "usable_for", "out_channels", "parameters", "missing", "unexpected", "tensors" ...

    Raises:
        FileError, FormatError: the file cannot be read.
    """
    return json.loads(_network.text("s2u_weights_info", weights_file(path)))


def convert(source: Path, target: Path, *, precision: str = "keep", task_only: bool = False,
            trunk: Optional[Path] = None) -> List[str]:
    """Writes `target`, whose extension decides the format: .safetensors, .pth or .pt.

    Args:
        precision: "keep", "f32", "f16", "bf16" or "int8" (safetensors only).
        task_only: leave the frozen trunk out.
        trunk: where the trunk of a task file comes from: SAM2, SAM2.1, or any SAM2-UNet of the same variant.

    Returns:
        Notes on what a user of the result may stumble over.

    Raises:
        FileError, FormatError: a file cannot be read or written.
        WeightsError: wrong variant, nothing of a SAM2-UNet in it, a value that the precision cannot hold, a wrong trunk.
        ValueError: options that exclude each other.
    """
    options = _network.options("convert", task_only=int(bool(task_only)), trunk=weights_file(trunk) if trunk else b"",
                               precision=_network.chosen(_network.WEIGHTS_PRECISIONS, precision, "precision"))
    return _network.text("s2u_weights_convert", weights_file(source), os.fsencode(target), options).splitlines()


def load(path: Path) -> Dict[str, np.ndarray]:
    """The tensors of a file by their names, in its order; bf16, which numpy has not, as float32. int8 weights of ours come
    as they are stored: ``NAME`` int8 and ``NAME.scale`` float32, one for each row.

    Raises:
        FileError, FormatError: the file cannot be read.
    """
    lib = _network.lib
    opened = _network.make("tensors", "s2u_tensors_open", weights_file(path))
    out = {}
    for i in range(lib.s2u_tensors_count(opened)):
        t = _network.Tensor(struct_size=ctypes.sizeof(_network.Tensor))
        check(lib.s2u_tensors_get(opened, i, byref(t)))
        stored = np.empty(tuple(t.shape[:t.rank]), np.uint16 if t.dtype == _BF16 else _DTYPES[t.dtype])
        check(lib.s2u_tensors_read(opened, i, address(stored), t.bytes))
        if t.dtype == _BF16:
            stored = (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
        out[t.name.decode(errors="replace")] = stored
    return out


def metadata(path: Path) -> Dict[str, str]:
    """Metadata of a safetensors file: "config", "classes", "input_size" ...; empty for PyTorch's formats."""
    lib = _network.lib
    opened = _network.make("tensors", "s2u_tensors_open", weights_file(path))
    return {lib.s2u_tensors_metadata_key(opened, i).decode(): lib.s2u_tensors_metadata_value(opened, i).decode()
            for i in range(lib.s2u_tensors_metadata_count(opened))}


def save(path: Path, tensors: Mapping[str, np.ndarray], metadata: Optional[Mapping[str, str]] = None) -> None:
    """Writes arrays (or what turns itself into them, as PyTorch's tensors on the CPU do) by their names: .safetensors, or
    .pth and .pt as ``torch.load`` reads them, which hold no metadata. The file appears whole or not at all.

    Raises:
        TypeError: an array of a type that weight files do not have.
        ValueError: another extension, a name twice.
        FileError: the file system refused.
    """
    lib = _network.lib
    writer = _network.make("tensor_writer", "s2u_tensor_writer_new")
    alive = []
    for name, value in tensors.items():
        array = np.asarray(value)
        kind = array.dtype.newbyteorder("<").str if array.dtype.itemsize > 1 else array.dtype.str
        if kind not in _DTYPES:
            raise TypeError(f"tensor {name!r} of {array.dtype}: weight files hold float64, float32, float16, int64, int32, "
                            "int16, int8, uint8 and bool")
        shape = np.array(array.shape, np.int64)
        dense = np.ascontiguousarray(array, dtype=kind)
        alive.append((dense, shape))
        check(lib.s2u_tensor_writer_add(writer, name.encode(), _DTYPES.index(kind), address(shape), len(shape), address(dense),
                                        dense.nbytes))
    for key, text in (metadata or {}).items():
        check(lib.s2u_tensor_writer_set_metadata(writer, key.encode(), text.encode()))
    check(lib.s2u_tensor_writer_save(writer, os.fsencode(path)))
    del alive
