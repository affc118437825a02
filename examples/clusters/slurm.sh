#!/usr/bin/env bash
# A SLURM job array: 16 tasks, each a sixteenth of the pictures.   sbatch examples/clusters/slurm.sh PICTURES RESULTS
# A task that was killed, or ran out of time, goes on where it stopped: scancel nothing, just submit it again
# (sbatch --array=3,7 ...): the number of parts is told, so the ids of some tasks are still their parts.
#SBATCH --job-name=sam2unet
#SBATCH --array=0-15
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --time=01:00:00
#SBATCH --requeue
# The time limit is told beforehand: the pictures underway are finished, and the exit code is 1.
#SBATCH --signal=TERM@60
set -euo pipefail
parts=16
mkdir -p "$2"
exec sam2unet predict "$1" -r -o "$2/maps" --threads "${SLURM_CPUS_PER_TASK:-0}" \
  --shard "auto/$parts" --resume --manifest "$2/part-$SLURM_ARRAY_TASK_ID.jsonl" --max-failures 10
