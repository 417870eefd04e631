#!/bin/bash
# A search on several machines of a SLURM cluster: sbatch examples/slurm.sh
# DATA and RUNS have to be folders that every machine sees.
#SBATCH --job-name=tuner
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=12:00:00
# SLURM asks for a proper end before it kills: the search stops within an epoch and can be resumed.
#SBATCH --signal=B:TERM@300
set -euo pipefail

DATA=${DATA:-$HOME/potato}
GROUPS_CSV=${GROUPS_CSV:-$HOME/potato-groups.csv}
RUNS=${RUNS:-$HOME/runs}
NAME=${NAME:-potato-$SLURM_JOB_ID}
PORT=${PORT:-6379}

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
head_ip=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}')

# Each machine keeps its own image cache: its local disk is faster than the shared one.
export TUNER_CACHE_DIR=${TUNER_CACHE_DIR:-${SLURM_TMPDIR:-/tmp}/tuner-cache}
export OMP_NUM_THREADS=1

srun --nodes=1 --ntasks=1 --nodelist="$head" \
    ray start --head --node-ip-address="$head_ip" --port="$PORT" \
    --num-cpus="$SLURM_CPUS_PER_TASK" --block &
sleep 20
for node in "${nodes[@]:1}"; do
    srun --nodes=1 --ntasks=1 --nodelist="$node" \
        ray start --address="$head_ip:$PORT" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
done
sleep 20

if [ -e "$RUNS/$NAME/run.yaml" ]; then
    tuner resume "$RUNS/$NAME" &
else
    tuner run --space googlenet_full --data "$DATA" --groups "$GROUPS_CSV" \
        --address "$head_ip:$PORT" --storage "$RUNS" --name "$NAME" &
fi
search=$!
trap 'kill -TERM "$search"' TERM
status=0
wait "$search" || status=$?
# A signal ends the first wait before the search has ended.
while kill -0 "$search" 2>/dev/null; do wait "$search" || status=$?; done
exit "$status"
