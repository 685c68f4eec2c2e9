#!/usr/bin/env bash
# Times TripoSR at full size with random weights, ours and a plain PyTorch model of the same size, on the
# processor, one after the other, and prints both with their ratios. Nothing else should run meanwhile.
#
#   tests/bench/triposr.sh                     # two threads; PyTorch in an environment under target/
#   THREADS=8 PYTHON=/path/to/python tests/bench/triposr.sh    # a Python that has PyTorch
#
# PyTorch's own index has a build for processors alone (0.2 GB to download, 1 GB of disk). Where that index cannot be
# reached, the one on PyPI comes with CUDA: 3 GB to download, 5.4 GB of disk, and only with TORCH_FROM_PYPI=1.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
threads=${THREADS:-2}
python=${PYTHON:-}

if [ -z "$python" ]; then
    environment=$root/target/torch
    python=$environment/bin/python
    if ! [ -x "$python" ] || ! "$python" -c 'import torch' 2>/dev/null; then
        python3 -m venv "$environment"
        if ! "$python" -m pip install --quiet --retries 1 --timeout 15 torch \
            --index-url https://download.pytorch.org/whl/cpu; then
            if [ -z "${TORCH_FROM_PYPI:-}" ]; then
                echo "PyTorch's index cannot be reached; TORCH_FROM_PYPI=1 takes 5.4 GB of disk" >&2
                exit 1
            fi
            "$python" -m pip install --quiet torch
        fi
    fi
fi

cd "$root"
cargo bench --no-run
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export RAYON_NUM_THREADS=$threads OMP_NUM_THREADS=$threads MKL_NUM_THREADS=$threads
echo "== ours"
ORFEAS_BENCH_TRIPOSR=1 cargo bench --quiet | tee "$work/ours"
echo "== PyTorch"
"$python" tests/bench/triposr.py --threads "$threads" | tee "$work/theirs"
echo "== ours / PyTorch"
# Both end with: total: SECONDS s, GIGABYTES GB
awk '$1 == "total:" { seconds[FILENAME] = $2; memory[FILENAME] = $4 }
    END {
        ours = ARGV[1]; theirs = ARGV[2]
        if (!(ours in seconds) || !(theirs in seconds)) { print "one of them told no total"; exit 1 }
        printf "time %.2f, peak memory %.2f\n", seconds[ours] / seconds[theirs], memory[ours] / memory[theirs]
    }' "$work/ours" "$work/theirs"
