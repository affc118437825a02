#!/usr/bin/env python3
"""Real pictures through the reference's test.py: the resized input, the logits and the map it writes.

  SAM2UNET_REFERENCE=... SAM2_REFERENCE=... \\
    python tools/golden/predict.py OUT --weights FILE.pth --variant t --images DIR [--masks DIR] [--whole PATTERN...]

Writes OUT/resized, OUT/pred, OUT/mask_resized and OUT/logits.safetensors, in float32 as test.py computes. Logits are
whole for the pictures whose names match a --whole pattern, else every 8th row and column.
"""

import argparse
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import PIL
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from torch import nn

import golden_file
from reference import TRUNKS, Reference, config

SIZE = 352
LOGITS_STRIDE = 8


def load_network(reference: Reference, variant: str, weights: Path) -> nn.Module:
    state = torch.load(weights, map_location="cpu", weights_only=True)
    model = reference.network(config(variant))
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()}, strict=True)
    return model.eval()


def written_map(logits: torch.Tensor, height: int, width: int) -> np.ndarray:
    """test.py:38-42: logits [1,1,352,352] to the grey levels [H,W] that are written."""
    resized = F.interpolate(logits, size=(height, width), mode="bilinear", align_corners=False)
    p = np.atleast_2d(resized.sigmoid().numpy().squeeze())
    p = (p - p.min()) / (p.max() - p.min() + 1e-8)
    return (p * 255).astype(np.uint8)


def predict_folder(reference: Reference, args: argparse.Namespace) -> None:
    model = load_network(reference, args.variant, args.weights)
    transform = reference.test_transform(SIZE)
    logits: dict[str, torch.Tensor] = {}
    for file in sorted(args.images.iterdir()):
        picture = Image.open(file).convert("RGB")  # dataset.py:98: no EXIF, no alpha
        picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR).save(args.out / "resized" / f"{file.stem}.png")
        with torch.no_grad():
            out = model(transform(picture).unsqueeze(0))[0]
        written = Image.fromarray(written_map(out, picture.height, picture.width))
        written.save(args.out / "pred" / f"{file.stem}.png")
        step = 1 if any(fnmatch(file.name, pattern) for pattern in args.whole) else LOGITS_STRIDE
        logits[f"logits:{file.name}"] = out[0, 0, ::step, ::step]
        print(file.name, flush=True)
    versions = {"pillow": PIL.__version__, "torch": torch.__version__, "torchvision": torchvision.__version__}
    golden_file.save(args.out / "logits.safetensors", logits, versions)


def resize_masks(masks: Path, out: Path) -> None:
    """dataset.py:27: labels are resized bicubically, as 8-bit grey."""
    for file in sorted(masks.iterdir()):
        mask = Image.open(file).convert("L").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        mask.save(out / f"{file.stem}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--variant", choices=sorted(TRUNKS), default="t")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--whole", nargs="*", default=[], help="patterns of names, as size_*")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for folder in ("resized", "pred", "mask_resized"):
        (args.out / folder).mkdir(parents=True, exist_ok=True)
    predict_folder(Reference(), args)
    if args.masks:
        resize_masks(args.masks, args.out / "mask_resized")


if __name__ == "__main__":
    main()
