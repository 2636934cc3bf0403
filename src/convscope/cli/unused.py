"""Options that would do nothing beside others: they are refused, since a user who gave one counts on it."""

from __future__ import annotations

import typer

from ..errors import InputError


def refuse_unused(context: typer.Context, why: str, *names: str) -> None:
    """Raises InputError for those parameters of the command, among `names`, that were given.

    why    in which case they do nothing: "with --together"
    """
    given = [option for name in names if was_given(context, name) for option in [written(context, name)]]
    if given:
        do, them = ("does", "it") if len(given) == 1 else ("do", "them")
        raise InputError(f"{' and '.join(given)} {do} nothing {why}. Leave {them} out.", received=given)


def was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def written(context: typer.Context, name: str) -> str:
    """A parameter as a user writes it: "--out"."""
    return next(max(each.opts, key=len) for each in context.command.params if each.name == name)
