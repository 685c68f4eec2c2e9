#!/usr/bin/env bash
# Checks the running server against its own description, with a schema-driven tester from PyPI.
#
#   cargo build --release && tests/api_schema.sh [PROGRAM]
#
# Everything goes to a temporary folder. Exits with 0 only where every check passed.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
program=${1:-$root/target/release/orfeas}
version=4.32.5
seconds=${ORFEAS_SCHEMA_SECONDS:-120}

work=$(mktemp -d)
server=
finish() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"

# The program keeps its log, cache and history in the temporary folder too.
export HOME=$work XDG_STATE_HOME=$work/state ORFEAS_CACHE_DIR=$work/cache ORFEAS_DATA_DIR=$work/data
"$program" serve --listen 127.0.0.1:0 --patience 0 >"$work/address" &
server=$!
until [ -s "$work/address" ]; do
    kill -0 "$server"
    sleep 0.1
done
address=$(cat "$work/address")

# A job that completed, so that its mesh and events can be asked for.
"$work/venv/bin/python" - "$work/disc.png" <<'PYTHON'
import struct, sys, zlib

SIDE = 64
rows = b"".join(
    b"\0" + b"".join(
        bytes((230, 120, 60, 255 if (x - 32) ** 2 + (y - 32) ** 2 < 625 else 0)) for x in range(SIDE)
    )
    for y in range(SIDE)
)

def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 6, 0, 0, 0)
with open(sys.argv[1], "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
PYTHON
job=$(curl --fail --silent --show-error --form "image=@$work/disc.png" --form resolution=32 \
    "$address/api/v1/generate" | "$work/venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["id"])')

# Images are random bytes: that they are refused as images is right, that their settings were would not be.
# Forms that break their schema are no use: an empty array in place of a flag is written as no field at all, which
# is right. The suite has hostile forms of its own.
cat >"$work/schemathesis.toml" <<TOML
[[operations]]
include-path = ["/api/v1/generate", "/api/v1/generate-progressive"]
generation.mode = "positive"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 415, 503, 507]

# The tester clears the cache as well, after which meshes are gone.
[[operations]]
include-path = "/api/v1/jobs/{id}/mesh"
parameters = { "path.id" = "$job" }
checks.positive_data_acceptance.expected-statuses = ["2xx", 404, 410]

[[operations]]
include-path = "/api/v1/jobs/{id}/events"
parameters = { "path.id" = "$job" }
TOML

# DELETE cancels: the job stays, as one that was cancelled, so it is no use after free to look at it.
cd "$work"
"$work/venv/bin/st" --config-file "$work/schemathesis.toml" run "$address/api/v1/openapi.json" \
    --checks all --exclude-checks use_after_free --max-examples 50 --max-time "$seconds" --request-timeout 60 --continue-on-failure --seed 7

# Whatever was sent, the server still does its work.
curl --fail --silent --show-error --output /dev/null --form "image=@$work/disc.png" --form resolution=32 \
    "$address/api/v1/generate"
