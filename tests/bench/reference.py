#!/usr/bin/env python3
"""The figures of gpu.rs with PyTorch: torch.matmul (cuBLASLt), scaled_dot_product_attention, and a plain
TripoSR and TripoSG of the same sizes with random weights, eager and compiled.

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


class HeadAttention(nn.Module):
    """Attention whose queries and keys are normalised head by head where asked."""

    def __init__(self, width, context, heads, normalised):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, False)
        self.kv = nn.Linear(context, 2 * width, False)
        self.norms = nn.ModuleList(nn.RMSNorm(width // heads, 1e-6) for _ in range(2)) if normalised else None
        self.out = nn.Linear(width, width)

    def keys_and_values(self, context):
        k, v = self.kv(context).unflatten(-1, (self.heads, 2, -1)).transpose(1, 3).unbind(2)
        return (self.norms[1](k) if self.norms else k), v

    def forward(self, x, keys_and_values):
        q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q = self.norms[0](q) if self.norms else q
        attended = F.scaled_dot_product_attention(q, *keys_and_values)
        return self.out(attended.transpose(1, 2).flatten(2))


class LatentBlock(nn.Module):
    """A block of the denoiser or of the decoder."""

    def __init__(self, width, heads, own=True, context=None, skip=False, normalised=False):
        super().__init__()
        self.skip = nn.Linear(2 * width, width) if skip else None
        self.skip_norm = nn.LayerNorm(width) if skip else None
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own = HeadAttention(width, width, heads, normalised) if own else None
        self.other = HeadAttention(width, context, heads, normalised) if context else None
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, keys_and_values=None, earlier=None):
        if self.skip is not None:
            x = self.skip_norm(self.skip(torch.cat([earlier, x], -1)))
        if self.own is not None:
            normal = self.norms[0](x)
            x = x + self.own(normal, self.own.keys_and_values(normal))
        if self.other is not None:
            x = x + self.other(self.norms[1](x), keys_and_values)
        return x + self.narrow(F.gelu(self.widen(self.norms[2](x))))


class Denoiser(nn.Module):
    def __init__(self, width=2048, heads=16, layers=21, channels=64, context=1024):
        super().__init__()
        self.width = width
        self.project_in, self.project_out = nn.Linear(channels, width), nn.Linear(width, channels)
        self.time = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.blocks = nn.ModuleList(
            LatentBlock(width, heads, True, context, layer > layers // 2, True) for layer in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def look_at(self, image):
        """The keys and values of an image and, beside it, of nothing."""
        both = torch.cat([image, torch.zeros_like(image)])
        return [block.other.keys_and_values(both) for block in self.blocks]

    def forward(self, latents, time, seen):
        half = torch.arange(self.width // 2, device=latents.device, dtype=torch.float32)
        angles = time * torch.exp(half * (-9.210340371976184 / (self.width // 2)))
        token = self.time(torch.cat([angles.sin(), angles.cos()]).to(latents.dtype))
        x = self.project_in(latents)
        x = torch.cat([token.expand(x.shape[0], 1, -1), x], 1)
        earlier, middle = [], len(self.blocks) // 2
        for layer, block in enumerate(self.blocks):
            x = block(x, seen[layer], earlier.pop() if layer > middle else None)
            if layer < middle:
                earlier.append(x)
        return self.project_out(self.norm(x))[:, 1:]


class TripoSG(nn.Module):
    """The sizes of the published model."""

    def __init__(self, width=1024, heads=8):
        super().__init__()
        self.patches = nn.Conv2d(3, 1024, 14, 14)
        self.class_token = nn.Parameter(torch.randn(1, 1, 1024))
        self.positions = nn.Parameter(torch.randn(1, 257, 1024))
        self.encoder = nn.ModuleList(EncoderBlock(1024, 16, 4096) for _ in range(24))
        self.encoder_norm = nn.LayerNorm(1024, 1e-6)
        self.denoiser = Denoiser()
        self.latents_in = nn.Linear(64, width)
        self.trunk = nn.ModuleList(LatentBlock(width, heads) for _ in range(16))
        self.points_in = nn.Linear(51, width)
        self.context_norm = nn.LayerNorm(width)
        self.last = LatentBlock(width, heads, False, width)
        self.norm, self.value = nn.LayerNorm(width), nn.Linear(width, 1)

    def image(self, pixels):
        x = self.patches(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token, x], 1) + self.positions
        for block in self.encoder:
            x = block(x)
        return self.denoiser.look_at(self.encoder_norm(x))

    def steps(self, seen, velocities, steps=50, guidance=7.0):
        """Guided steps from noise; both looks go through the denoiser as one batch."""
        x = torch.randn(1, 2048, 64, device=self.positions.device)
        shares = torch.linspace(1, 0, steps + 1).tolist()
        for before, after in zip(shares, shares[1:]):
            both = x.to(self.positions.dtype).expand(2, -1, -1)
            conditional, unconditional = velocities(both, before * 1000, seen).float().chunk(2)
            x = x + (before - after) * (unconditional + guidance * (conditional - unconditional))
        return x.to(self.positions.dtype)

    def field(self, latents):
        x = self.latents_in(latents)
        for block in self.trunk:
            x = block(x)
        return self.last.other.keys_and_values(self.context_norm(x))

    def values(self, points, seen):
        angles = (points[..., None] * 2.0 ** torch.arange(8, device=points.device)).flatten(-2)
        rows = torch.cat([points, angles.sin(), angles.cos()], -1).to(self.positions.dtype)
        return self.value(self.norm(self.last(self.points_in(rows), seen)))

    def queries(self, seen, values, count=1 << 20, chunk=1 << 13):
        line = torch.linspace(-1, 1, 128, device=self.positions.device)
        points = torch.stack(torch.meshgrid(line, line, line, indexing="ij"), -1).flatten(0, 2)[:count]
        return torch.cat([values(part[None], seen)[0] for part in points.split(chunk)])


def triposg():
    """The figures of TripoSG: eager, then compiled under the names that gpu.rs prints."""
    torch.cuda.reset_peak_memory_stats()
    model, pixels = TripoSG().to(**HALF).eval(), torch.rand(1, 3, 224, 224, **HALF)
    seen = model.image(pixels)
    latents = torch.randn(1, 2048, 64, **HALF)
    field = model.field(latents)
    figure("triposg fp16 image (eager)", lambda: model.image(pixels), once=True)
    figure("triposg fp16 50 steps (eager)", lambda: model.steps(seen, model.denoiser), once=True)
    figure("triposg fp16 2²⁰ queries (eager)", lambda: model.queries(field, model.values), once=True)
    print(f"{torch.cuda.max_memory_allocated() / 1e9:.2f} GB of the device at most")
    try:
        image, values = torch.compile(model.image), torch.compile(model.values)
        # The time is a tensor there, or every step would be compiled anew.
        compiled = torch.compile(model.denoiser)
        velocities = lambda x, time, seen: compiled(x, torch.tensor(time, device=x.device), seen)
        figure("triposg fp16 image", lambda: image(pixels), once=True)
        figure("triposg fp16 50 steps", lambda: model.steps(seen, velocities), once=True)
        figure("triposg fp16 2²⁰ queries", lambda: model.queries(field, values), once=True)
    except Exception as error:  # as below
        print(f"not compiled: {error}".splitlines()[0])


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
    del model
    torch.cuda.empty_cache()
    triposg()


main()
