#!/usr/bin/env python3
"""forward_VARIANT_BxHxW_TAG.safetensors: the reference's outputs and every named intermediate result, in float64.

  SAM2UNET_REFERENCE=... SAM2_REFERENCE=... python tools/golden/forward.py OUT [--only FILE...]
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import deterministic
import golden_file
from reference import Config, Reference, config

# How much of a stage, rfb or up a file holds: every so many channels, rows, columns.
Stride = tuple[int, int, int]
WHOLE: Stride = (1, 1, 1)
SPARSE: Stride = (16, 4, 4)
THIN: Stride = (1, 4, 4)

OUTPUTS = ("out", "out1", "out2")


@dataclass(frozen=True)
class Case:
    config: Config
    size: tuple[int, int, int]  # batch, height, width
    tag: str
    features: Stride = WHOLE
    thin_copy: bool = False  # a second file, TAG-thin, holds every 4th row and column of the outputs too

    @property
    def name(self) -> str:
        return golden_file.file_name("forward", self.config, self.size, self.tag)

    @property
    def thin_name(self) -> str:
        return golden_file.file_name("forward", self.config, self.size, self.tag + "-thin")


def custom(**trunk: object) -> Config:
    return Config("custom", trunk)


CASES = [
    Case(config("nano"), (2, 96, 96), "a"),
    Case(config("nano"), (1, 352, 352), "b"),
    Case(config("nano"), (1, 64, 160), "c"),
    # The repository carries the thin copies: the official networks at the official size in a tenth of the bytes.
    *(Case(config(v), (1, 352, 352), "a", SPARSE, thin_copy=True) for v in ("t", "s", "b+", "l")),
    Case(config("t"), (1, 32, 96), "b", SPARSE),
    # Networks that nobody published: other heads, windows larger than the picture, no global block, odd widths.
    Case(
        custom(
            embed_dim=32,
            num_heads=4,
            stages=[2, 2, 2, 2],
            global_att_blocks=[],
            window_spec=[4, 2, 2, 1],
            window_pos_embed_bkg_spatial_size=[14, 14],
        ),
        (1, 32, 32),
        "k2",
    ),
    Case(
        custom(
            embed_dim=20,
            num_heads=1,
            stages=[3, 1, 2, 1],
            global_att_blocks=[1, 2, 5],
            window_spec=[16, 12, 10, 5],
            window_pos_embed_bkg_spatial_size=[5, 9],
        ),
        (1, 64, 64),
        "k3",
    ),
    Case(custom(embed_dim=33, num_heads=3, stages=[1, 1, 1, 1]), (3, 64, 32), "k4", SPARSE),
    Case(
        custom(
            embed_dim=16,
            num_heads=2,
            stages=[1, 2, 2, 2],
            global_att_blocks=[4],
            window_spec=[8, 64, 64, 64],
            window_pos_embed_bkg_spatial_size=[1, 1],
        ),
        (1, 32, 64),
        "k7",
    ),
]


def stride_text(stride: Stride) -> str:
    return "1" if stride == WHOLE else "channel {}, row {}, column {}".format(*stride)


def take(tensor: torch.Tensor, stride: Stride) -> torch.Tensor:  # [B,C,H,W]
    c, y, x = stride
    return tensor[:, ::c, ::y, ::x]


def record(model: nn.Module, image: torch.Tensor, features: Stride) -> dict[str, torch.Tensor]:
    """Runs the network once and keeps what the file holds."""
    results: dict[str, torch.Tensor] = {}
    statistics: list[list[float]] = []

    def after_block(_module: nn.Module, _inputs: object, out: torch.Tensor) -> None:  # [B,H,W,C]
        flat = out.flatten()
        statistics.append([out.mean().item(), out.std().item(), flat[0].item(), flat[-1].item()])

    def after_encoder(_module: nn.Module, _inputs: object, stages: list[torch.Tensor]) -> None:
        for i, stage in enumerate(stages, start=1):
            results[f"stage{i}"] = take(stage, features).float()

    def keeper(name: str) -> Callable[[nn.Module, object, torch.Tensor], None]:
        def after(_module: nn.Module, _inputs: object, out: torch.Tensor) -> None:
            results[name] = take(out, features).float()

        return after

    for block in model.encoder.blocks:
        block.register_forward_hook(after_block)
    model.encoder.register_forward_hook(after_encoder)
    for name in ("rfb1", "rfb2", "rfb3", "rfb4", "up1", "up2", "up3", "up4"):  # up4 is called by forks alone
        getattr(model, name).register_forward_hook(keeper(name))
    with torch.no_grad():
        for name, out in zip(OUTPUTS, model(image), strict=True):
            results[name] = out.float()
    results["block_stats"] = torch.tensor(statistics, dtype=torch.float64)
    return results


def make(reference: Reference, case: Case, folder: Path) -> None:
    model = reference.deterministic_network(case.config).eval()
    image = torch.from_numpy(deterministic.image(case.tag, *case.size))
    metadata = {
        "variant": case.config.variant,
        "config": case.config.to_json(),
        "input": f"image:{case.tag}",
        "feature_stride": stride_text(case.features),
    }
    results = record(model, image, case.features)
    golden_file.save(folder / case.name, results, metadata)
    if case.thin_copy:
        thin = {name: take(t, THIN) if name in OUTPUTS else t for name, t in results.items()}
        golden_file.save(folder / case.thin_name, thin, {**metadata, "output_stride": stride_text(THIN)})


def main() -> None:
    args = golden_file.arguments(__doc__, [case.name for case in CASES])
    reference = Reference()
    for case in CASES:
        if case.name in args.only:
            make(reference, case, args.out)


if __name__ == "__main__":
    main()
