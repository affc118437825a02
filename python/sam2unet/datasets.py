"""Checks of data sets."""
from __future__ import annotations

import json
import os
from typing import Callable, List, Optional, Tuple, Union

from sam2unet import _network

Path = Union[str, "os.PathLike[str]"]


def doctor(images: Path, masks: Path, *, test_images: Optional[Path] = None, classes: Union[Path, int, None] = None,
           recursive: bool = False, image_affix: Tuple[str, str] = ("", ""), mask_affix: Tuple[str, str] = ("", ""),
           threads: int = 0, progress: Optional[Callable[[int, int], object]] = None) -> dict:
    """What would silently ruin a training or an evaluation; every file is read once.

    Args:
        images, masks: folders, or patterns ("Imgs/*.jpg").
        test_images: pictures that the training ones must not hold.
        classes: masks hold ids of classes: a class file, or how many there are.
        recursive: look into subfolders too.
        image_affix, mask_affix: (prefix, suffix) that names of one side have beside the shared part.
        threads: 0: all cores.
        progress: called now and then with the files done and all files; what it raises comes out at the end.

    Returns:
        ``{"images", "pairs", "clean", "findings": [{"kind", "message", "remedy", "files", "groups"}]}``, and of masks of
        classes "classes", as ``sam2unet doctor --json``.

    Raises:
        FileError, ValueError: a folder cannot be listed or holds no pictures.
    """
    raised: List[BaseException] = []

    def tell(done: int, total: int, _user) -> None:
        try:
            if progress is not None and not raised:
                progress(done, total)
        except BaseException as error:  # noqa: BLE001: may not pass through C
            raised.append(error)

    callback = _network.Progress(tell if progress else 0)
    options = _network.options(
        "doctor", test_images=os.fsencode(test_images or ""), recursive=int(bool(recursive)), threads=threads,
        classes=os.fsencode("" if classes is None else str(classes) if isinstance(classes, int) else classes),
        image_affix=tuple(part.encode() for part in image_affix), mask_affix=tuple(part.encode() for part in mask_affix),
        progress=(callback, None))
    found = json.loads(_network.text("s2u_doctor", os.fsencode(images), os.fsencode(masks), options))
    if raised:
        raise raised[0]
    return found
