#!/usr/bin/env python3
"""bench_train's measurement of the reference's own modules in PyTorch, eager: pictures a second and memory as JSON.

  SAM2UNET_REFERENCE=... SAM2_REFERENCE=... python bench/peers/torch_train.py [--device cuda] [--variant l] [--batch 12]
      [--size 352] [--precision bf16] [--steps 30] [--before 5] [--all-parameters] [--json FILE]

bf16 is autocast, as trainings use it; f32 computes products and convolutions in float32, tf32 both in TF32, and
`default` as PyTorch does where nobody says: convolutions alone in TF32. Like the reference's loop it copies float32
from memory that is not pinned and asks for the loss after every step.
"""

import argparse
import contextlib
import json
import statistics
import sys
import time
import types
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "golden"))
sys.modules.setdefault("deterministic", types.ModuleType("deterministic"))  # golden values; not wanted here
from reference import Reference, config  # noqa: E402


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--variant", default="l")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--size", type=int, default=352)
    parser.add_argument("--precision", choices=["bf16", "f32", "tf32", "default"], default="bf16")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--before", type=int, default=5)
    parser.add_argument("--all-parameters", action="store_true")
    parser.add_argument("--json", default="")
    return parser.parse_args()


def set_numerics(precision: str) -> None:
    if precision == "default":
        return
    is_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = is_tf32
    torch.backends.cudnn.allow_tf32 = is_tf32


def batches(args: argparse.Namespace) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    at = torch.arange(args.size)
    out = []
    for k in range(3):
        inside = (at - args.size // 2).square().view(-1, 1) + (at - args.size // (k + 2)).square().view(1, -1)
        mask = (inside < args.size**2 / 9).float().expand(args.batch, 1, -1, -1).contiguous()
        noise = torch.randint(0, 200, (args.batch, 3, args.size, args.size), generator=generator)
        out.append((((noise + 50 * mask) / 255 - 0.45) / 0.225, mask))
    return out


def measure(args: argparse.Namespace) -> dict:
    set_numerics(args.precision)
    device = torch.device(args.device)
    reference = Reference()
    torch.manual_seed(1)
    model = reference.network(config(args.variant)).to(device).train()
    if args.all_parameters:
        model.requires_grad_(True)
    loss_of = reference.structure_loss()
    optimizer = torch.optim.AdamW([{"params": model.parameters()}], lr=1e-4, weight_decay=5e-4)
    precision = contextlib.nullcontext()
    if args.precision == "bf16":
        precision = torch.autocast(device.type, torch.bfloat16)
    data = batches(args)
    is_gpu = device.type == "cuda"

    def synchronize() -> None:
        if is_gpu:
            torch.cuda.synchronize()

    seconds, losses = [], []
    synchronize()
    last = time.perf_counter()
    for i in range(args.before + args.steps):
        image, target = (t.to(device) for t in data[i % len(data)])
        optimizer.zero_grad()
        with precision:
            maps = model(image)
        total = sum(loss_of(logits.float(), target) for logits in maps)
        total.backward()
        optimizer.step()
        losses.append(total.item())
        now = time.perf_counter()
        seconds.append(now - last)
        last = now
    synchronize()
    timed = seconds[args.before :]
    median = statistics.median(timed)
    out = {
        "program": "pytorch",
        "version": torch.__version__,
        "variant": args.variant,
        "batch": args.batch,
        "size": args.size,
        "precision": args.precision,
        "device": str(device),
        "all_parameters": args.all_parameters,
        "steps": args.steps,
        "seconds_before": sum(seconds[: args.before]),
        "median_ms": 1e3 * median,
        "images_per_s": args.batch / median,
        "images_per_s_mean": args.batch * len(timed) / sum(timed),
        "first_loss": losses[0],
        "last_loss": losses[-1],
    }
    if is_gpu:
        free, whole = torch.cuda.mem_get_info()
        out["peak_allocated_bytes"] = torch.cuda.max_memory_allocated()
        out["peak_reserved_bytes"] = torch.cuda.max_memory_reserved()
        out["reserved_bytes"] = torch.cuda.memory_reserved()
        out["gpu_bytes_taken"] = whole - free
    return out


def main() -> None:
    args = arguments()
    result = measure(args)
    print(json.dumps(result))
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
