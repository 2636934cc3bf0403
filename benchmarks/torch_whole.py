"""torch: the outputs of all layers in one pass, and of functions, over the bare forward; opening weights, over loading them."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import networks
import numpy as np
import torch
from timing import compared

import convscope

PICTURE = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)


def report(what: str, seconds: dict[str, float], must: float) -> None:
    row = {"what": what, "engine": "torch", "seconds": seconds["ours"], "against": seconds["bare"]}
    print(json.dumps(row | {"ratio": seconds["ours"] / seconds["bare"], "must": must}), flush=True)


def all_outputs(name: str, module: torch.nn.Module) -> None:
    network, picture = convscope.open(module, picture_shape=(3, 224, 224)), torch.from_numpy(PICTURE)
    layers = [row.name for row in network.graph if row.kind not in ("input", "network") and not row.function]
    functions = [row.name for row in network.graph if row.function]

    def bare():
        with torch.no_grad():
            return module(picture)

    jobs = {
        "bare": bare,
        "layers": lambda: network.engine.run(PICTURE, [*layers, "output"]),
        "functions": lambda: network.engine.run(PICTURE, [*functions, "output"]),
    }
    seconds = compared(jobs)
    for job, what, must in (
        ("layers", f"all {len(layers)} outputs of layers of {name}", 1.6),
        ("functions", f"all {len(functions)} outputs of functions of {name}", 2.0),
    ):
        report(what, {"ours": seconds[job], "bare": seconds["bare"]}, must)


def copies(name: str, module: torch.nn.Module) -> None:
    """Hooks that do nothing but copy, into memory that is kept: no reader of all outputs can do with less."""
    picture, kept = torch.from_numpy(PICTURE), dict[torch.nn.Module, torch.Tensor]()

    def copy(layer, _args, out):
        kept.setdefault(layer, torch.from_numpy(np.empty(out.shape, np.float32))).copy_(out)

    def bare():
        with torch.no_grad():
            module(picture)

    def copied():
        leaves = [each for each in module.eval().modules() if not list(each.children())]
        hooks = [each.register_forward_hook(copy) for each in leaves]
        start = time.perf_counter()
        bare()
        taken.append(time.perf_counter() - start)
        for each in hooks:
            each.remove()

    taken: list[float] = []
    seconds = compared({"bare": bare, "copied": copied})
    megabytes = sum(each.numel() for each in kept.values()) * 4e-6
    seconds["ours"] = statistics.median(taken[1:])
    report(f"{megabytes:.0f} MB of {name} copied, and no more", seconds, 1.6)


def opening(architecture: str) -> None:
    """Its layer table, over making the module and loading the weights into it; and that of the live module, in seconds."""
    home, _, name = architecture.partition(":")
    if home == "timm":
        sys.path.append(str(Path(__file__).parents[1] / "tests"))
        __import__("torchvision_ops").torchvision()  # which timm needs

    def build():
        return __import__("timm").create_model(name) if home == "timm" else getattr(networks, name)()

    path = Path(tempfile.mkdtemp()) / "weights.pth"
    live = build().eval()
    torch.save(live.state_dict(), path)

    def bare():
        module = build()
        module.load_state_dict(torch.load(path, weights_only=True))
        return module

    jobs = {
        "bare": bare,
        "ours": lambda: convscope.open(path, architecture=architecture, picture_shape=(3, 224, 224)).layers,
        "live": lambda: convscope.open(live, picture_shape=(3, 224, 224)).layers,
    }
    seconds = compared(jobs, rounds=5)
    report(f"opening weights of {path.stat().st_size / 1e6:.0f} MB, {name}", seconds, 2.0)
    print(json.dumps({"what": f"opening a live {name}", "engine": "torch", "seconds": seconds["live"]}), flush=True)


def main(what: list[str]) -> None:
    if not what or "outputs" in what:
        all_outputs("ResNet-50", networks.torch_resnet50())
        all_outputs("MobileNetV2", networks.torch_mobilenet_v2())
    if "copies" in what:
        copies("MobileNetV2", networks.torch_mobilenet_v2())
    if not what or "opening" in what:
        for architecture in what[1:] or ["networks:torch_resnet50"]:
            opening(architecture)


if __name__ == "__main__":
    main(sys.argv[1:])
