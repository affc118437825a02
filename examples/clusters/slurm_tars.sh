#!/usr/bin/env bash
# A SLURM job array over a WebDataset: a task for each tar file.
#   sbatch --array=0-$(($(ls DATA/*.tar | wc -l) - 1)) examples/clusters/slurm_tars.sh DATA RESULTS
#SBATCH --job-name=sam2unet-tars
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --requeue
set -euo pipefail
export LC_ALL=C  # the order of names
tars=("$1"/*.tar)
tar=${tars[$SLURM_ARRAY_TASK_ID]}
name=$(basename "$tar" .tar)
mkdir -p "$2"
exec sam2unet predict "$tar" -o "$2/$name.tar" --threads "${SLURM_CPUS_PER_TASK:-0}" \
  --resume --manifest "$2/$name.jsonl" --max-failures 10
