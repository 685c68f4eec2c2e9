#!/usr/bin/env bash
# Runs every neural source whose published weights are on this machine over the sample images: loads the
# weights, makes meshes, checks them, and prints what it took. For whoever has the weights.
#
#   cargo build --release && tests/real_weights.sh target/release/orfeas
#   tests/real_weights.sh target/release/orfeas --weights triposr=DIR     # a folder in the published layout
#   tests/real_weights.sh target/release/orfeas --resolution 512 --keep FOLDER   # keeps the meshes and JSON
#
# Weights are looked for as the program does: in the folders that were added, HY3DGEN_MODELS, the hub's cache.
# Nothing is downloaded. Says that it was skipped where there are none.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
program=$(realpath "${1:?tests/real_weights.sh PROGRAM [--weights NAME=DIR] [--resolution N] [--keep FOLDER]}")
shift
weights=
resolution=256
keep=
while [ $# -gt 0 ]; do
    case $1 in
    --weights) weights="$weights ${2:?--weights NAME=DIR}" ;;
    --resolution) resolution=${2:?--resolution N} ;;
    --keep)
        mkdir -p "${2:?--keep FOLDER}"
        keep=$(realpath "$2")
        ;;
    *)
        echo "unknown argument: $1" >&2
        exit 2
        ;;
    esac
    shift 2
done

work=${keep:-$(mktemp -d)}
[ -n "$keep" ] || trap 'rm -rf "$work"' EXIT

python3 - "$program" "$root/assets/samples" "$work" "$resolution" $weights <<'PYTHON'
import json, subprocess, sys, time
from pathlib import Path

program, samples, work, resolution, *given = sys.argv[1:]
given = dict(entry.split("=", 1) for entry in given)
IMAGES = {".png", ".jpg", ".webp", ".svg"}


def run(arguments):
    """The program's answer, seconds, and the most memory it held, in bytes."""
    started = time.monotonic()
    process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, errors = process.communicate()
    seconds = time.monotonic() - started
    return process.returncode, out, errors.strip(), seconds


code, listed, errors, _ = run(["models", "list", "--json"])
if code:
    sys.exit(f"models list failed: {errors}")
models = [
    (model, given.get(model["name"]) or model["folder"])
    for model in json.loads(listed)["models"]
    if given.get(model["name"]) or model["folder"]
]
if not models:
    print("skipped: no published weights are on this machine (orfeas models list)")
    sys.exit(0)

failed = 0
for model, folder in models:
    name = model["name"]
    print(f"{model['title']}, {resolution}³ cells, weights in {folder}")
    print(f"{'image':<16}{'faces':>9}{'pieces':>8}{'closed':>8}{'load':>8}{'shape':>8}{'rest':>8}{'all':>8}{'memory':>10}")
    for image in sorted(path for path in Path(samples).iterdir() if path.suffix in IMAGES):
        mesh = Path(work, f"{name}-{image.stem}.glb")
        arguments = ["generate", str(image), "-o", str(mesh), "--source", name, "--weights", folder]
        code, out, errors, seconds = run([*arguments, "--resolution", resolution, "--json"])
        if code:
            failed += 1
            print(f"{image.name:<16}FAILED ({code}): {errors.splitlines()[-1] if errors else 'no message'}")
            continue
        made = json.loads(out)
        mesh.with_suffix(".json").write_text(out)
        spent = {stage["name"]: 0.0 for stage in made["stages"]}
        for stage in made["stages"]:
            spent[stage["name"]] += stage["seconds"]
        load, shape = spent.get("load", 0.0), spent.get("shape", 0.0)
        rest = sum(spent.values()) - load - shape
        complaints = []
        # The file as written, read back by the program's own checks.
        code, out, errors, _ = run(["inspect", str(mesh), "--json"])
        inspected = json.loads(out) if out.strip() else {}
        if code or not inspected.get("closed") or not inspected.get("manifold"):
            complaints.append("the file is not a closed manifold mesh")
        if made["faces"] < 1000:
            complaints.append("there is next to nothing of it: the field has hardly a surface")
        memory = f"{made['peak_memory_bytes'] / 1e9:.2f} GB" if made.get("peak_memory_bytes") else "-"
        print(
            f"{image.name:<16}{made['faces']:>9}{inspected.get('components', '-'):>8}"
            f"{'yes' if inspected.get('closed') else 'NO':>8}"
            f"{load:>8.2f}{shape:>8.2f}{rest:>8.2f}{seconds:>8.2f}{memory:>10}"
        )
        for complaint in complaints:
            failed += 1
            print(f"    {complaint}")
        for warning in made.get("warnings", []):
            print(f"    warning: {warning}")
    print()
print("all passed" if not failed else f"{failed} failed")
sys.exit(1 if failed else 0)
PYTHON
