#!/usr/bin/env python3
"""The figures of gpu.rs with PyTorch: torch.matmul (cuBLASLt), scaled_dot_product_attention, and a plain
TripoSR of the same size with random weights, eager and compiled.

Written for this comparison from the published sizes; it gives no meshes anybody would want. It prints
`figure`, the name that gpu.rs prints and milliseconds, parted by tabs, or why it is skipped.
"""

import sys
import time

try:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError:
    print("skipped: PyTorch is not installed")
    sys.exit(0)
if not torch.cuda.is_available():
    print("skipped: PyTorch finds no CUDA device")
    sys.exit(0)

PRODUCTS = {
    "triposr encoder qkv": (1025, 2304, 768),
    "triposr encoder out": (1025, 768, 768),
    "triposr encoder widen": (1025, 3072, 768),
    "triposr encoder narrow": (1025, 768, 3072),
    "triposr qkv": (3072, 3072, 1024),
    "triposr out": (3072, 1024, 1024),
    "triposr image kv": (1025, 2048, 768),
    "triposr widen": (3072, 8192, 1024),
    "triposr narrow": (3072, 1024, 4096),
    "triposg qkv": (2049, 6144, 2048),
    "triposg out": (2049, 2048, 2048),
    "triposg widen": (2049, 8192, 2048),
    "triposg narrow": (2049, 2048, 8192),
    "triposg skip": (2049, 2048, 4096),
}
ATTENTIONS = {
    "triposr encoder": (12, 64, 1025, 1025),
    "triposr self": (16, 64, 3072, 3072),
    "triposr cross": (16, 64, 3072, 1025),
    "triposg self": (16, 128, 2049, 2049),
    "triposg cross": (16, 128, 2049, 257),
}
SECONDS = 0.3
HALF = dict(device="cuda", dtype=torch.float16)


def figure(name, work, once=False):
    def run(times):
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(times):
            work()
        torch.cuda.synchronize()
        return time.perf_counter() - started

    run(2)
    times = 1 if once else max(1, min(10000, int(SECONDS / run(3) * 3)))
    print(f"figure\t{name}\t{1e3 * run(times) / times:.4f}", flush=True)


class Attention(nn.Module):
    def __init__(self, width, context, heads, bias):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, bias)
        self.k = nn.Linear(context, width, bias)
        self.v = nn.Linear(context, width, bias)
        self.out = nn.Linear(width, width)

    def forward(self, x, context):
        split = lambda t: t.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        attended = F.scaled_dot_product_attention(split(self.q(x)), split(self.k(context)), split(self.v(context)))
        return self.out(attended.transpose(1, 2).flatten(2))


class EncoderBlock(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.before, self.after = nn.LayerNorm(width, 1e-12), nn.LayerNorm(width, 1e-12)
        self.attention = Attention(width, width, heads, True)
        self.widen, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        normal = self.before(x)
        x = x + self.attention(normal, normal)
        return x + self.narrow(F.gelu(self.widen(self.after(x))))


class Block(nn.Module):
    def __init__(self, width, context, heads):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own = Attention(width, width, heads, False)
        self.image = Attention(width, context, heads, False)
        self.widen, self.narrow = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)

    def forward(self, x, image):
        normal = self.norms[0](x)
        x = x + self.own(normal, normal)
        x = x + self.image(self.norms[1](x), image)
        value, gate = self.widen(self.norms[2](x)).chunk(2, -1)
        return x + self.narrow(value * F.gelu(gate))


class TripoSR(nn.Module):
    """The sizes of the published model."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 768, 16, 16)
        self.class_token = nn.Parameter(torch.randn(1, 1, 768))
        self.positions = nn.Parameter(torch.randn(1, 1025, 768))
        self.encoder = nn.ModuleList(EncoderBlock(768, 12, 3072) for _ in range(12))
        self.encoder_norm = nn.LayerNorm(768, 1e-12)
        self.tokens = nn.Parameter(torch.randn(1, 1024, 3 * 32 * 32))
        self.norm = nn.GroupNorm(32, 1024, 1e-6)
        self.project_in, self.project_out = nn.Linear(1024, 1024), nn.Linear(1024, 1024)
        self.blocks = nn.ModuleList(Block(1024, 768, 16) for _ in range(16))
        self.upsample = nn.ConvTranspose2d(1024, 40, 2, 2)
        sizes = [120] + [64] * 9 + [4]
        self.decoder = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token, x], 1) + self.positions
        for block in self.encoder:
            x = block(x)
        image_tokens = self.encoder_norm(x)
        x = self.project_in(self.norm(self.tokens).transpose(1, 2))
        for block in self.blocks:
            x = block(x, image_tokens)
        x = self.project_out(x) + self.tokens.transpose(1, 2)
        planes = x.transpose(1, 2).unflatten(2, (3, 32, 32)).transpose(1, 2).flatten(0, 1)
        return self.upsample(planes)

    def decode(self, planes, points):
        places = torch.stack([points[:, [0, 1]], points[:, [0, 2]], points[:, [1, 2]]]).unsqueeze(1)
        sampled = F.grid_sample(planes, places.to(planes.dtype), align_corners=False)
        x = sampled.squeeze(2).permute(2, 0, 1).flatten(1)
        for layer in self.decoder[:-1]:
            x = F.silu(layer(x))
        return self.decoder[-1](x)

    def grid(self, planes, side=256, chunk=1 << 18):
        line = torch.linspace(-1, 1, side, device=planes.device)
        points = torch.stack(torch.meshgrid(line, line, line, indexing="ij"), -1).flatten(0, 2)
        parts = [self.decode(planes, part)[:, 0] for part in points.split(chunk)]
        return torch.cat(parts)


@torch.inference_mode()
def main():
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}")
    for name, (rows, outputs, inputs) in PRODUCTS.items():
        a, weight = torch.randn(rows, inputs, **HALF), torch.randn(outputs, inputs, **HALF)
        bias = torch.randn(outputs, **HALF)
        figure(f"gemm fp16 {name}", lambda: F.linear(a, weight, bias))
    for name, (heads, width, queries, keys) in ATTENTIONS.items():
        q = torch.randn(1, heads, queries, width, **HALF)
        k, v = (torch.randn(1, heads, keys, width, **HALF) for _ in range(2))
        figure(f"attention fp16 {name}", lambda: F.scaled_dot_product_attention(q, k, v))
    torch.cuda.reset_peak_memory_stats()
    model, image = TripoSR().to(**HALF).eval(), torch.rand(1, 3, 512, 512, **HALF)
    planes = model(image)
    figure("triposr fp16 forward (eager)", lambda: model(image), once=True)
    figure("triposr fp16 grid of 256³ (eager)", lambda: model.grid(planes), once=True)
    print(f"{torch.cuda.max_memory_allocated() / 1e9:.2f} GB of the device at most")
    try:
        forward, decode = torch.compile(model), torch.compile(model.decode)
        figure("triposr fp16 forward", lambda: forward(image), once=True)
        model.decode = decode
        figure("triposr fp16 mesh of 256³ with colours", lambda: model.grid(planes), once=True)
    except Exception as error:  # a compiler that is not there is no failure of the figures above
        print(f"not compiled: {error}".splitlines()[0])


main()
