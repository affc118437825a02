#!/usr/bin/env python3
"""What the installed Pillow makes of pictures: the two lists of tests/data/image, and the order of its passes.

  python tools/golden/pillow.py tests/data/image [--make DIR]

Compares decoded.txt and resized.txt with the installed Pillow (its own column where the versions differ), and says how
many of 1,500 random resizes run the horizontal pass first, as every Pillow before 13.0 does, or as the rule of 13.0
says. --make writes decoded.txt as the installed version gives it. Exit code 1 where anything differs.
"""

import argparse
import random
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps

import deterministic

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
IS_13 = int(PIL.__version__.split(".")[0]) >= 13


def checksum(image: Image.Image) -> str:
    return f"{deterministic.fnv1a64(image.tobytes()):016x}"


def decoded_line(file: Path) -> str:
    """The file as RGB and L, then the same after its EXIF orientation."""
    parts = []
    for turn in (lambda image: image, ImageOps.exif_transpose):
        for mode in ("RGB", "L"):
            image = turn(Image.open(file)).convert(mode)
            parts.append(f"{image.width}x{image.height}:{checksum(image)}")
    return " ".join([file.name, *parts])


def resized_checksums(width: int, height: int, channels: int, to: tuple[int, int]) -> list[str]:
    data = deterministic.picture_bytes(f"picture:{width}x{height}x{channels}", width * height * channels)
    picture = Image.frombytes(MODES[channels], (width, height), data.tobytes())
    filters = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
    return [checksum(picture.resize(to, f)) for f in filters]


def lines_of(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line and not line.startswith("#")]


def check_decoded(folder: Path) -> int:
    bad = 0
    for line in lines_of(folder / "decoded.txt"):
        made = decoded_line(folder / "files" / line.split()[0])
        if made != line:
            bad += 1
            print(f"wanted {line}\n  made {made}")
    return bad


def check_resized(folder: Path) -> int:
    bad = 0
    for line in lines_of(folder / "resized.txt"):
        width, height, channels, to_width, to_height, *sums = line.split()
        made = resized_checksums(int(width), int(height), int(channels), (int(to_width), int(to_height)))
        if made != (sums[2:4] if IS_13 and len(sums) == 4 else sums[:2]):
            bad += 1
            print(f"wanted {line}\n  made {made}")
    return bad


def vertical_first(width: int, height: int, to_width: int, to_height: int) -> bool:
    return IS_13 and height > to_height and height - to_height > 2 * (width - to_width)


def check_order(cases: int) -> tuple[int, int]:
    """How many of the resizes tell the orders apart, and how many of these are not as `vertical_first` says."""
    numbers, pixels = random.Random(1), np.random.default_rng(0)
    told, bad = 0, 0
    for _ in range(cases):
        width, height, to_width, to_height = (numbers.randint(8, 300) for _ in range(4))
        picture = Image.fromarray(pixels.integers(0, 256, (height, width, 3), dtype=np.uint8))

        def through(middle: tuple[int, int], image: Image.Image = picture, to=(to_width, to_height)) -> bytes:
            first = image.resize(middle, Image.Resampling.BILINEAR)
            return first.resize(to, Image.Resampling.BILINEAR).tobytes()

        horizontal, vertical = through((to_width, height)), through((width, to_height))
        if horizontal == vertical:
            continue
        told += 1
        wanted = vertical if vertical_first(width, height, to_width, to_height) else horizontal
        bad += picture.resize((to_width, to_height), Image.Resampling.BILINEAR).tobytes() != wanted
    return told, bad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="tests/data/image")
    parser.add_argument("--make", type=Path, metavar="DIR", help="write decoded.txt there")
    args = parser.parse_args()
    if args.make:
        files = sorted((args.folder / "files").iterdir())
        args.make.mkdir(parents=True, exist_ok=True)
        (args.make / "decoded.txt").write_text("".join(decoded_line(f) + "\n" for f in files))
    decoded, resized = check_decoded(args.folder), check_resized(args.folder)
    told, order = check_order(1500)
    print(f"Pillow {PIL.__version__}: {decoded} lines of decoded.txt differ, {resized} of resized.txt")
    print(f"order of the passes: {order} of {told} resizes are not as expected")
    sys.exit(1 if decoded or resized or order else 0)


if __name__ == "__main__":
    main()
