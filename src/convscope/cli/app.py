"""The command line's one application, which the modules of commands add themselves to."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from ..errors import InputError

USAGE: Any = typer.BadParameter.__base__  # what the parser raises; its own name is not the same in all versions of typer


F = TypeVar("F", bound=Callable[..., Any])


class Command(TyperCommand):
    """A command of which an option with one value is given once: of two, the parser would take the last without a word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for option in dict[Any, None].fromkeys(order):
            once = option.param_type_name == "option" and not option.multiple and not getattr(option, "is_flag", False)
            if once and (times := order.count(option)) > 1:
                name = max(option.opts, key=len)
                raise InputError(f"'{name}' has one value, but received it {times} times. Give it once.", received=times)
        return super().parse_args(ctx, args)


class App(typer.Typer):
    """Of which every command is a Command."""

    def command(self, *args: Any, **how: Any) -> Callable[[F], F]:
        return super().command(*args, **{"cls": Command, **how})


app = App(
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
