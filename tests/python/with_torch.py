"""sam2unet beside PyTorch in one process: imported before it and after it, interleaved, in the workers of a DataLoader, and
weights from and to its tensors. Needs both installed; `with_torch.py before` or `after` says when torch is imported."""
import multiprocessing
import os
import sys
import tempfile

import numpy as np

ORDER = sys.argv[1] if len(sys.argv) > 1 else "before"
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
MODEL = os.path.join(ROOT, "models", "sam2unet_t_duts_int8.safetensors")
if ORDER == "before":
    import torch

import sam2unet
from sam2unet import metrics

RNG = np.random.default_rng(1)
PICTURES = [RNG.integers(0, 256, (40 + i, 60, 3), dtype=np.uint8) for i in range(6)]
segmenter = sam2unet.Segmenter(MODEL, threads=2)
expected = [segmenter(p, size=64).map for p in PICTURES]
mae = metrics.MAE()
mae.step((expected[0] * 255).astype(np.uint8), (PICTURES[0][:, :, 0] > 128).astype(np.uint8) * 255)
score = mae.get_results()["mae"]
if ORDER == "after":
    import torch

import torch.utils.data


class Maps(torch.utils.data.Dataset):
    def __len__(self):
        return len(PICTURES)

    def __getitem__(self, index):
        return torch.from_numpy(segmenter(PICTURES[index], size=64).map), torch.get_num_threads()


def same(a, b, what):
    np.testing.assert_array_equal(np.asarray(a), b, err_msg=what)


def main():
    torch.set_num_threads(2)
    x = torch.randn(1, 8, 64, 64, generator=torch.Generator().manual_seed(1))
    conv = torch.nn.Conv2d(8, 16, 3)
    with torch.no_grad():
        before = conv(x).clone()
        for p, want in zip(PICTURES, expected):  # each uses its threads in turns
            same(segmenter(p, size=64).map, want, "beside PyTorch")
            torch.testing.assert_close(conv(x), before, rtol=0, atol=0)
    again = metrics.MAE()
    again.step((expected[0] * 255).astype(np.uint8), (PICTURES[0][:, :, 0] > 128).astype(np.uint8) * 255)
    assert again.get_results()["mae"] == score
    same(segmenter(torch.from_numpy(PICTURES[0]), size=64).map, expected[0], "a tensor as a picture")

    for workers in (0, 2):
        loader = torch.utils.data.DataLoader(Maps(), num_workers=workers, batch_size=None, timeout=120 if workers else 0,
                                             multiprocessing_context=multiprocessing.get_context("fork") if workers else None)
        for (found, _), want in zip(loader, expected):
            same(found, want, f"in {workers} workers")

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "w.pth")
        tensors = {"a": torch.randn(3, 4), "b": torch.arange(5), "c": torch.tensor(True), "t": torch.randn(4, 3).t()}
        sam2unet.weights.save(path, tensors)
        loaded = torch.load(path, weights_only=True)
        assert list(loaded) == list(tensors)
        for name, value in tensors.items():
            assert loaded[name].dtype == value.dtype and torch.equal(loaded[name], value), name
        torch.save({k: v.to(torch.bfloat16) if v.is_floating_point() else v for k, v in tensors.items()}, path)
        for name, value in sam2unet.weights.load(path).items():
            want = tensors[name].to(torch.bfloat16).float() if tensors[name].is_floating_point() else tensors[name]
            same(value, want.numpy(), name)
    with open("/proc/self/maps", encoding="utf-8") as file:
        pools = sorted({line.split()[-1] for line in file if "libgomp" in line})
    print(f"torch {torch.__version__} imported {ORDER} sam2unet {sam2unet.__version__}, numpy {np.__version__}: the same; "
          f"OpenMP: {', '.join(pools)}")


main()
