"""Ray Data: the network as a stage of a pipeline, its model loaded once per worker.

    python3 ray_data.py PICTURES RESULTS [WORKERS]

Needs `pip install "ray[data]" sam2unet sam2unet-model-t pillow`.
"""
import os
import pathlib
import sys
from typing import Any, Dict, List

import ray


class Segment:
    """An actor: the weights are read when it starts, and stay."""

    def __init__(self, threads: int) -> None:
        import sam2unet
        self.network = sam2unet.Segmenter(threads=threads)

    def __call__(self, batch: Dict[str, Any]) -> Dict[str, List[Any]]:
        import io

        from PIL import Image
        out: Dict[str, List[Any]] = {"name": [], "png": []}
        for path, picture in zip(batch["path"], batch["bytes"]):
            png = io.BytesIO()
            Image.fromarray(self.network(bytes(picture)).gray()).save(png, "PNG")
            out["name"].append(pathlib.Path(path).stem)
            out["png"].append(png.getvalue())
        return out


def main() -> None:
    pictures, results = map(os.path.abspath, sys.argv[1:3])
    workers = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    os.makedirs(results, exist_ok=True)
    ray.init()
    # Reading asks for no core: where the workers have them all, it would wait for one for ever.
    data = ray.data.read_binary_files(pictures, include_paths=True, ray_remote_args={"num_cpus": 0})
    data = data.map_batches(Segment, fn_constructor_kwargs={"threads": 1}, batch_size=4, concurrency=workers, num_cpus=1)
    for row in data.iter_rows():  # or data.write_parquet(results), where rows are wanted
        path = pathlib.Path(results, row["name"] + ".png")
        part = path.with_suffix(".part")
        part.write_bytes(row["png"])
        part.rename(path)


if __name__ == "__main__":
    main()
