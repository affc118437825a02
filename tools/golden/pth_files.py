#!/usr/bin/env python3
"""Files that torch.save writes, what they hold (expected.json), and hostile ones.

  python tools/golden/pth_files.py OUT

zip_cuda.pth needs a GPU and is left out without one. The hostile files do nothing unless they are unpickled by
something that trusts them: then /tmp/sam2unet_pwned appears.
"""

import argparse
import json
import os
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch

TRACE = "touch /tmp/sam2unet_pwned"


class RunsCommand:
    def __reduce__(self):
        return os.system, (TRACE,)


class RunsPython:
    def __reduce__(self):
        return eval, (f"__import__('os').system('{TRACE}')",)


def base_tensor() -> torch.Tensor:
    return torch.arange(24, dtype=torch.float32).reshape(4, 6) / 7


def state_dict() -> "OrderedDict[str, torch.Tensor]":
    """Every dtype, a transposed view, a view inside a tensor, two halves of one storage, an empty one, a scalar."""
    base = base_tensor()
    shared = torch.arange(10, dtype=torch.float32)
    state = OrderedDict(
        {
            "a.weight": base.clone(),
            "a.t": base.t(),
            "a.view": base[1:3, 2:5],
            "half": base.half(),
            "bf16": base.bfloat16(),
            "f64": base.double(),
            "i64": torch.tensor(5),
            "i32": torch.arange(3, dtype=torch.int32),
            "u8": torch.arange(4, dtype=torch.uint8),
            "bool": torch.tensor([True, False]),
            "empty": torch.zeros(0, 3),
            "scalar": torch.tensor(1.5),
            "share1": shared[:5],
            "share2": shared[5:],
        }
    )
    state._metadata = OrderedDict({"": {"version": 1}})  # as nn.Module.state_dict() has it
    return state


def save_honest(folder: Path) -> None:
    state, base = state_dict(), base_tensor()
    checkpoint = {
        "epoch": 3,
        "state_dict": dict(state),
        "best": 0.5,
        "args": None,
        "lr": [1e-3, 1e-4],
        "name": "x",
        "t": (1, 2),
    }
    torch.save(state, folder / "zip_state_dict.pth")
    torch.save({"model": state}, folder / "zip_nested_model.pt")
    torch.save(checkpoint, folder / "zip_training_checkpoint.pth")
    torch.save(state, folder / "legacy_state_dict.pth", _use_new_zipfile_serialization=False)
    torch.save(OrderedDict((f"module.{k}", v) for k, v in state.items()), folder / "zip_dataparallel.pth")
    torch.save(OrderedDict(w=torch.nn.Parameter(base)), folder / "zip_parameter.pth")
    if torch.cuda.is_available():
        torch.save(OrderedDict(w=base.cuda()), folder / "zip_cuda.pth")
    tensors = {
        name: {
            "dtype": str(t.dtype).removeprefix("torch."),
            "shape": list(t.shape),
            "values": t.double().flatten().tolist(),
        }
        for name, t in state.items()
    }
    expected = {"torch": torch.__version__, "tensors": tensors}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1))


def save_hostile(folder: Path) -> None:
    base = base_tensor()
    torch.save({"w": base, "x": RunsCommand()}, folder / "hostile_os_system.pth")
    torch.save(OrderedDict(w=base, e=RunsPython()), folder / "hostile_eval.pth")
    whole = (folder / "zip_state_dict.pth").read_bytes()
    (folder / "hostile_truncated.pth").write_bytes(whole[: len(whole) // 2])
    (folder / "hostile_not_a_zip.pth").write_bytes(b"hello")
    # A storage of 8 bytes for a tensor of 96.
    with (
        zipfile.ZipFile(folder / "zip_state_dict.pth") as source,
        zipfile.ZipFile(folder / "hostile_short_storage.pth", "w", zipfile.ZIP_STORED) as short,
    ):
        for name in source.namelist():
            content = source.read(name)
            short.writestr(name, content[:8] if name.endswith("/data/0") else content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    save_honest(args.out)
    save_hostile(args.out)
    print(*sorted(f"{f.name}: {f.stat().st_size} bytes" for f in args.out.iterdir()), sep="\n")


if __name__ == "__main__":
    main()
