"""Finds and loads the C libraries, and turns their statuses into exceptions."""
from __future__ import annotations

import ctypes
import os
from ctypes import c_char_p, c_int32, c_uint32, c_void_p
from typing import Optional

ABI_VERSION = 1
_SUFFIXES = (".so.0.2", ".so")  # libraries of one ABI have its name


class Error(RuntimeError):
    """What the library refuses for other reasons than the caller's arguments, which are a ValueError."""


class FileError(Error):
    """The file system refused: a missing file, no permission, a full disk."""


class FormatError(Error):
    """Bytes that are not what they claim to be."""


class WeightsError(Error):
    """A readable checkpoint that does not hold this network."""


class ImageError(Error):
    """A picture that cannot be decoded, or whose size is out of range."""


class UnavailableError(Error):
    """A part that this build or this machine does not have (training component, GPU)."""


_ERRORS = {1: ValueError, 2: FileError, 3: FormatError, 4: WeightsError, 5: ImageError, 6: UnavailableError,
           7: MemoryError}


def folder() -> str:
    """Where the wheel keeps its libraries and its program."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "_lib")


def _candidates(stem: str) -> list[str]:
    """Where the library may be: a folder that the user names, the wheel, the system's folders."""
    named = os.environ.get("SAM2UNET_LIBRARY_DIR")
    for place in [named] if named else [folder()]:
        found = [os.path.join(place, stem + suffix) for suffix in _SUFFIXES]
        found = [path for path in found if os.path.exists(path)]
        if found or named:
            return found or [os.path.join(place, stem + _SUFFIXES[0])]
    return [stem + suffix for suffix in _SUFFIXES]


def load(stem: str, prototypes: dict) -> ctypes.CDLL:
    """The library with these functions; ctypes lets other Python threads run during every call."""
    tried = []
    for path in _candidates(stem):
        try:
            lib = ctypes.CDLL(path)
            break
        except OSError as error:
            tried.append(f"{path}: {error}")
    else:
        raise ImportError(f"{stem} cannot be loaded (SAM2UNET_LIBRARY_DIR may name its folder): " + "; ".join(tried))
    for name, (result, arguments) in prototypes.items():
        try:
            function = getattr(lib, name)
        except AttributeError:
            raise ImportError(f"{stem} has no {name}: install library and package from one build") from None
        function.restype, function.argtypes = result, arguments
    return lib


_base = load("libsam2unet_metrics", {
    "s2u_abi_version": (c_uint32, []),
    "s2u_version": (c_char_p, []),
    "s2u_status_code": (c_int32, [c_void_p]),
    "s2u_status_text": (c_char_p, [c_void_p]),
    "s2u_status_free": (None, [c_void_p]),
})
if _base.s2u_abi_version() != ABI_VERSION:
    raise ImportError(f"the library has version {_base.s2u_abi_version()} of the C API, this package needs {ABI_VERSION}: "
                      "install both from one build")


def version() -> str:
    """The library's version."""
    return _base.s2u_version().decode()


def check(status: Optional[int]) -> None:
    """Raises what the status tells: ValueError for a caller's mistake, MemoryError, a kind of Error."""
    if not status:
        return
    code, text = _base.s2u_status_code(status), _base.s2u_status_text(status).decode(errors="replace")
    _base.s2u_status_free(status)
    raise _ERRORS.get(code, Error)(text)
