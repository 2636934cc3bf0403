r"""Whether each method depends on what a network learned: cascading randomisation, as a table (Adebayo et al. 2018).

    KERAS_BACKEND=torch python training/randomised.py -m net.keras --pictures val.zip --classes cat golf_ball
    PYTHONPATH=src:tests python training/randomised.py -m resnet20_cifar10.th --architecture cifar_resnet:resnet20 \
        --shape 3,32,32 --preprocess "torch 32" --pictures val.zip --classes cat garbage_truck --methods saliency,lrp

Of each class the first picture of the archive, or folder, with a folder per class.
"""

from __future__ import annotations

import argparse

import convscope
from convscope.methods.explain import METHODS
from convscope.scan.sources import listing

QUICKER = {"smooth-grad": {"samples": 15}, "var-grad": {"samples": 15}, "integrated-gradients": {"steps": 16},
           "expected-gradients": {"samples": 16}, "occlusion": {"window": 32, "stride": 16},
           "rise": {"masks": 500}, "extremal": {"steps": 60}}  # fmt: skip


def first_of(pictures: str, classes: list[str]) -> list[object]:
    """The pixels of the first picture of each class."""
    found = listing(pictures)
    numbers = [found.classes.index(name) for name in classes]
    return [next(item for item in found.items(0) if item.label == number).read().read().pixels for number in numbers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--architecture")
    parser.add_argument("--shape", help="C,H,W")
    parser.add_argument("--preprocess")
    parser.add_argument("--pictures", required=True)
    parser.add_argument("--classes", nargs="+", required=True)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument(
        "--methods", default=",".join(name for name in METHODS if name != "lrp"), help="lrp is of torch modules only"
    )
    given = parser.parse_args()
    shape = None if given.shape is None else tuple(map(int, given.shape.split(",")))
    net = convscope.open(given.model, architecture=given.architecture, picture_shape=shape, preprocess=given.preprocess)
    pictures = first_of(given.pictures, given.classes)
    for number, method in enumerate(given.methods.split(",")):
        options = QUICKER.get(method, {}) | ({"among": pictures} if method == "expected-gradients" else {})
        steps = convscope.check(method, net, pictures, layers=given.layers, **options).steps
        if not number:
            print(f"| random from the end to | {' | '.join(step.layer for step in steps)} |\n|---|{'---|' * len(steps)}")
        print(f"| {method} | {' | '.join(f'{step.magnitude:.2f}' for step in steps)} |", flush=True)


if __name__ == "__main__":
    main()
