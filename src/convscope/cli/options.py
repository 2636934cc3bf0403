"""What commands are told: the options that several of them have, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Pictures = Annotated[  # texts, since a Path makes one slash of the two in https://
    list[str] | None, typer.Argument(help="Pictures or folders of pictures. Without any, the built-in photograph.")
]
Model = Annotated[
    str, typer.Option("--model", "-m", help="A file (.onnx .keras .h5 .pt), 'demo', or a name: 'keras:VGG16', 'timm:resnet50'.")
]
Weights = Annotated[str | None, typer.Option(help="For a name: 'imagenet', a tag, or a file. Without it they are random.")]
Architecture = Annotated[
    str | None,
    typer.Option(help="For a file of weights only: 'torchvision:resnet18', 'timm:NAME', 'keras:NAME' or 'my.module:build'."),
]
Partial = Annotated[bool, typer.Option("--partial", help="Let weights be missing or left over.")]
Labels = Annotated[
    Path | None,
    typer.Option(help="The names of the classes: a text file, one per line, or a folder or .zip with a folder per class."),
]
Preprocessing = Annotated[
    str | None,
    typer.Option(
        "--preprocess",
        help="What is done to a picture: caffe, tf, torch, 0..1, -1..1, 0..255, also with a size ('torch 224'), or a JSON file.",
    ),
]
Shape = Annotated[str | None, typer.Option("--shape", help="What a torch network takes, channels first: 3,224,224.")]
Trust = Annotated[bool, typer.Option("--trust", help="Open files that run code of their author: pickles, Lambda layers.")]
At = Annotated[
    list[str] | None,
    typer.Option("--at", help="blocks, convs, operations, all, a name, an index, or a pattern: 'block5_*'; several with commas."),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The folder of the study. An earlier study there is replaced.")]
SingleFile = Annotated[bool, typer.Option("--single-file", help="Write one page that can be mailed instead of a folder.")]
First = Annotated[int, typer.Option(min=0, help="How many maps a sheet shows at most; 0 for all.")]
Order = Annotated[
    str,
    typer.Option(
        help="Which maps come first: auto (answer, if known), answer (what speaks for it), mean, max, active, variance, plain."
    ),
]
Scale = Annotated[
    str, typer.Option(help="map: each map by its own range. shared: one for all maps of a sheet. 0..1: this one, on every sheet.")
]
Colour = Annotated[str, typer.Option(help="auto, gray, viridis, magma, diverging.")]
Table = Annotated[Path | None, typer.Option("--table", help="Write a row per picture, layer and unit too: .csv or .parquet.")]
Arrays = Annotated[Path | None, typer.Option("--arrays", help="Write the maps of all layers to one file too: .npz or .zarr.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, for a program to read.")]
Why = Annotated[str, typer.Option(help="The method that explains the answer on the page, or none. auto: grad-cam or cam.")]
Raw = Annotated[bool, typer.Option("--raw", help="Show a convolution's own output, before the activation that follows it.")]
Activated = Annotated[bool, typer.Option("--activated", help="Read a convolution after the activation that follows it.")]
Via = Annotated[str | None, typer.Option("--via", help="'torch' converts an ONNX network, for gradients.")]
Channels = Annotated[
    str | None,
    typer.Option(
        "--channels",
        help="Which channels of a picture are drawn as red, green, blue, from 0: 3,2,1; or one. Of a signal their names: Fz,Cz.",
    ),
]
