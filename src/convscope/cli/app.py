"""The command line's one application, which the modules of commands add themselves to."""

from __future__ import annotations

import typer

app = typer.Typer(
    help="See inside any convolutional network: its layers, its filters, the feature maps that a picture leaves.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
