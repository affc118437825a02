#!/usr/bin/env python3
"""Makes a small data set of several classes: discs, squares, triangles and rings on noisy backgrounds.

    scripts/shapes.py OUT [--train 200] [--test 50] [--side 128] [--seed 1]

OUT/train and OUT/test get folders `image` and `mask`, OUT/shapes.toml names the classes. Colours say nothing about the
class, so it has to be told from the shape. Python's standard library is all it needs; the same seed makes the same files.
"""
import argparse
import math
import os
import random
import struct
import zlib

CLASSES = [("disc", "#e6194b"), ("square", "#3cb44b"), ("triangle", "#4363d8"), ("ring", "#f58231")]


def png(path, side, channels, rows):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2 if channels == 3 else 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def inside(kind, u, v):
    """Whether a point of the shape's own coordinates, radius 1, belongs to it."""
    if kind == 0:
        return u * u + v * v <= 0.8
    if kind == 1:
        return abs(u) <= 0.75 and abs(v) <= 0.75
    if kind == 2:
        return v <= 0.5 and v >= -1 + 1.732 * abs(u)
    return 0.3 <= u * u + v * v <= 1


def picture(rng, side):
    base = [rng.randint(30, 220) for _ in range(3)]
    slope = [rng.uniform(-60, 60) for _ in range(3)]
    shapes = []
    for kind in rng.sample(range(4), rng.randint(1, 3)):
        for _ in range(50):
            r = rng.uniform(0.13, 0.24) * side
            x, y = rng.uniform(r, side - r), rng.uniform(r, side - r)
            if all(math.hypot(x - s[1], y - s[2]) > r + s[3] for s in shapes):
                color = [rng.randint(0, 255) for _ in range(3)]
                if sum(abs(a - b) for a, b in zip(color, base)) < 150:
                    continue
                shapes.append((kind, x, y, r, rng.uniform(-0.5, 0.5), color))
                break
    rows, ids = [], []
    for y in range(side):
        row, line = bytearray(), bytearray()
        for x in range(side):
            color = [b + s * (x + y) / (2 * side) for b, s in zip(base, slope)]
            found = 0
            for kind, cx, cy, r, turn, own in shapes:
                dx, dy = (x + 0.5 - cx) / r, (y + 0.5 - cy) / r
                c, s = math.cos(turn), math.sin(turn)
                if inside(kind, c * dx + s * dy, c * dy - s * dx):
                    color, found = own, kind + 1
            row += bytes(max(0, min(255, int(v + rng.gauss(0, 12)))) for v in color)
            line.append(found)
        rows.append(row)
        ids.append(line)
    return rows, ids


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--train", type=int, default=200)
    parser.add_argument("--test", type=int, default=50)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    for part, count in (("train", args.train), ("test", args.test)):
        for kind in ("image", "mask"):
            os.makedirs(os.path.join(args.out, part, kind), exist_ok=True)
        for i in range(count):
            rows, ids = picture(rng, args.side)
            png(os.path.join(args.out, part, "image", f"{i:03}.png"), args.side, 3, rows)
            png(os.path.join(args.out, part, "mask", f"{i:03}.png"), args.side, 1, ids)
    with open(os.path.join(args.out, "shapes.toml"), "w") as file:
        for i, (name, color) in enumerate(CLASSES):
            file.write(f'[[class]]\nid = {i + 1}\nname = "{name}"\ncolor = "{color}"\n\n')


if __name__ == "__main__":
    main()
