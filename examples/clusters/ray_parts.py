"""Ray: the program on every part of the list, a task for each.

    python3 ray_parts.py PICTURES RESULTS [PARTS [SAM2UNET]]

Needs the program on every node (`pip install ray sam2unet sam2unet-model-t` brings it) and a file system that all see.
"""
import os
import subprocess
import sys

import ray


@ray.remote(num_cpus=1, max_retries=3)
def segment(pictures: str, results: str, part: int, parts: int, program: str) -> str:
    """One part. A task that is lost with its node is run again, and goes on where it stopped."""
    # Ray sets OMP_NUM_THREADS to num_cpus, which the program keeps to.
    done = subprocess.run(
        [program, "predict", pictures, "-o", f"{results}/maps", "--shard", f"{part}/{parts}", "--resume", "--manifest",
         f"{results}/part-{part}.jsonl", "--max-failures", "10"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"part {part}: {done.stderr.strip()}")
    return done.stdout


def main() -> None:
    pictures, results = map(os.path.abspath, sys.argv[1:3])
    parts = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    program = sys.argv[4] if len(sys.argv) > 4 else "sam2unet"
    os.makedirs(results, exist_ok=True)
    ray.init()  # a cluster that runs, or this machine
    for names in ray.get([segment.remote(pictures, results, i, parts, program) for i in range(parts)]):
        print(names, end="")


if __name__ == "__main__":
    main()
