#!/usr/bin/env bash
# Works the real window as a person would, on a display of its own with software rendering: drops files by the
# X11 protocol, waits for the mesh, exports it by keyboard, looks at the file and at the screen, and quits.
#
#   cargo build && tests/window.sh target/debug/orfeas
#   tests/window.sh target/release/orfeas --screenshots assets    # makes the README's pictures instead
#
# Everything goes to a temporary folder. Says that it was skipped where there is no display server to start;
# under CI that is a failure.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
program=$(realpath "${1:?tests/window.sh PROGRAM [--screenshots FOLDER]}")
pictures=
if [ "${2:-}" = --screenshots ]; then
    pictures=$(realpath "${3:?--screenshots FOLDER}")
fi
# Far longer than anything takes.
patience=${ORFEAS_WINDOW_SECONDS:-120}

icd=$(compgen -G '/usr/share/vulkan/icd.d/lvp_icd*' | head -n 1 || true)
lacking=
for tool in Xvfb xdotool import convert identify; do
    command -v "$tool" >/dev/null || lacking="$lacking $tool"
done
[ -n "$icd" ] || lacking="$lacking lavapipe"
if [ -n "$lacking" ]; then
    echo "skipped: missing$lacking (apt-get install xvfb xdotool imagemagick mesa-vulkan-drivers)"
    [ -z "${CI:-}" ]
    exit
fi

