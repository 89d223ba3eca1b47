"""Well-known architectures in PyTorch, at tiny widths, with inputs, and which of their dimensions are free."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as fn


@dataclass(frozen=True)
class Model:
    """A module and two sets of inputs by name; ``free`` are names of dimensions by input and axis. Both of PyTorch's
    exporters can write it unless ``exporters`` says otherwise."""

    make: Callable[[], nn.Module]
    inputs: Callable[[int], dict[str, Tensor]]
    free: dict[str, dict[int, str]]
    exporters: tuple[str, ...] = ("dynamo", "torchscript")


def image(*shape: int) -> Callable[[int], dict[str, Tensor]]:
    """Images [batch, …], of which the second set has one more."""
    return lambda k: {"x": torch.randn(2 + k, *shape)}


BATCH = {"x": {0: "batch"}}
TEXT = {"words": {0: "batch", 1: "seq"}}


def text(k: int) -> dict[str, Tensor]:
    return {"words": torch.randint(0, 20, (2 + k, 5 + 2 * k))}


class Residual(nn.Module):
    """A block of ResNet (He et al., 2015)."""

    def __init__(self, ins: int, outs: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(ins, outs, 3, stride, 1, bias=False), nn.BatchNorm2d(outs), nn.ReLU(),
                                  nn.Conv2d(outs, outs, 3, 1, 1, bias=False), nn.BatchNorm2d(outs))
        self.short = nn.Sequential(nn.Conv2d(ins, outs, 1, stride, bias=False), nn.BatchNorm2d(outs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.short(x))


def resnet() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
                         Residual(4, 4, 1), Residual(4, 8, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))


class Inverted(nn.Module):
    """A block of MobileNetV3 (Howard et al., 2019)."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(width, inner, 1), nn.BatchNorm2d(inner), nn.Hardswish())
        self.depth = nn.Sequential(nn.Conv2d(inner, inner, 3, 1, 1, groups=inner), nn.BatchNorm2d(inner), nn.ReLU6())
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(inner, 2, 1), nn.ReLU(),
                                     nn.Conv2d(2, inner, 1), nn.Hardsigmoid())
        self.project = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.depth(self.expand(x))
        return x + self.project(y * self.squeeze(y))


def mobilenet() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.SiLU(), Inverted(4, 8), nn.AvgPool2d(2, 2), nn.Flatten(2),
                         nn.GELU())


