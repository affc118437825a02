"""Golden files: names, sampling and writing, the same for every kind."""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

import deterministic
from reference import Config

OPTIMIZER = "AdamW lr 1e-3 weight_decay 5e-4 betas 0.9,0.999 eps 1e-8"
PARAMETER_SAMPLING = "flatten()[::max(1,numel//64)][:64]"


def sample_parameter(tensor: torch.Tensor) -> torch.Tensor:
    """At most 64 values spread over the tensor, float32."""
    return tensor.detach().flatten()[:: max(1, tensor.numel() // 64)][:64].float()


def file_name(kind: str, conf: Config, size: tuple[int, int, int], tag: str) -> str:
    batch, height, width = size
    return f"{kind}_{conf.variant}_{batch}x{height}x{width}_{tag}.safetensors"


def save(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    save_file({name: t.contiguous().cpu() for name, t in tensors.items()}, path, metadata=metadata)
    print(f"{path.name}: {path.stat().st_size} bytes", flush=True)


def arguments(description: str, cases: list[str]) -> argparse.Namespace:
    """The command line of the scripts that make files of the network."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--only", nargs="+", choices=cases, default=cases, help="these files alone")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    deterministic.self_check()
    return args
