#!/usr/bin/env bash
# Tests and times the first CUDA device of a machine that needs no Rust and no CUDA toolkit: NVIDIA's driver,
# and Python with PyTorch for the comparison, which is left out where they are not.
#
#   cargo test --release --test gpu --no-run; cargo bench --bench bench --no-run    # anywhere; they print the paths
#   tests/gpu.sh GPU_TESTS BENCH                                                    # there, beside this repository
#
# It writes one table to tests/bench/RESULTS.md, or to $OUT/RESULTS.md where OUT is set.
set -euo pipefail
if [ $# -ne 2 ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 2
fi
tests=$(realpath "$1") bench=$(realpath "$2")
root=$(cd "$(dirname "$0")/.." && pwd)
results=${OUT:-$root/tests/bench}/RESULTS.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command -v nvidia-smi >/dev/null || { echo "there is no NVIDIA driver here (no nvidia-smi)" >&2; exit 1; }
gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader -i 0)
echo "$gpu"

export ORFEAS_REFERENCE=${ORFEAS_REFERENCE:-$root/tests/reference}
# Also what an empty cache of compiled kernels costs.
export CUDA_CACHE_PATH=$work/cache
passed=yes
"$tests" | tee "$work/tests" || passed=no
ORFEAS_BENCH_GPU=1 "$bench" | tee "$work/ours"
python3 "$root/tests/bench/reference.py" | tee "$work/torch" || echo "PyTorch's figures are not complete"

{
    echo "# Figures on GPUs"
    echo
    echo "Made by \`tests/gpu.sh\`; \`tests/bench/gpu.rs\` and \`tests/bench/reference.py\` say what is timed."
    echo
    echo "$gpu; $(date -u +%Y-%m-%d). Tests passed: $passed ($(tail -n 1 "$work/tests"))."
    echo
    grep -v '^figure' "$work/ours" "$work/torch" | sed 's/^[^:]*:/- /'
    echo
    echo "| | ours, ms | least possible, ms | PyTorch, ms | PyTorch's time / ours |"
    echo "|---|---|---|---|---|"
    awk -F '\t' '
        $1 != "figure" { next }
        FILENAME ~ /torch$/ { torch[$2] = $3; next }
        { order[++count] = $2; ours[$2] = $3; least[$2] = $4 }
        END {
            for (i = 1; i <= count; i++) {
                name = same = order[i]
                # PyTorch has one figure for what we compute in two ways.
                sub(/ by cuBLASLt/, "", same)
                ratio = same in torch ? sprintf("%.2f", torch[same] / ours[name]) : "–"
                print "| " name " | " ours[name] " | " (least[name] > 0 ? least[name] : "–") " | " \
                    (same in torch ? torch[same] : "–") " | " ratio " |"
            }
        }' "$work/torch" "$work/ours"
} >"$results"
cat "$results"
[ "$passed" = yes ]
