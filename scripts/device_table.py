#!/usr/bin/env python3
"""What scripts/device.sh found, as one table and device.json:  device_table.py OUT GPU SECONDS CORES. Standard library only."""

import json
import pathlib
import re
import sys


def load(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def forward_rows(out):
    """(what, variant, batch, milliseconds, pictures a second)"""
    rows = []
    for path in sorted(out.glob("bench-c*.json")):
        b = load(path)
        if b and "latency_ms" in b:
            way = re.sub(r"^bench-|-[tl](-\d+)?$", "", path.stem)
            rows.append((f"ours, {way} {b.get('precision', '')}", b["variant"], b["batch"], b["latency_ms"]["median"], b["images_per_s"]))
    for name in ("peer-forward", "peer-compiled"):
        for r in (load(out / f"{name}.json") or {}).get("rows", []):
            rows.append((f"PyTorch, {r['way']} bf16", r["variant"], r["batch"], r["ms"], r["images_per_s"]))
    return sorted(rows, key=lambda r: (r[1], r[2], r[0]))


def predict_rows(parts, out):
    rows = []
    for part in parts:
        if m := re.fullmatch(r"predict-(\S+)-([tl])", part["part"]):
            if part["status"] == "ok" and part["seconds"] > 0:
                rows.append((f"ours, {m.group(1)}, files to files", m.group(2), 200 / part["seconds"]))
    return rows


def train_rows(out):
    rows = []
    for path in sorted(out.glob("bench-train-*.json")) + [out / "peer-train.json"]:
        if b := load(path):
            who = "PyTorch" if path.stem == "peer-train" else "ours"
            rate = next((b[k] for k in ("images_per_s", "pictures_per_s") if k in b), None)
            memory = next((v for k, v in b.items() if "gib" in k.lower()), None)
            rows.append((f"{who}, {b.get('precision', '')}", b.get("variant", ""), b.get("batch", ""), rate, memory))
    return rows


def main():
    out, gpu, seconds, cores = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    parts = []
    for line in (out / "parts.tsv").read_text().splitlines():
        name, status, took, note = line.split("\t", 3)
        parts.append({"part": name, "status": status, "seconds": float(took), "note": note})
    forward, predict, train = forward_rows(out), predict_rows(parts, out), train_rows(out)
    (out / "device.json").write_text(json.dumps({
        "device": gpu, "cores": cores, "seconds": seconds, "parts": parts,
        "forward": [dict(zip(("what", "variant", "batch", "ms", "images_per_s"), r)) for r in forward],
        "predict": [dict(zip(("what", "variant", "images_per_s"), r)) for r in predict],
        "train": [dict(zip(("what", "variant", "batch", "images_per_s", "memory_gib"), r)) for r in train],
    }, indent=2) + "\n")
    print(f"{gpu}; {cores} cores; {seconds} s in all\n")
    for p in parts:
        print(f"{p['part']:28} {p['status']:8} {p['seconds']:6.1f} s  {p['note'][:90]}")
    if forward:
        print(f"\n{'forward':34} variant batch        ms  pictures/s")
    for what, variant, batch, ms, rate in forward:
        print(f"{what:34} {variant:7} {batch:5} {ms:9.3f} {rate:11.1f}")
    for what, variant, rate in predict:
        print(f"{what:34} {variant:7} {'':5} {'':9} {rate:11.1f}")
    if train:
        print(f"\n{'training':34} variant batch  pictures/s  memory GiB")
    for what, variant, batch, rate, memory in train:
        print(f"{what:34} {variant:7} {batch!s:5} {rate or 0:11.1f} {memory or 0:11.2f}")
    counts = {s: sum(p["status"] == s for p in parts) for s in ("ok", "FAILED", "TIMEOUT", "SKIPPED")}
    print("\n" + ", ".join(f"{n} {s}" for s, n in counts.items()) + f"; {out / 'device.json'}")
    return 1 if counts["FAILED"] + counts["TIMEOUT"] else 0


if __name__ == "__main__":
    sys.exit(main())
