#!/usr/bin/env bash
# Compiles the kernels to the PTX and CUBINs beside them, without a GPU and without a CUDA toolkit; see
# build.py. With --check it changes nothing and fails where they are not what the sources give.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
tools=$root/target/cuda-tools
# NVRTC 12.0 writes PTX that every driver from 525 on accepts; ptxas 12.9 knows every target.
nvrtc=12.0.140
nvcc=12.9.86

if ! [ -f "$tools/$nvrtc-$nvcc" ]; then
    python3 -m venv --clear "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        "nvidia-cuda-nvrtc-cu12==$nvrtc" "nvidia-cuda-nvcc-cu12==$nvcc"
    touch "$tools/$nvrtc-$nvcc"
fi
exec "$tools/bin/python" "$root/shaders/cuda/build.py" "$@"
