"""The command line's one application, which the modules of commands add themselves to."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


def print_version(asked: bool) -> None:
    if asked:
        print(f"convscope {version('convscope')}")
        raise typer.Exit


@app.callback()
def convscope(
    _: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """See inside any convolutional network: its layers, its filters, the feature maps that a picture leaves."""
