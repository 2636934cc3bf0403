"""The scripts of a page. They are plain ES modules, one file each; a page has them joined into one, within itself.

A page that is opened from a disk may not import modules from files beside it, and a notebook or a widget takes one text. So the
modules are written one after the other, each after those that it imports, and the lines that import and export are left out.
What a module declares at its outermost level has therefore to have a name of its own; `joined` makes sure of it.
"""

from __future__ import annotations

import re
from importlib.resources import files

IMPORT = re.compile(r"^import \{[^}]*\} from \"\./([\w.]+)\";\n", re.MULTILINE)
EXPORT = re.compile(r"^export (?=(async )?(function|class|const)\b)", re.MULTILINE)
DECLARED = re.compile(r"^(?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)


def joined(entry: str) -> str:
    """The module static/`entry` with all that it imports, as one module without imports.

    raises   ValueError if two modules declare the same name, which would break the page
    """
    order: list[str] = []
    _collect(entry, order)
    parts = {name: EXPORT.sub("", IMPORT.sub("", static(name))).strip() for name in order}
    owners: dict[str, str] = {}
    for name, part in parts.items():
        for declared in DECLARED.findall(part):
            if owners.setdefault(declared, name) != name:
                raise ValueError(f"Both {owners[declared]} and {name} declare '{declared}' at their outermost level.")
    return "\n\n".join(f"// {name}\n{part}" for name, part in parts.items())


def static(name: str) -> str:
    """The text of a file in static/."""
    return (files("convscope.site") / "static" / name).read_text(encoding="utf-8")


def _collect(name: str, order: list[str]) -> None:
    for needed in IMPORT.findall(static(name)):
        if needed not in order:
            _collect(needed, order)
    if name not in order:
        order.append(name)
