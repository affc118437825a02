#!/usr/bin/env python3
"""Says, for each golden file of a folder, how far the one made again is off.

  python tools/golden/compare.py WANTED MADE [--float32 1e-6] [--exact 1e-9] [--skip FILE...]

Tensors of float32 are compared relative to the largest value of the wanted tensor, all other numbers relative to the
larger of 1 and the wanted one. Exit code 1 where a file is missing, holds other names or shapes, or is off by more.
"""

import argparse
import json
import math
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import safe_open

INPUTS = ("image", "mask", "gt")  # folders that predictions and metrics start from
COMPARED = (".safetensors", ".json", ".png", ".pth", ".pt")


@dataclass(frozen=True)
class Outcome:
    ok: bool
    text: str


@dataclass(frozen=True)
class Bounds:
    float32: float
    exact: float


def tensor_file(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}


def parsed_metadata(metadata: dict[str, str]) -> dict[str, object]:
    """JSON as values, so that spelling does not count; versions of libraries are left out."""
    out: dict[str, object] = {}
    for key, value in metadata.items():
        if key not in ("torch", "torchvision", "pillow"):
            out[key] = json.loads(value) if key in ("config", "grad_names") else value
    return out


def compare_tensors(wanted: Path, made: Path, bounds: Bounds) -> Outcome:
    want, want_metadata = tensor_file(wanted)
    got, got_metadata = tensor_file(made)
    if parsed_metadata(want_metadata) != parsed_metadata(got_metadata):
        return Outcome(False, "other metadata")
    for name, t in want.items():  # a file that a repository carries may hold fewer tensors
        if name not in got or (got[name].shape, got[name].dtype) != (t.shape, t.dtype):
            return Outcome(False, f"{name} is missing or of another shape or type")
    # A bias before a BatchNorm has a gradient of 0, of which a computer makes noise: not compared with itself.
    noise = 1e-9 * float(want["grad_norm"].max()) if "grad_norm" in want else 0.0
    worst = {"float32": (0.0, ""), "exact": (0.0, "")}
    identical = 0
    for name, w in want.items():
        identical += int(np.array_equal(w, got[name]))
        wide = w.astype(np.float64)
        difference = np.abs(wide - got[name].astype(np.float64))
        if w.dtype == np.float32:
            kind, scale = "float32", max(np.abs(wide).max(), noise if name.startswith("grad:") else 0.0, 1e-30)
        else:
            kind, scale = "exact", np.maximum(1.0, np.abs(wide))
        error = float((difference / scale).max())
        error = math.inf if math.isnan(error) else error
        if error > worst[kind][0]:
            worst[kind] = (error, name)
    # Logits of real pictures were computed in float32, whose sums differ from machine to machine.
    allowed = 1e-4 if wanted.name == "logits.safetensors" else bounds.float32
    ok = worst["float32"][0] <= allowed and worst["exact"][0] <= bounds.exact
    text = f"{identical} of {len(want)} tensors to the bit"
    if worst["float32"][1]:
        text += ", worst {:.1e} of a tensor ({})".format(*worst["float32"])
    if worst["exact"][1]:
        text += ", worst {:.1e} in float64 ({})".format(*worst["exact"])
    return Outcome(ok, text)


def leaves(value: object, at: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in ("seconds", "torch", "note"):  # how long it took and with what
                yield from leaves(inner, f"{at}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{at}[{index}]")
    else:
        yield at, value


def written_out(value: object) -> object:
    """What is no number: the reference raised (the message's spelling does not count), or gave NaN."""
    if isinstance(value, str) and value.startswith("EXC"):
        return "EXC"
    return "nan" if value is None or value == "nan" or value != value else value


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def compare_json(wanted: Path, made: Path, bounds: Bounds) -> Outcome:
    want = dict(leaves(json.loads(wanted.read_text())))
    got = dict(leaves(json.loads(made.read_text())))
    if want.keys() != got.keys():
        odd = sorted(want.keys() ^ got.keys())
        return Outcome(False, f"{len(odd)} keys in one alone, the first {odd[0]}")
    worst, where, numbers = 0.0, "", 0
    for key, w in want.items():
        w, g = written_out(w), written_out(got[key])
        if not (is_number(w) and is_number(g)):
            if w != g:
                return Outcome(False, f"{key} is {g!r}, wanted {w!r}")
            continue
        numbers += 1
        error = abs(w - g) / max(1.0, abs(w))
        error = math.inf if math.isnan(error) else error
        if error > worst:
            worst, where = error, key
    text = f"{numbers} numbers, worst {worst:.1e}" + (f" ({where})" if where else "")
    return Outcome(worst <= bounds.exact, text)


def compare_pictures(wanted: Path, made: Path, _bounds: Bounds) -> Outcome:
    want, got = (np.asarray(Image.open(p)).astype(int) for p in (wanted, made))
    if want.shape != got.shape:
        return Outcome(False, f"is {got.shape}, wanted {want.shape}")
    difference = np.abs(want - got)
    # The network's float32 sums differ from machine to machine; what Pillow alone made must be the same.
    allowed = 1 if wanted.parent.name == "pred" else 0
    share = 100 * float((difference != 0).mean())
    return Outcome(difference.max() <= allowed, f"worst {difference.max()} grey levels, {share:.3f} % of pixels differ")


def records(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:  # without the archive's own name and PyTorch's notes on itself
        names = {name: name.split("/", 1)[1] for name in archive.namelist()}
        notes = (".format_version", ".storage_alignment", ".data/serialization_id", "version", "byteorder")
        return {short: archive.read(name) for name, short in names.items() if short not in notes}


def compare_checkpoints(wanted: Path, made: Path, _bounds: Bounds) -> Outcome:
    if wanted.read_bytes() == made.read_bytes():
        return Outcome(True, "the same bytes")
    if zipfile.is_zipfile(wanted) and zipfile.is_zipfile(made) and records(wanted) == records(made):
        return Outcome(True, "the same records")
    if wanted.name.startswith("legacy"):  # its storages are named by their addresses
        import torch  # slow to import

        want, got = (torch.load(p, weights_only=True) for p in (wanted, made))
        if list(want) == list(got) and all(torch.equal(want[n], got[n]) for n in want):
            return Outcome(True, "the same tensors")
    return Outcome(False, "other bytes")


COMPARERS = {".safetensors": compare_tensors, ".json": compare_json, ".png": compare_pictures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wanted", type=Path)
    parser.add_argument("made", type=Path)
    parser.add_argument("--float32", type=float, default=1e-6)
    parser.add_argument("--exact", type=float, default=1e-9)
    parser.add_argument("--skip", nargs="*", default=[], help="files that were not to be made, relative to WANTED")
    args = parser.parse_args()
    bounds = Bounds(args.float32, args.exact)
    files = sorted(f for f in args.wanted.rglob("*") if f.suffix in COMPARED)
    bad = 0
    for file in files:
        name = file.relative_to(args.wanted)
        if str(name) in args.skip or file.parent.name in INPUTS:
            continue
        made = args.made / name
        if made.is_file():
            outcome = COMPARERS.get(file.suffix, compare_checkpoints)(file, made, bounds)
        else:
            outcome = Outcome(False, "was not made")
        bad += not outcome.ok
        print(f"{'ok  ' if outcome.ok else 'BAD '} {name}: {outcome.text}", flush=True)
    print(f"{bad} bad")
    sys.exit(1 if bad or not files else 0)


if __name__ == "__main__":
    main()
