"""The command ``sam2unet``: the program that the wheel carries, with the default model where its package is installed."""
from __future__ import annotations

import os
import sys

from sam2unet._library import folder
from sam2unet._model import default_model


def main() -> None:
    """Becomes the program."""
    program = os.path.join(folder(), "sam2unet")
    if not os.path.exists(program):
        sys.exit("sam2unet: this installation has no program; the wheel does")
    model = default_model()
    if model is not None:
        os.environ["SAM2UNET_MODEL"] = model
    os.execv(program, ["sam2unet", *sys.argv[1:]])


if __name__ == "__main__":
    main()