class VisionTransformer(nn.Module):
    """Dosovitskiy et al., 2020."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, 4)
        self.first = nn.Parameter(torch.randn(1, 1, width))
        self.place = nn.Parameter(torch.randn(1, 17, width))
        layer = nn.TransformerEncoderLayer(width, 2, 16, activation="gelu", batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(x.shape[0], -1, -1), x], 1) + self.place
        return self.head(self.body(x)[:, 0]).softmax(-1)


class Bert(nn.Module):
    """Devlin et al., 2018."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.words, self.places = nn.Embedding(20, width), nn.Embedding(16, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.inner, self.outer = nn.Linear(width, 16), nn.Linear(16, width)
        self.pooler = nn.Linear(width, width)

    def forward(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        places = torch.arange(words.size(1), device=words.device).unsqueeze(0)
        x = self.norm(self.words(words) + self.places(places))
        bias = (1.0 - mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min

        def heads(y: Tensor) -> Tensor:
            return y.view(y.size(0), y.size(1), 2, 4).permute(0, 2, 1, 3)

        scores = torch.matmul(heads(self.q(x)), heads(self.k(x)).transpose(-1, -2)) / 2.0 + bias
        y = torch.matmul(scores.softmax(-1), heads(self.v(x))).permute(0, 2, 1, 3).contiguous()
        x = self.norm(x + self.out(y.view(y.size(0), y.size(1), 8)))
        x = self.norm(x + self.outer(fn.gelu(self.inner(x))))
        return x, torch.tanh(self.pooler(x[:, 0]))


def masked_text(k: int) -> dict[str, Tensor]:
    mask = torch.ones(2 + k, 5 + 2 * k, dtype=torch.int64)
    mask[0, 3:] = 0
    return {**text(k), "mask": mask}


class Gpt(nn.Module):
    """Radford et al., 2019, with keys and values of earlier steps."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.words, self.places = nn.Embedding(20, width), nn.Embedding(32, width)
        self.norm, self.end = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.body = nn.Sequential(nn.Linear(width, 16), nn.GELU(approximate="tanh"), nn.Linear(16, width))

    def forward(self, words: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        batch, steps, before = words.size(0), words.size(1), past.size(3)
        places = torch.arange(before, before + steps, device=words.device)
        x = self.words(words) + self.places(places)
        q, k, v = (y.view(batch, steps, 2, 4).transpose(1, 2) for y in self.qkv(self.norm(x)).chunk(3, -1))
        k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        seen = torch.ones(steps, before + steps, dtype=torch.bool, device=words.device).tril(before)
        y = fn.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        x = x + self.out(y.transpose(1, 2).reshape(batch, steps, 8))
        x = self.end(x + self.body(x))
        return x @ self.words.weight.T, torch.stack([k, v])


class Llama(nn.Module):
    """Touvron et al., 2023: turned pairs, fewer heads of keys, gates."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.words = nn.Embedding(20, width)
        self.norm = nn.RMSNorm(width)
        self.q, self.k, self.v = nn.Linear(width, 16, False), nn.Linear(width, 8, False), nn.Linear(width, 8, False)
        self.gate, self.up, self.down = nn.Linear(width, 24), nn.Linear(width, 24), nn.Linear(24, width)
        self.register_buffer("turns", 1.0 / 100.0 ** (torch.arange(0, 4, 2) / 4))

    def forward(self, words: Tensor) -> Tensor:
        batch, steps = words.shape
        x = self.words(words)
        angles = torch.outer(torch.arange(steps, device=words.device).float(), self.turns)
        angles = torch.cat([angles, angles], -1)

        def turned(y: Tensor) -> Tensor:
            half = torch.cat([-y[..., 2:], y[..., :2]], -1)
            return y * angles.cos() + half * angles.sin()

        h = self.norm(x)
        q, k, v = (p(h).view(batch, steps, -1, 4).transpose(1, 2) for p in (self.q, self.k, self.v))
        k, v = (turned(k).repeat_interleave(2, 1), v.repeat_interleave(2, 1))
        y = fn.scaled_dot_product_attention(turned(q), k, v, is_causal=True)
        x = x + y.transpose(1, 2).reshape(batch, steps, 16)
        h = self.norm(x)
        return (x + self.down(fn.silu(self.gate(h)) * self.up(h))).log_softmax(-1)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 5, 2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(10, 3, batch_first=True)
        self.rnn = nn.RNN(3, 2, batch_first=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, (h, _) = self.lstm(x)
        return self.rnn(self.gru(y)[0])[0], h


class Unet(nn.Module):
    """Ronneberger et al., 2015."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.LeakyReLU(0.1))
        self.middle = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.InstanceNorm2d(8, affine=True), nn.ELU())
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.last = nn.Conv2d(12, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.down(x)
        b = self.middle(fn.max_pool2d(a, 2))
        smooth = fn.interpolate(b[:, :4], scale_factor=2, mode="bilinear", align_corners=False)
        return torch.sigmoid(self.last(torch.cat([a, self.up(b), smooth], 1)))


class Detector(nn.Module):
    """Boxes and scores at two scales, one put upon the other (Lin et al., 2017), and the best of them."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1)
        self.head = nn.Conv2d(4, 6, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = torch.relu(self.fine(x))
        coarse = torch.relu(self.coarse(fine))
        fine = fine + fn.interpolate(coarse, size=fine.shape[-2:], mode="nearest")
        boxes, scores = [], []
        for level, stride in ((fine, 2), (coarse, 4)):
            y = self.head(level).permute(0, 2, 3, 1)
            height, width = y.shape[1:3]
            row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            centre = (torch.stack([column, row], -1).to(y.dtype) + 0.5) * stride
            boxes.append(torch.cat([centre - y[..., :2].exp(), centre + y[..., 2:4].exp()], -1).flatten(1, 2))
            scores.append(y[..., 4:].sigmoid().flatten(1, 2))
        score, which = torch.cat(scores, 1).max(-1)
        best, at = score.topk(5)
        return torch.cat(boxes, 1).gather(1, at[..., None].expand(-1, -1, 4)).clamp(0, 64), best * (which.sum() >= 0)


class Shifted(nn.Module):
    """Windows of an image that are shifted (Liu et al., 2021), and pixels shuffled into a larger one."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.MultiheadAttention(4, 2, batch_first=True)
        self.out = nn.Conv2d(4, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        y = torch.roll(x, (-1, -1), (2, 3)).view(n, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1)
        y = y.reshape(-1, 4, c)
        y = self.mix(y, y, y, need_weights=False)[0]
        y = y.view(n, h // 2, w // 2, 2, 2, c).permute(0, 5, 1, 3, 2, 4).reshape(n, c, h, w)
        return fn.pixel_shuffle(self.out(torch.roll(y, (1, 1), (2, 3))), 2)


class Waves(nn.Module):
    """Dilated gates over sound (van den Oord et al., 2016) and what else sounds go through."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.ModuleList(nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 8, 2, dilation=2 ** i))
                                   for i in range(3))
        self.first = nn.Conv1d(1, 4, 1)
        self.slope = nn.PReLU(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(fn.pad(x, (3, 3), mode="reflect"))
        for i, gate in enumerate(self.gates):
            y = y + fn.glu(gate(fn.pad(y, (2 ** i, 0))), 1)
        y = fn.avg_pool1d(self.slope(y), 3, 2)
        return (y - y.mean(-1, keepdim=True)) / (y.std(-1, keepdim=True, unbiased=False) + 1e-5)


class Table(nn.Module):
    """Numbers and categories of a table, whose products count too (Naumov et al., 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds = nn.ModuleList(nn.Embedding(n, 4) for n in (3, 5, 7))
        self.numbers = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.SELU())
        self.head = nn.Linear(10, 1)

    def forward(self, numbers: Tensor, kinds: Tensor) -> Tensor:
        parts = [self.numbers(numbers), *(table(kinds[:, i]) for i, table in enumerate(self.kinds))]
        x = torch.stack(parts, 1)
        pairs = torch.einsum("nic,njc->nij", x, x)
        i, j = torch.tril_indices(4, 4, -1)
        z = torch.cat([parts[0], pairs[:, i, j]], 1)
        return torch.where(z[:, :1] > 0, self.head(z), -self.head(z.abs().sqrt()))


class Decoder(nn.Module):
    """A loop and a branch that are in the file as such."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(8, 4)
        self.words = nn.Embedding(6, 4)

    def forward(self, state: Tensor, steps: Tensor) -> Tensor:
        word = (state[:, 0] * 0).long()
        for _ in range(int(steps)):
            state = torch.tanh(self.cell(torch.cat([self.words(word), state], 1)))
            scores = state @ self.words.weight.T
            word = scores.argmax(1)
        if bool(state.sum() > 0):
            state = state * 2.0
        else:
            state = state - 1.0
        return state


def decoder() -> nn.Module:
    return torch.jit.script(Decoder())


MODELS: dict[str, Model] = {
    "resnet": Model(resnet, image(3, 24, 24), BATCH),
    "mobilenet": Model(mobilenet, image(3, 16, 16), BATCH),
    "vit": Model(VisionTransformer, image(3, 16, 16), BATCH),
    "bert": Model(Bert, masked_text, {**TEXT, "mask": {0: "batch", 1: "seq"}}),
    "gpt": Model(Gpt, lambda k: {**text(k), "past": torch.randn(2, 2 + k, 2, 3 + k, 4)},
                 {**TEXT, "past": {1: "batch", 3: "before"}}),
    "llama": Model(Llama, text, TEXT, ("dynamo",)),
    "recurrent": Model(Recurrent, lambda k: {"x": torch.randn(2 + k, 6, 4)}, BATCH),
    "unet": Model(Unet, lambda k: {"x": torch.randn(1 + k, 1, 8 + 2 * k, 12)},
                  {"x": {0: "batch", 2: "height", 3: "width"}}),
    "detector": Model(Detector, image(3, 16, 16), BATCH),
    "shifted": Model(Shifted, image(4, 4, 6), BATCH),
    "waves": Model(Waves, lambda k: {"x": torch.randn(2 + k, 1, 20 + 3 * k)}, {"x": {0: "batch", 2: "samples"}}),
    "table": Model(Table, lambda k: {"numbers": torch.randn(3 + k, 2), "kinds": torch.randint(0, 3, (3 + k, 3))},
                   {"numbers": {0: "batch"}, "kinds": {0: "batch"}}),
    "decoder": Model(decoder, lambda k: {"state": torch.randn(2, 4), "steps": torch.tensor(3 + k)}, {},
                     ("torchscript",)),
}
