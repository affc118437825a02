"""Dask: pictures in batches, a network kept by each worker.

    python3 dask_segment.py PICTURES RESULTS [WORKERS | SCHEDULER]

Needs `pip install "dask[distributed]" sam2unet sam2unet-model-t pillow` and a file system that all workers see.
"""
import functools
import os
import pathlib
import sys
from typing import List

from dask.distributed import Client, LocalCluster


@functools.lru_cache(maxsize=1)
def network(threads: int):
    """Of this worker: the weights are read once."""
    import sam2unet
    return sam2unet.Segmenter(threads=threads)


def segment(paths: List[str], results: str, threads: int) -> List[str]:
    """Maps of some pictures. Run again after a lost worker, it leaves out what is there."""
    from PIL import Image
    written = []
    for path in paths:
        out = pathlib.Path(results, pathlib.Path(path).stem + ".png")
        if not out.exists():
            part = out.with_name(f".{out.name}.{os.getpid()}.part")
            Image.fromarray(network(threads)(path).gray()).save(part, "PNG")
            part.rename(out)
        written.append(str(out))
    return written


def main() -> None:
    pictures, results = map(os.path.abspath, sys.argv[1:3])
    where = sys.argv[3] if len(sys.argv) > 3 else "2"
    os.makedirs(results, exist_ok=True)
    cluster = LocalCluster(n_workers=int(where), threads_per_worker=1, dashboard_address=None) if where.isdigit() else where
    with Client(cluster) as client:
        paths = sorted(str(p) for p in pathlib.Path(pictures).iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
        batches = [paths[i:i + 8] for i in range(0, len(paths), 8)]
        for names in client.gather(client.map(segment, batches, results=results, threads=1)):
            print("\n".join(names))
    if where.isdigit():
        cluster.close()


if __name__ == "__main__":
    main()
