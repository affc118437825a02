#!/usr/bin/env python3
"""The reference's training step in PyTorch, timed as bench_train times ours: forward, loss, backward, clipping, AdamW.

  torch_train.py [--variant l] [--batch 12] [--size 352] [--steps 20] [--precision bf16|f32] [--json FILE]

SAM2UNET_REFERENCE and SAM2_REFERENCE name checkouts (docs/golden.md). As train.py: the trunk is frozen but for its adapters,
the loss is the sum over the three outputs; bf16 is autocast over float32 weights.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "golden"))
import reference  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="l")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--size", type=int, default=352)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--precision", choices=["bf16", "f32"], default="bf16")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json")
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    modules = reference.Reference()
    network = modules.network(reference.config(options.variant)).train().to(device)
    loss_of = modules.structure_loss()
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-3, weight_decay=5e-4)
    image = torch.randn(options.batch, 3, options.size, options.size, device=device)
    mask = (torch.rand(options.batch, 1, options.size, options.size, device=device) > 0.5).float()

    def step():
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16"):
            outputs = network(image)
        loss = sum(loss_of(out.float(), mask) for out in outputs)
        loss.backward()
        optimizer.step()
        return loss

    times = []
    for i in range(options.steps + 3):
        begin = time.perf_counter()
        value = float(step())  # waits
        if i >= 3:
            times.append(time.perf_counter() - begin)
    seconds = statistics.median(times)
    memory = torch.cuda.max_memory_reserved(device) / 2**30 if device.type == "cuda" else 0
    row = {
        "variant": options.variant, "batch": options.batch, "precision": options.precision, "ms": 1e3 * seconds,
        "images_per_s": options.batch / seconds, "memory_gib": memory, "loss": value,
    }
    print(json.dumps(row))
    if options.json:
        Path(options.json).write_text(json.dumps(row, indent=2))


if __name__ == "__main__":
    main()
