#!/usr/bin/env python3
"""Compiles the CUDA kernels for every architecture and holds each to what src/ops/cuda/registers.txt says of it.

  scripts/cuda_compile_test.py [BUILD_FOLDER] [--jobs N] [--only FILE.cu] [--architectures 75,80,90]

No GPU is needed, but nvcc is: on PATH, in CUDA_HOME or in /usr/local/cuda; without it the exit code is 77 (skipped).
Fails where a kernel spills registers, uses more than its budget, is not in the table, or where ptxas says that it
serialises wgmma or ignores setmaxnreg. What was compiled before of the same sources is not compiled again.
"""
import argparse
import concurrent.futures
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
KERNELS = ROOT / "src/ops/cuda"
PORTABLE = ["75", "80", "86", "89", "90"]
HOPPER = ["90a"]  # warpgroup instructions and the copy engine
WRONG = re.compile(r"serializ|setmaxnreg.*ignored|ignored.*setmaxnreg", re.IGNORECASE)
ELEMENTS = ["f32", "bf16", "f16"]


def find_nvcc():
    homes = [os.environ.get("CUDA_HOME", ""), "/usr/local/cuda"]
    return shutil.which("nvcc") or next((f"{h}/bin/nvcc" for h in homes if os.access(f"{h}/bin/nvcc", os.X_OK)), None)


def jobs_of(only, portable):
    """(file, architectures), the slow ones first. Files that say they are for sm_90a alone are."""
    found = []
    for path in sorted(KERNELS.glob("*.cu")):
        if only and path.name != only:
            continue
        text = path.read_text()
        if "__global__" not in text:
            continue
        is_hopper = "sm_90a alone" in text
        found += [(path, arch) for arch in (HOPPER if is_hopper else portable)]
    slow = ["warpgroup_product.cu", "box_product.cu", "product.cu", "attention.cu"]
    return sorted(found, key=lambda j: slow.index(j[0].name) if j[0].name in slow else len(slow))


def sources_hash(nvcc):
    h = hashlib.sha256(subprocess.run([nvcc, "--version"], capture_output=True, check=True).stdout)
    for path in sorted([*KERNELS.glob("*.h"), *KERNELS.glob("*.cu")]):
        h.update(path.name.encode() + path.read_bytes())
    return h.hexdigest()[:16]


def compile_one(nvcc, folder, path, arch):
    """What ptxas says, from the last run where there is one."""
    log = folder / f"{path.stem}.{arch}.log"
    if log.exists():
        return log.read_text(), 0.0
    begin = time.monotonic()
    # PTX of the newest portable architecture is what cards of the future compile.
    command = [nvcc, "-std=c++20", "-O3", f"-arch=sm_{arch}", "-Xptxas", "-v", "-cubin", f"-I{ROOT / 'src'}",
               f"-I{ROOT / 'include'}", "-o", str(folder / f"{path.stem}.{arch}.cubin"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    text = done.stdout + done.stderr
    if done.returncode != 0:
        raise RuntimeError(f"{path.name} for sm_{arch}:\n{text}")
    os.remove(folder / f"{path.stem}.{arch}.cubin")
    log.write_text(text)
    return text, time.monotonic() - begin


def readable(mangled):
    """void sam2unet::ops::cuda::(anonymous namespace)::k<...>(Task) -> k<...>"""
    name = subprocess.run(["c++filt", mangled], capture_output=True, text=True, check=True).stdout.strip()
    name = name.replace("sam2unet::ops::cuda::", "").replace("(anonymous namespace)::", "")
    name = re.sub(r"\((\w+::)*Epilogue\)", "epilogue ", name)
    name = re.sub(r"\((\w+::)*Element\)(\d)", lambda m: ELEMENTS[int(m.group(2))], name)
    name = re.sub(r"^void ", "", name).replace("> >", ">>")
    return re.sub(r">\([^()]*\)$", ">", name)


def kernels_of(text):
    """(name, registers, bytes of spills) for each kernel."""
    name, spills = None, 0
    for line in text.splitlines():
        if m := re.search(r"Function properties for (\S+)", line):
            name = m.group(1)
        elif m := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            spills = int(m.group(1)) + int(m.group(2))
        elif (m := re.search(r"Used (\d+) registers", line)) and name:
            yield readable(name), int(m.group(1)), spills
            name, spills = None, 0


def read_budgets():
    """(pattern, registers, allowed bytes of spills) by line."""
    rows = []
    for number, line in enumerate((KERNELS / "registers.txt").read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) not in (2, 4):
            sys.exit(f"registers.txt, line {number}: PATTERN, REGISTERS and perhaps SPILLS, REASON, by tabs")
        rows.append((re.compile(fields[0]), int(fields[1]), int(fields[2]) if len(fields) == 4 else 0))
    return rows


def judge(name, arch, registers, spills, budgets):
    for pattern, most, allowed in budgets:
        if pattern.search(f"{name} sm_{arch}"):
            if spills > allowed:
                return f"spills {spills} bytes"
            return f"more than {most} registers" if registers > most else None
    return "is not in registers.txt"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=str(ROOT / "build/cuda_compile"))
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--only", help="one .cu file")
    parser.add_argument("--architectures", default=",".join(PORTABLE), help="of the files that are not for sm_90a alone")
    options = parser.parse_args()
    nvcc = find_nvcc()
    if nvcc is None:
        print("skipped: there is no nvcc on this machine")
        return 77
    folder = pathlib.Path(options.folder) / sources_hash(nvcc)
    folder.mkdir(parents=True, exist_ok=True)
    budgets, rows, wrong = read_budgets(), {}, []
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = [(path, arch, pool.submit(compile_one, nvcc, folder, path, arch)) for path, arch in jobs_of(options.only, options.architectures.split(","))]
        for path, arch, job in jobs:
            try:
                text, seconds = job.result()
            except RuntimeError as e:
                wrong.append(str(e))
                continue
            print(f"{path.name:22} sm_{arch:4} {seconds:5.1f} s", flush=True)
            for line in sorted(set(re.sub(r"line \d+", "a line", x) for x in text.splitlines() if WRONG.search(x))):
                wrong.append(f"{path.name} sm_{arch}: {line}")
            for name, registers, spills in kernels_of(text):
                rows.setdefault((path.name, name), {})[arch] = f"{registers}{'!' if spills else ''}"
                if problem := judge(name, arch, registers, spills, budgets):
                    wrong.append(f"{name} on sm_{arch}: {problem} ({registers} registers, {spills} bytes of spills)")
    print(f"\nregisters of a thread (!: with spills)\n{'':72}" + "".join(f"{a:>6}" for a in PORTABLE + HOPPER))
    for (_, name), by_arch in sorted(rows.items()):
        print(f"{name[:72]:72}" + "".join(f"{by_arch.get(a, ''):>6}" for a in PORTABLE + HOPPER))
    print(f"\n{len(rows)} kernels, {sum(len(r) for r in rows.values())} compiled, {time.monotonic() - begin:.0f} s")
    for line in wrong:
        print(f"FAILED: {line}")
    return 1 if wrong or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
