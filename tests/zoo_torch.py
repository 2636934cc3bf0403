"""Awkward small torch networks with seeded random weights: `ZOO[name]()` is a module, `PICTURES[name]` the shape it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

ZOO: dict[str, Callable[[], nn.Module]] = {}
PICTURES: dict[str, Any] = {}  # as picture_shape has it


def member(*picture: Any):
    """Registers a function that builds a network on pictures of this shape; seeds it, and gives BatchNorm a past."""

    def register(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        @wraps(build)
        def seeded() -> nn.Module:
            with torch.random.fork_rng([]):
                torch.manual_seed(0)
                network = build()
                for each in network.modules():
                    if isinstance(each, nn.modules.batchnorm._BatchNorm):
                        nn.init.uniform_(each.running_mean, -0.5, 0.5)
                        nn.init.uniform_(each.running_var, 0.5, 2.0)
                        nn.init.uniform_(each.weight, 0.5, 2.0)
                        nn.init.uniform_(each.bias, -0.5, 0.5)
            return network

        ZOO[build.__name__], PICTURES[build.__name__] = seeded, picture if isinstance(picture[0], int) else picture[0]
        return seeded

    return register


class Written(nn.Module):
    """A module whose forward is given as a function, so that a network is read in one place."""

    def __init__(self, run: Callable[..., object], **layers: nn.Module):
        super().__init__()
        self.run = run
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x):
        return self.run(self, x)


def conv(channels: int, maps: int, size: int = 3, **options) -> nn.Conv2d:
    return nn.Conv2d(channels, maps, size, padding=options.pop("padding", size // 2), **options)


def head(maps: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(maps, 3))


@member(3, 8, 8)
def sequential():
    return nn.Sequential(conv(3, 4), nn.ReLU(), nn.MaxPool2d(2), conv(4, 5), nn.Sigmoid(), nn.Flatten(), nn.Linear(80, 3))


@member(3, 8, 8)
def inplace_relu():
    return nn.Sequential(
        conv(3, 4),
        nn.ReLU(inplace=True),
        conv(4, 4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        conv(4, 4),
        nn.ReLU6(inplace=True),
        head(4),
    )


@member(3, 8, 8)
def inplace_first():
    """Writes into the pictures it is given."""
    return nn.Sequential(nn.ReLU(inplace=True), conv(3, 4), nn.Hardtanh(inplace=True), head(4))


@member(3, 8, 8)
def nested():
    inner = nn.Sequential(conv(4, 4), nn.ReLU(inplace=True))
    middle = nn.ModuleDict({"left": inner, "right": nn.Sequential(conv(4, 4), nn.Tanh())})

    def run(net, x):
        x = net.stem(x)
        return net.head(net.middle["left"](x) * net.middle["right"](x))

    return Written(run, stem=nn.Sequential(conv(3, 4), nn.ReLU()), middle=middle, head=head(4))


@member(3, 8, 8)
def free_form():
    """Control flow that depends on the picture's size and on values, a loop, and a layer that never runs."""

    def run(net, x):
        x = net.stem(x)
        for _ in range(2 if x.shape[-1] == 8 else 1):
            x = torch.relu(net.body(x))
        if bool((x.detach() > -1000).all()):
            x = net.more(x)
        return net.head(x)

    return Written(run, stem=conv(3, 4), body=conv(4, 4), more=nn.ELU(), never=conv(4, 4), head=head(4))


@member(3, 8, 8)
def shared():
    def run(net, x):
        x = net.relu(net.stem(x))
        x = net.relu(net.body(x))
        return net.head(net.relu(net.body(x)))

    return Written(run, stem=conv(3, 4), body=conv(4, 4), relu=nn.ReLU(inplace=True), head=head(4))


@member(3, 8, 8)
def residual():
    def run(net, x):
        x = net.relu(net.stem(x))
        return net.head(F.relu(x + net.body(x)))

    return Written(run, stem=conv(3, 4), relu=nn.ReLU(), body=conv(4, 4), head=head(4))


@member(3, 8, 8)
def inplace_residual():
    """As in torchvision: what the BatchNorm gave is added to and cut off in place."""

    def run(net, x):
        identity = net.relu(net.bn1(net.conv1(x)))
        out = net.bn2(net.conv2(identity))
        out += identity
        out = net.relu(out)
        out = F.relu(net.conv3(out).sub_(0.1), inplace=True)
        out.mul_(2)
        return net.head(out)

    layers = {f"conv{i}": conv(3 if i == 1 else 4, 4, bias=False) for i in (1, 2, 3)}
    return Written(run, **layers, bn1=nn.BatchNorm2d(4), bn2=nn.BatchNorm2d(4), relu=nn.ReLU(inplace=True), head=head(4))


