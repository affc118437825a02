#!/usr/bin/env python3
"""train_VARIANT_BxHxW_TAG.safetensors: losses, gradients and updated parameters of the reference's loop, in float64.

  SAM2UNET_REFERENCE=... SAM2_REFERENCE=... python tools/golden/train.py OUT [--only FILE...]

Step s trains on image:TAG:s and mask:TAG:s; `eval_out_after` is the evaluation of image:TAG:eval after the last one.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import deterministic
import golden_file
from reference import Config, Reference, config

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # logits, target -> scalar


@dataclass(frozen=True)
class Case:
    config: Config
    size: tuple[int, int, int]  # batch, height, width
    tag: str
    steps: int

    @property
    def name(self) -> str:
        return golden_file.file_name("train", self.config, self.size, self.tag)


CASES = [
    Case(config("nano"), (3, 96, 96), "t", 5),
    Case(config("nano"), (2, 352, 352), "u", 3),
    Case(config("t"), (2, 352, 352), "a", 3),
    Case(
        Config(
            "c2",
            {
                "embed_dim": 16,
                "num_heads": 1,
                "stages": [1, 1, 2, 1],
                "global_att_blocks": [],
                "window_spec": [4, 4, 14, 7],
            },
        ),
        (4, 32, 64),
        "my_tag",
        5,
    ),
]


def train(
    model: nn.Module, case: Case, loss_of: Loss, target_of: Callable[[str], torch.Tensor]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """train.py:54-66 of the reference, `case.steps` times. Returns the tensors, and the names of what is trained."""
    batch, height, width = case.size
    tensors: dict[str, torch.Tensor] = {}
    losses: list[list[float]] = []
    parameters = dict(model.named_parameters())
    names: list[str] = []
    model.train()
    # train.py:48: AdamW over all parameters; frozen ones and the never called up4 get no gradient and stay.
    optimizer = torch.optim.AdamW([{"params": model.parameters()}], lr=1e-3, weight_decay=5e-4)
    for step in range(case.steps):
        tag = f"{case.tag}:{step}"
        image, target = torch.from_numpy(deterministic.image(tag, batch, height, width)), target_of(tag)
        optimizer.zero_grad()
        parts = [loss_of(logits, target) for logits in model(image)]
        total = sum(parts)
        total.backward()
        losses.append([total.item(), *(part.item() for part in parts)])
        if step == 0:
            names = [name for name, p in parameters.items() if p.grad is not None]
            norms = [parameters[name].grad.norm().item() for name in names]
            tensors["grad_norm"] = torch.tensor(norms, dtype=torch.float64)
            for name in names:
                tensors[f"grad:{name}"] = golden_file.sample_parameter(parameters[name].grad)
        optimizer.step()
    tensors["losses"] = torch.tensor(losses, dtype=torch.float64)
    for name in names:
        tensors[f"param:{name}"] = golden_file.sample_parameter(parameters[name])
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            tensors[f"buffer:{name}"] = buffer.flatten()[:64].float()
    model.eval()
    with torch.no_grad():
        image = torch.from_numpy(deterministic.image(f"{case.tag}:eval", 1, height, width))
        tensors["eval_out_after"] = model(image)[0].float()
    return tensors, names


def metadata_of(case: Case, names: list[str]) -> dict[str, str]:
    return {
        "variant": case.config.variant,
        "config": case.config.to_json(),
        "grad_names": json.dumps(names),
        "steps": str(case.steps),
        "sampling": golden_file.PARAMETER_SAMPLING,
        "optimizer": golden_file.OPTIMIZER,
    }


def make(reference: Reference, case: Case, folder: Path) -> None:
    model = reference.deterministic_network(case.config)

    def target_of(tag: str) -> torch.Tensor:
        return torch.from_numpy(deterministic.mask(tag, *case.size))

    tensors, names = train(model, case, reference.structure_loss(), target_of)
    golden_file.save(folder / case.name, tensors, metadata_of(case, names))


def main() -> None:
    args = golden_file.arguments(__doc__, [case.name for case in CASES])
    reference = Reference()
    for case in CASES:
        if case.name in args.only:
            make(reference, case, args.out)


if __name__ == "__main__":
    main()