work=$(mktemp -d)
server= window_program=
finish() {
    status=$?
    for process in $window_program $server; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT

fail() {
    echo "failed: $*" >&2
    if [ -s "$work/stderr" ]; then
        cat "$work/stderr" >&2
    fi
    tail -n 20 "$work"/state/orfeas/logs/* >&2 2>/dev/null || true
    exit 1
}

title() { xdotool getwindowname "${window:-}" 2>/dev/null || true; }

# await WHAT COMMAND…: until the command succeeds; fails at once where the program is gone.
await() {
    local what=$1 deadline=$((SECONDS + patience))
    shift
    until "$@"; do
        [ -z "$window_program" ] || kill -0 "$window_program" 2>/dev/null || fail "the program ended before $what"
        [ "$SECONDS" -lt "$deadline" ] || fail "$what never came (the title is: $(title))"
        sleep 0.1
    done
}

home=$HOME
# Settings, history, cache and log all lie in the temporary folder, and nothing of the user's session is seen.
export HOME=$work XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config XDG_CACHE_HOME=$work/cache
export XDG_DATA_HOME=$work/data XDG_RUNTIME_DIR=$work/runtime VK_ICD_FILENAMES=$icd LC_ALL=C.UTF-8
unset WAYLAND_DISPLAY WAYLAND_SOCKET DBUS_SESSION_BUS_ADDRESS
mkdir -m 700 "$work/runtime"

Xvfb -displayfd 1 -screen 0 1400x900x24 -nolisten tcp >"$work/display" 2>"$work/xvfb" &
server=$!
await "the display" test -s "$work/display"
DISPLAY=:$(cat "$work/display")
export DISPLAY

find_window() { window=$(xdotool search --onlyvisible --name 'Orfeas$' 2>/dev/null | head -n 1) && [ -n "$window" ]; }
is_titled() { [ "$(title)" = "$1" ]; }

launch() {
    window=
    "$program" "$@" >"$work/stdout" 2>"$work/stderr" &
    window_program=$!
    await "the window" find_window
    xdotool windowfocus "$window"
}

# The other side of a drop, and of the window manager's request to close, lives in the suite.
peer() {
    local test=$1
    shift
    (cd "$root" && env "$@" ORFEAS_TEST_WINDOW="$window" HOME="$home" cargo test --quiet --test suite -- \
        --ignored --exact "window_drop::$test") >"$work/peer" 2>&1 || { cat "$work/peer" >&2; fail "$test"; }
    grep -q '1 passed' "$work/peer" || { cat "$work/peer" >&2; fail "$test did not run"; }
}

# ends_with CODE: the program ends by itself, with this exit code.
ends_with() {
    local code=0 deadline=$((SECONDS + patience))
    while kill -0 "$window_program" 2>/dev/null; do
        [ "$SECONDS" -lt "$deadline" ] || fail "the program does not end"
        sleep 0.1
    done
    wait "$window_program" || code=$?
    window_program=
    [ "$code" = "$1" ] || fail "exit code $code and not $1"
}

# shot FILE: what the window shows.
shot() { import -window "$window" "$1"; }

# grey FILE GEOMETRY: how bright a patch is on average, in percent.
grey() { convert "$1" -crop "$2" +repage -colorspace Gray -format '%[fx:int(100*mean)]' info:; }

# The object against the empty studio beside it, both inside the viewport.
object_stands_out() {
    shot "$work/look.png"
    local middle beside
    middle=$(grey "$work/look.png" 60x60+650+300)
    beside=$(grey "$work/look.png" 40x40+320+90)
    [ $((middle - beside)) -gt 10 ]
}

settings() {
    mkdir -p "$work/config/orfeas"
    echo "$1" >"$work/config/orfeas/window.json"
}

# Until the object rests: it arrives in parts, and the camera may glide.
rests() {
    cp "$work/look.png" "$work/earlier.png"
    sleep 0.5
    shot "$work/look.png"
    cmp -s <(covered "$work/earlier.png") <(covered "$work/look.png")
}
covered() { convert "$1" -crop 300x200+490+250 +repage rgb:-; }

made() { [ "$(cat "$work"/state/orfeas/logs/* | grep -c 'finished .*faces=')" -ge "$1" ]; }

picture() { convert "$work/look.png" -quality 80 -strip "$pictures/$1"; }
object_stands_out_in_dark() { object_stands_out; }
# By daylight the object is darker than what is behind it.
object_stands_out_in_light() {
    shot "$work/look.png"
    [ "$(convert "$work/look.png" -crop 200x200+580+250 +repage -format '%[fx:int(100*standard_deviation)]' info:)" -gt 8 ]
}

take_pictures() {
    settings '{ "theme": "dark", "resolution": 256 }'
    launch "$root"/assets/samples/{lyre.svg,duck.png,dragon.png,key.webp}
    await "four meshes" made 4
    xdotool key ctrl+q
    ends_with 0
    for theme in dark light; do
        settings "{ \"theme\": \"$theme\", \"resolution\": 256 }"
        launch "$root/assets/samples/vase.png"
        await "the mesh" is_titled "vase.png – Orfeas"
        await "the object on the screen" object_stands_out_in_$theme
        await "a picture that rests" rests
        picture "window-$theme.jpg"
        xdotool key ctrl+q
        ends_with 0
    done
    settings '{ "theme": "dark", "resolution": 512 }'
    launch "$root/assets/samples/teapot.jpg"
    await "the first mesh" object_stands_out_in_dark
    is_titled "teapot.jpg (working) – Orfeas" || fail "the job was over before its picture was taken"
    picture window-working.jpg
    xdotool key ctrl+q
    ends_with 0
}

if [ -n "$pictures" ]; then
    take_pictures
    exit
fi

# From launch to STL in three actions: a drop, Ctrl+S, Enter. Three files at once, with names that are not plain.
cp "$root/assets/samples/vase.png" "$work/un été à la mer.png"
cp "$root/assets/samples/duck.png" "$work/猫 と 花.png"
cp "$root/assets/samples/lyre.svg" "$work/lyre & co (2).svg"
launch
is_titled Orfeas || fail "the title is $(title)"
peer drops_files_on_a_window ORFEAS_TEST_FILES="$work/un été à la mer.png
$work/猫 と 花.png
$work/lyre & co (2).svg"
await "the mesh" is_titled "un été à la mer.png – Orfeas"
await "the other two meshes" made 3
await "the object on the screen" object_stands_out
size=$(identify -format '%wx%h' "$work/look.png")
[ "$size" = 1280x800 ] || fail "the window has $size pixels and not 1280x800"
colours=$(identify -format '%k' "$work/look.png")
[ "$colours" -gt 500 ] || fail "the window shows $colours colours: it is nearly blank"
await "a picture that rests" rests
xdotool windowfocus "$window" key ctrl+s
# The dialog covers the object: the screen changes there, then Enter presses what has the focus.
before=$work/look.png
differs() {
    shot "$work/now.png"
    ! cmp -s <(covered "$before") <(covered "$work/now.png")
}
await "the export dialog" differs
xdotool key Return
await "the file" test -s "$work/un été à la mer.stl"
"$program" inspect --json "$work/un été à la mer.stl" >"$work/report.json"
grep -q '"closed": *true' "$work/report.json" || fail "the file is not closed: $(cat "$work/report.json")"
xdotool key ctrl+q
ends_with 0
grep -i panic "$work/stderr" && fail "it panicked"

# Opened on a file, and closed as a window manager closes it.
launch "$work/猫 と 花.png"
await "the mesh" is_titled "猫 と 花.png – Orfeas"
peer asks_a_window_to_close
ends_with 0

# Without an adapter, and without a display: what to install and what works all the same, and exit code 1.
refuses() {
    local code=0 word
    timeout "$patience" env "${@:2}" "$program" >"$work/stdout" 2>"$work/stderr" || code=$?
    [ "$code" = 1 ] || fail "$1: exit code $code and not 1"
    for word in "${words[@]}" "orfeas generate"; do
        grep -q "$word" "$work/stderr" || fail "$1: the message does not name $word"
    done
    ! grep -qi 'panicked\|backtrace' "$work/stderr" || fail "$1: it panicked"
}
words=(mesa-vulkan-drivers libvulkan1)
refuses "no adapter" VK_ICD_FILENAMES=/nonexistent VK_DRIVER_FILES=/nonexistent WGPU_BACKEND=vulkan
words=(libx11-6 libxkbcommon-x11-0)
refuses "no display" -u DISPLAY
echo "the window: all well"