@member(3, 8, 8)
def before_activation():
    """The in-place ReLU at the start of a branch changes the other branch too."""

    def run(net, x):
        x = net.stem(x)
        y = net.conv(net.relu(x))
        return net.head(y + x)

    return Written(run, stem=conv(3, 4), relu=nn.ReLU(inplace=True), conv=conv(4, 4), head=head(4))


@member(3, 8, 8)
def view_then_inplace():
    """Layers that return their input or a view of it, which is then written into."""

    def run(net, x):
        x = net.flat(net.drop(net.same(net.conv(x))))
        x.relu_()
        x += 0.5
        x[:, :3] = x[:, 3:6]
        return net.dense(x)

    layers = {"same": nn.Identity(), "drop": nn.Dropout(0.5), "flat": nn.Flatten(), "dense": nn.Linear(4 * 64, 3)}
    return Written(run, conv=conv(3, 4), **layers)


@member(3, 8, 8)
def functions_only():
    """What the layers are made of is written in a module's own code, in place and not, with slices and views."""

    class Shuffled(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel = nn.Parameter(torch.randn(6, 4, 3, 3) * 0.2)
            self.scale = nn.Parameter(torch.ones(6, 1, 1))

        def forward(self, x):
            y = F.conv2d(x, self.kernel / self.kernel.flatten(1).norm(dim=1)[:, None, None, None], padding=1) * self.scale
            left, right = y[:, :3], y[:, 3:]
            left = F.relu_(left - 0.1)
            right[:, :1].mul_(2)
            parts = torch.stack([left, right], 2).flatten(1, 2).chunk(3, 1)
            return torch.cat([parts[1], parts[2], parts[0]], 1)

    def run(net, x):
        x = F.max_pool2d(F.leaky_relu(net.stem(x), 0.1), 2)
        x = F.interpolate(net.inner(x), scale_factor=2.0)
        x += 0.5
        x = F.dropout(x.to(torch.float32).contiguous(), 0.5, net.training)
        return F.linear(x.mean((2, 3)), net.weight)

    network = Written(run, stem=conv(3, 4), inner=Shuffled())
    network.weight = nn.Parameter(torch.randn(3, 6))
    return network


@member(3, 8, 8)
def concatenation():
    def run(net, x):
        x = net.stem(x)
        return net.head(net.join(torch.cat([net.left(x), net.right(x), x], 1)))

    return Written(run, stem=conv(3, 2), left=conv(2, 2, 1), right=conv(2, 3), join=conv(7, 4, 1), head=head(4))


@member(3, 8, 8)
def norms_and_dropout():
    norms = [nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True, track_running_stats=True)]
    parts = [each for norm in norms for each in (conv(4, 4), norm, nn.LeakyReLU(0.1), nn.Dropout2d(0.5))]
    return nn.Sequential(conv(3, 4), *parts, head(4), nn.Dropout(0.5))


@member(3, 8, 8)
def depthwise_and_separable():
    separable = nn.Sequential(conv(6, 6, groups=6, bias=False), conv(6, 4, 1))
    return nn.Sequential(conv(3, 6, groups=3), nn.ReLU(), separable, nn.BatchNorm2d(4), nn.SiLU(inplace=True), head(4))


@member(4, 9, 9)
def grouped_and_dilated():
    return nn.Sequential(
        conv(4, 6, groups=2, stride=2), nn.ReLU(), conv(6, 6, dilation=2, padding=2, groups=3), nn.GELU(), head(6)
    )


@member(3, 8, 8)
def transposed():
    """An encoder and a decoder that gives a picture."""
    down = nn.Sequential(conv(3, 4, stride=2), nn.ReLU(inplace=True))
    up = nn.Sequential(
        nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2), nn.PReLU(), nn.ConvTranspose2d(6, 3, 3, padding=1, bias=False)
    )
    return nn.Sequential(down, up, nn.Upsample(scale_factor=2), nn.ZeroPad2d(1))


