"""Compiles every kernel to PTX and CUBINs and checks what they take; run by build.sh.

Usage: build.py [--check]

Without --check the binaries and the manifest beside the sources are written; with it they are compared with
what the sources give. Either way it prints registers, spills and shared memory of every kernel, and fails on
a spill, on more registers than the source allows, and on more shared memory than 48 KiB.
"""

import concurrent.futures
import ctypes
import json
import pathlib
import re
import subprocess
import sys
import sysconfig
import tempfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent
MADE = HERE / "binaries"
NVIDIA = pathlib.Path(sysconfig.get_paths()["purelib"]) / "nvidia"
HEADERS = ["kit.cuh", "activations.cuh", "isosurface.cuh"]
FILES = [
    "gemm", "attention", "norm", "elementwise", "resample", "reorder",
    "isosurface", "inflate", "noise", "resize", "select", "latents", "samples",
]
# Those that give the processor's results to the last bit.
EXACT = ["isosurface", "inflate", "noise", "resize", "latents", "samples"]
# PTX, the CUBINs made of it and kept, and those made for the check alone: `compute_XX` does not look into
# inline assembly, `sm_XX` does. Ada runs Ampere's code for sm_86 as it is.
TARGETS = {
    "compute_75": {"kept": [], "checked": ["sm_75"]},
    "compute_80": {"kept": ["sm_80", "sm_86", "sm_90", "sm_120"], "checked": ["sm_89"]},
}
OPTIONS = ["-std=c++17"]
MOST_SHARED_BYTES = 48 << 10


def fnv1a(parts):
    """FNV-1a of 64 bits over byte strings, each ended by a zero; the suite computes the same."""
    value = 0xCBF29CE484222325
    for part in parts:
        for byte in part + b"\0":
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def text_of(name):
    return (HERE / name).read_bytes()


class Compiler:
    """NVRTC, the library that turns CUDA C++ into PTX."""

    def __init__(self):
        self.library = ctypes.CDLL(str(NVIDIA / "cuda_nvrtc/lib/libnvrtc.so.12"))
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        self.version = f"{major.value}.{minor.value}"

    def _text(self, program, what):
        size = ctypes.c_size_t()
        getattr(self.library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        getattr(self.library, f"nvrtcGet{what}")(program, text)
        return text.value

    def ptx(self, name, architecture):
        strings = ctypes.c_char_p * len(HEADERS)
        program = ctypes.c_void_p()
        self.library.nvrtcCreateProgram(
            ctypes.byref(program),
            text_of(f"{name}.cu"),
            f"{name}.cu".encode(),
            len(HEADERS),
            strings(*map(text_of, HEADERS)),
            strings(*(header.encode() for header in HEADERS)),
        )
        exactly = ["-fmad=false"] if name in EXACT else []
        options = [option.encode() for option in [f"-arch={architecture}", *OPTIONS, *exactly]]
        failed = self.library.nvrtcCompileProgram(
            program, len(options), (ctypes.c_char_p * len(options))(*options)
        )
        log = self._text(program, "ProgramLog").decode().strip()
        if failed or log:
            sys.exit(f"{name}.cu for {architecture}:\n{log}")
        text = self._text(program, "PTX")
        self.library.nvrtcDestroyProgram(ctypes.byref(program))
        return text


def assemble(ptx, target):
    """The CUBIN, and (registers, spilled bytes, shared bytes) by kernel."""
    with tempfile.TemporaryDirectory() as folder:
        source, made = pathlib.Path(folder, "in.ptx"), pathlib.Path(folder, "out.cubin")
        source.write_bytes(ptx)
        command = [NVIDIA / "cuda_nvcc/bin/ptxas", "--verbose", f"--gpu-name={target}", "in.ptx", "--output-file=out.cubin"]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if ran.returncode:
            sys.exit(f"ptxas for {target}:\n{ran.stderr}")
        pattern = (
            r"Function properties for (\w+)\s+(\d+) bytes stack frame, (\d+) bytes spill stores, "
            r"(\d+) bytes spill loads\s+.*Used (\d+) registers(.*)"
        )
        costs = {}
        for name, stack, stores, loads, registers, rest in re.findall(pattern, ran.stderr):
            shared = re.search(r"(\d+) bytes smem", rest)
            spilled = int(stack) + int(stores) + int(loads)
            costs[name] = (int(registers), spilled, int(shared[1]) if shared else 0)
        return made.read_bytes(), costs


def budgets(name):
    pattern = r"KIT_KERNEL\((\w+), *\w+, *\d+, *\d+, *(\d+)\)"
    return {kernel: int(most) for kernel, most in re.findall(pattern, text_of(f"{name}.cu").decode())}


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    compiler = Compiler()
    ptxas = subprocess.run([NVIDIA / "cuda_nvcc/bin/ptxas", "--version"], capture_output=True, text=True)
    binaries, costs, complaints = {}, {}, []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        under_way = []
        for name in FILES:
            for architecture, targets in TARGETS.items():
                ptx = compiler.ptx(name, architecture)
                binaries[f"{name}.{architecture}.ptx"] = ptx
                for target in targets["kept"] + targets["checked"]:
                    under_way.append((name, target, target in targets["kept"], pool.submit(assemble, ptx, target)))
        for name, target, keep, job in under_way:
            cubin, by_kernel = job.result()
            if keep:
                binaries[f"{name}.{target}.cubin"] = cubin
            most = budgets(name)
            if not by_kernel or not set(by_kernel) <= set(most):
                complaints.append(f"{name} for {target}: its kernels are not those of the source")
            for kernel, (registers, spilled, shared) in sorted(by_kernel.items()):
                print(f"{kernel:24} {target:7} {registers:4} registers {spilled:4} bytes spilled {shared:6} shared")
                costs.setdefault(kernel, {})[target] = registers
                if spilled:
                    complaints.append(f"{kernel} for {target} spills {spilled} bytes")
                if registers > most.get(kernel, 0):
                    complaints.append(f"{kernel} for {target} takes {registers} registers of {most.get(kernel)}")
                if shared > MOST_SHARED_BYTES:
                    complaints.append(f"{kernel} for {target} takes {shared} bytes of shared memory")

    manifest = {
        "made_by": {"nvrtc": compiler.version, "ptxas": re.search(r"V([\d.]+)", ptxas.stdout)[1]},
        "sources": {name: fnv1a(map(text_of, [*HEADERS, f"{name}.cu"])) for name in FILES},
        "binaries": {name: f"{zlib.crc32(content):08x}" for name, content in sorted(binaries.items())},
        "registers": costs,
    }
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    if complaints:
        sys.exit("\n".join(complaints))
    if check:
        stale = [] if (MADE / "manifest.json").read_text() == text else ["manifest.json"]
        for name, content in binaries.items():
            path = MADE / f"{name}.z"
            if not path.exists() or zlib.decompress(path.read_bytes()) != content:
                stale.append(path.name)
        if stale:
            sys.exit("not what the sources give; run shaders/cuda/build.sh and commit: " + ", ".join(stale))
    else:
        MADE.mkdir(exist_ok=True)
        for path in MADE.iterdir():
            path.unlink()
        for name, content in binaries.items():
            (MADE / f"{name}.z").write_bytes(zlib.compress(content, 9))
        (MADE / "manifest.json").write_text(text)


main()
