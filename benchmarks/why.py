"""What explaining an answer costs over the bare forward of the same engine: `why.py torch | keras` prints JSON lines.

Grad-CAM and the bare forward are medians of rounds, as in capture.py. What takes many forwards runs once or twice, and the
quicker one counts.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable

import networks
import numpy as np
from capture import PICTURE, keras_network, torch_network
from timing import compared

from convscope.methods.ablation import ablate_units
from convscope.methods.cam import by_gradients, grad_cam, layer_cam
from convscope.methods.gradients import integrated_gradients, smooth_grad
from convscope.methods.occlusion import occlusion
from convscope.methods.perturbation import score_cam
from convscope.methods.resume import MEMORY
from convscope.methods.targets import resolve


def seconds(job: Callable[[], object], times: int = 1) -> float:
    """The quickest of several."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        job()
        taken.append(time.perf_counter() - start)
    return min(taken)


def row(what: str, engine: str, took: float, bare: float, must: float) -> None:
    line = {"what": what, "engine": engine, "seconds": took, "against": bare, "ratio": took / bare, "must": must}
    print(json.dumps(line), flush=True)


def torch_rows() -> None:
    network, bare_job = torch_network(networks.torch_vgg16)
    engine, bare = network.engine, compared({"bare": bare_job})["bare"]
    target, last = resolve(engine, PICTURE, 0), network.layers.convolutions.names[-1]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def cam() -> object:
        return by_gradients(engine, PICTURE, target, [last], grad_cam)

    row("Grad-CAM at the last convolution of VGG16", "torch", *both(cam, bare_job), 1.3)
    took = seconds(lambda: ablate_units(engine, PICTURE, last), 2)
    row("512 units of VGG16's last convolution switched off", "torch", took, bare, 12)
    took = seconds(lambda: occlusion(engine, PICTURE, target, window=32, stride=16))
    row("occlusion, window 32, stride 16, VGG16", "torch", took, bare, 125)
    took = seconds(lambda: integrated_gradients(engine, PICTURE, target, baselines=[np.zeros_like(PICTURE)], steps=50))
    row("integrated gradients, 50 steps, VGG16", "torch", took, bare, 110)
    took = seconds(lambda: score_cam(engine, PICTURE, target, last))
    row("Score-CAM, 512 maps, VGG16", "torch", took, bare, 450)
    network, bare_job = torch_network(networks.torch_resnet50)
    engine, bare = network.engine, compared({"bare": bare_job})["bare"]
    target, names = resolve(engine, PICTURE, 0), network.layers.convolutions.names
    last, inner = names[-1], [name for name in names if name.endswith("conv3")][12]  # layer3.5.conv3 in torchvision's words
    row("Grad-CAM at the last convolution of ResNet-50", "torch", *both(cam, bare_job), 1.3)
    took = seconds(lambda: ablate_units(engine, PICTURE, inner))
    row("1,024 units of ResNet-50's layer3.5.conv3 switched off", "torch", took, bare, 170)
    smooth_grad(engine, PICTURE, target, samples=25)
    by_gradients(engine, PICTURE, target, names, layer_cam)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    row("memory of all of these, bytes over the limit", "torch", grown, MEMORY, 1.0)


def keras_rows() -> None:
    for name in ("VGG16", "ResNet50"):
        network, bare_job = keras_network(name)
        engine, last = network.engine, network.layers.convolutions.names[-1]
        target = resolve(engine, PICTURE, 0)

        def cam(engine: object = engine, target: object = target, last: str = last) -> object:
            return by_gradients(engine, PICTURE, target, [last], grad_cam)

        cam()  # the second time, it is compiled
        row(f"Grad-CAM at the last convolution of {name}", "Keras on tensorflow", *both(cam, bare_job), 2.0)


def both(job: Callable[[], object], bare: Callable[[], object]) -> tuple[float, float]:
    """The median seconds of a method and of the bare forward, interleaved."""
    found = compared({"bare": bare, "job": job})
    return found["job"], found["bare"]


if __name__ == "__main__":
    {"torch": torch_rows, "keras": keras_rows}[sys.argv[1]]()