@member(1, 8, 8)
def grey_without_bias():
    return nn.Sequential(
        conv(1, 4, bias=False), nn.ReLU(), nn.AvgPool2d(2), conv(4, 2, bias=False), nn.Flatten(), nn.Linear(32, 2, bias=False)
    )


@member(6, 8, 6)
def six_channels():
    return nn.Sequential(nn.ReflectionPad2d(1), conv(6, 4, padding=0), nn.PixelShuffle(2), nn.ReLU(), head(1), nn.Softmax(1))


@member(3, 8, 8)
def tuple_output():
    return Written(lambda net, x: (net.one(net.stem(x)), net.two(net.stem(x))), stem=conv(3, 4), one=head(4), two=conv(4, 2))


@member(3, 8, 8)
def dict_output():
    def run(net, x):
        x = net.stem(x)
        return {"class": net.head(x), "inside": {"map": net.map(x)}}

    return Written(run, stem=conv(3, 4), head=head(4), map=conv(4, 2))


@dataclass(frozen=True)
class Answer:
    scores: torch.Tensor
    inside: tuple[torch.Tensor, torch.Tensor]
    name: str = "an answer"


@member(3, 8, 8)
def dataclass_output():
    """Also between two layers."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = conv(4, 4), conv(4, 4, 1)

        def forward(self, x):
            return Answer(self.one(x), (self.two(x), x))

    def run(net, x):
        between = net.two(net.stem(x))
        first, second = between.inside
        return Answer(net.head(F.relu(between.scores + first)), (first * 2, second))

    return Written(run, stem=conv(3, 4), two=Two(), head=head(4))


@member(2, 16)
def one_dimension():
    pooled = nn.Sequential(nn.MaxPool1d(2), nn.Conv1d(4, 4, 3, groups=4), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))
    return nn.Sequential(nn.Conv1d(2, 4, 5), nn.BatchNorm1d(4), nn.ReLU(inplace=True), pooled)


@member(2, 4, 6, 6)
def three_dimensions():
    pooled = nn.Sequential(nn.AvgPool3d(2), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 2))
    return nn.Sequential(nn.Conv3d(2, 3, 3, padding=1), nn.BatchNorm3d(3), nn.ReLU(inplace=True), pooled)


@member(3, 1, 1)
def one_by_one_maps():
    return nn.Sequential(conv(3, 4, 1), nn.Sigmoid(), conv(4, 5, 1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(5, 2))


@member(3, 8, 8)
def recurrent():
    """A layer that returns three arrays; the pixels of a map are its steps."""

    def run(net, x):
        steps = net.stem(x).flatten(2).transpose(1, 2)
        out, _state = net.lstm(steps)
        return net.dense(out[:, -1])

    return Written(run, stem=conv(3, 4), lstm=nn.LSTM(4, 5, batch_first=True), dense=nn.Linear(5, 2))


@member(3, 8, 8)
def reserved_names():
    """Layers that are called what the network's own ends are called."""
    return Written(lambda net, x: 2 * net.output(net.input(x)), input=conv(3, 4), output=head(4))


@member(3, 8, 8)
def data_parallel():
    return nn.DataParallel(nn.Sequential(conv(3, 4), nn.ReLU(inplace=True), head(4)))


@member(12)
def dense_only():
    return nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))


@member([(3, 8, 8), (1, 8, 8), (4,)])
def several_inputs():
    """A picture, its depth, and numbers beside them; the depth is written into."""

    class Several(nn.Module):
        def __init__(self):
            super().__init__()
            self.colour, self.depth, self.gate, self.head = conv(3, 4), conv(1, 4), nn.Linear(4, 4), head(4)

        def forward(self, picture, depth, numbers, *, scale=1.0):
            depth.mul_(2)
            maps = F.relu(self.colour(picture) + self.depth(depth))
            return self.head(maps * torch.sigmoid(self.gate(numbers))[:, :, None, None] * scale)

    return Several()


@member({"which": (), "picture": (3, 8, 8)})
def whole_number_input():
    """The number of a class beside the picture, by the names of forward's parameters."""

    class Conditional(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.table, self.head = conv(3, 4), nn.Embedding(5, 4), head(4)

        def forward(self, picture, mask=1.0, *, which):
            picture = picture * mask
            return self.head(torch.tanh(self.stem(picture)) + self.table(which)[:, :, None, None])

    return Conditional()


@member(3, 8, 8)
def one_layer():
    return conv(3, 4)
