#!/usr/bin/env python3
"""Networks of other widths, of several classes and of forks: the reference's modules built with other numbers.

  SAM2UNET_REFERENCE=... SAM2_REFERENCE=... python tools/golden/widths.py OUT [--only FILE...]

The loss of several classes is not the reference's, which has one; `class_loss` is its definition.
"""

from pathlib import Path

import torch
import torch.nn.functional as F

import deterministic
import forward
import golden_file
import train
from reference import Reference, config

IGNORED = 255

FORWARD = [
    forward.Case(config("nano", out_channels=4), (2, 64, 96), "k4"),
    forward.Case(config("nano", adapter_width=72, decoder_width=128), (1, 96, 64), "w"),
    forward.Case(config("t", out_channels=3, adapter_width=128), (1, 352, 352), "k3", forward.SPARSE),
]
# Forks: a 1x1 convolution where the reference has receptive-field blocks, and the fourth Up.
FORKS = [
    forward.Case(config("nano", neck="1x1"), (1, 96, 64), "n", (8, 2, 2)),
    forward.Case(config("nano", up4=True), (1, 64, 96), "u4", (8, 2, 2)),
    forward.Case(config("nano", neck="1x1", up4=True, decoder_width=48, out_channels=2), (1, 64, 96), "n4", (8, 2, 2)),
]
TRAIN = [train.Case(config("nano", adapter_width=72, decoder_width=128), (2, 96, 64), "v", 3)]
CLASSES = [train.Case(config("nano", out_channels=4), (2, 96, 64), "c4", 3)]


def class_loss(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Cross entropy + 1 - mean Dice of the foreground classes present, over the batch's pixels that count.

    logits [B,K,H,W], ids [B,H,W] in 0..K-1 or IGNORED. Dice of a class is (2 sum p g + 1) / (sum p + sum g + 1);
    where no foreground class is present, the loss is the cross entropy alone.
    """
    entropy = F.cross_entropy(logits, ids, ignore_index=IGNORED)
    probabilities = logits.softmax(dim=1)
    counted = ids != IGNORED
    dice = []
    for k in range(1, logits.shape[1]):
        truth = ids == k
        if not truth.any():
            continue
        p = probabilities[:, k]
        dice.append((2 * p[truth].sum() + 1) / (p[counted].sum() + truth.sum() + 1))
    return entropy + 1 - torch.stack(dice).mean() if dice else entropy


def make_classes(reference: Reference, case: train.Case, folder: Path) -> None:
    classes = case.config.width("out_channels")

    def ids_of(tag: str) -> torch.Tensor:
        return torch.from_numpy(deterministic.class_ids(tag, *case.size, classes))

    model = reference.deterministic_network(case.config)
    tensors, names = train.train(model, case, class_loss, ids_of)
    tensors["ids0"] = ids_of(f"{case.tag}:0").to(torch.uint8)
    golden_file.save(folder / case.name, tensors, {**train.metadata_of(case, names), "loss": "ce-dice"})


def main() -> None:
    makers = [(forward.make, FORWARD + FORKS), (train.make, TRAIN), (make_classes, CLASSES)]
    args = golden_file.arguments(__doc__, [case.name for _, cases in makers for case in cases])
    reference = Reference()
    for make, cases in makers:
        for case in cases:
            if case.name in args.only:
                make(reference, case, args.out)


if __name__ == "__main__":
    main()
