"""TripoSR at full size with random weights in plain PyTorch: the seconds of one pass and of the dense grid of
densities, and the most memory held. What `ORFEAS_BENCH_TRIPOSR=1 cargo bench` is compared with; see
triposr.sh, which runs both.

Written after Tochilkin et al. 2024 and the sizes of the published configuration; no code of it is in here.
"""

import argparse
import resource
import time

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Queries from one set of tokens to another of `context` numbers each."""

    def __init__(self, width, heads, context, biased):
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(width, width, bias=biased)
        self.keys = nn.Linear(context, width, bias=biased)
        self.values = nn.Linear(context, width, bias=biased)
        self.out = nn.Linear(width, width)

    def forward(self, tokens, context):
        def split(projected):
            return projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        attended = F.scaled_dot_product_attention(
            split(self.queries(tokens)), split(self.keys(context)), split(self.values(context))
        )
        return self.out(attended.transpose(1, 2).flatten(2))


class EncoderBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.before = nn.LayerNorm(width, eps=1e-12)
        self.attention = Attention(width, heads, width, biased=True)
        self.after = nn.LayerNorm(width, eps=1e-12)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, tokens):
        normed = self.before(tokens)
        tokens = tokens + self.attention(normed, normed)
        return tokens + self.narrow(F.gelu(self.widen(self.after(tokens))))


class Encoder(nn.Module):
    """DINO's ViT-B/16; its table of positions is resized to the image."""

    def __init__(self, width=768, heads=12, layers=12, patch=16, trained_side=224):
        super().__init__()
        self.trained = trained_side // patch
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.first = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 1 + self.trained**2, width))
        self.blocks = nn.ModuleList(EncoderBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))

    def forward(self, image):
        patches = self.patches((image - self.mean) / self.deviation)
        side = patches.shape[-1]
        table = self.positions[:, 1:].transpose(1, 2).unflatten(-1, (self.trained, self.trained))
        table = F.interpolate(table, size=(side, side), mode="bicubic", align_corners=False)
        tokens = patches.flatten(2).transpose(1, 2) + table.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first + self.positions[:, :1], tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)


class BackboneBlock(nn.Module):
    def __init__(self, width, heads, context):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own = Attention(width, heads, width, biased=False)
        self.image = Attention(width, heads, context, biased=False)
        self.widen = nn.Linear(width, 8 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, tokens, image):
        normed = self.norms[0](tokens)
        tokens = tokens + self.own(normed, normed)
        tokens = tokens + self.image(self.norms[1](tokens), image)
        hidden, gate = self.widen(self.norms[2](tokens)).chunk(2, dim=-1)
        return tokens + self.narrow(hidden * F.gelu(gate))


class Backbone(nn.Module):
    """Learned tokens of three planes look at one another and at the image."""

    def __init__(self, width=1024, heads=16, layers=16, context=768, side=32):
        super().__init__()
        self.tokens = nn.Parameter(0.02 * torch.randn(1, width, 3 * side * side))
        self.norm = nn.GroupNorm(32, width, eps=1e-6)
        self.project_in = nn.Linear(width, width)
        self.blocks = nn.ModuleList(BackboneBlock(width, heads, context) for _ in range(layers))
        self.project_out = nn.Linear(width, width)
        self.side = side

    def forward(self, image):
        tokens = self.project_in(self.norm(self.tokens).transpose(1, 2))
        for block in self.blocks:
            tokens = block(tokens, image)
        planes = self.project_out(tokens).transpose(1, 2) + self.tokens
        return planes.unflatten(-1, (3, self.side, self.side)).transpose(1, 2)[0]


class Decoder(nn.Sequential):
    def __init__(self, channels=40, width=64, hidden=9):
        sizes = [3 * channels, *[width] * hidden, 4]
        layers = []
        for inputs, outputs in zip(sizes, sizes[1:]):
            layers += [nn.Linear(inputs, outputs), nn.SiLU()]
        super().__init__(*layers[:-1])


class TripoSR(nn.Module):
    RADIUS = 0.87

    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.backbone = Backbone()
        self.upsample = nn.ConvTranspose2d(1024, 40, 2, 2)
        self.decoder = Decoder()

    def forward(self, image):
        return self.upsample(self.backbone(self.encoder(image)))

    def densities(self, planes, points):
        """At points within the box, `[n, 3]`."""
        places = points / self.RADIUS
        places = torch.stack([places[:, [0, 1]], places[:, [0, 2]], places[:, [1, 2]]])
        sampled = F.grid_sample(planes, places[:, None], mode="bilinear", align_corners=False)
        features = sampled[:, :, 0].flatten(0, 1).transpose(0, 1)
        return torch.exp(self.decoder(features)[:, 0] - 1.0)

    def grid(self, planes, level, chunk):
        """The densities at all points of a grid, x slowest."""
        axis = torch.linspace(-self.RADIUS, self.RADIUS, level)
        densities = torch.empty(level**3)
        for first in range(0, level**3, chunk):
            place = torch.arange(first, min(first + chunk, level**3))
            points = axis[torch.stack([place // level**2, place // level % level, place % level], dim=1)]
            densities[first : first + chunk] = self.densities(planes, points)
        return densities


def timed(what, work):
    started = time.monotonic()
    made = work()
    seconds = time.monotonic() - started
    print(f"{what:<28} {seconds:8.2f} s   (peak so far {peak_bytes() / 1e9:.2f} GB)", flush=True)
    return made, seconds


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--level", type=int, default=256)
    parser.add_argument("--chunk", type=int, default=8192, help="points evaluated together")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    with torch.inference_mode():
        model, _ = timed("making weights", lambda: TripoSR().eval())
        count = sum(parameter.numel() for parameter in model.parameters())
        print(f"PyTorch {torch.__version__}, fp32, {arguments.threads} threads, {count / 1e6:.1f} M weights")
        image = torch.arange(3 * 512 * 512).view(1, 3, 512, 512) % 251 / 250.0
        planes, forward = timed("forward", lambda: model(image))
        level = arguments.level
        _, grid = timed(f"dense grid of {level}³", lambda: model.grid(planes, level, arguments.chunk))
    print(f"total: {forward + grid:.2f} s, {peak_bytes() / 1e9:.2f} GB", flush=True)


if __name__ == "__main__":
    main()
