"""Every error that convscope raises on purpose. Anything else that escapes is a defect of ours.

    ConvscopeError                 catch this
     |- ModelError                 the network, as given
     |   |- Unsupported            no engine, or no gradient here; says what can
     |   |- MissingExtra           a package is not installed      .package .extra
     |   |- NotAModel              a file that cannot be opened    .path
     |   |- Untrusted              a file that could run code      .path
     |   |- UnknownLayer(KeyError) .name .known
     |   `- EngineError            the framework failed            .layer, the last one reached; the original as __cause__
     |- InputError(ValueError)     .received .expected
     |   |- WrongPictureShape
     |   |- WrongClass             .name .labels
     |   |- SeveralClasses         .name .numbers
     |   |- NotAPicture            .path
     |   `- WrongOption            an argument that is not one of those that are possible
     |- OutputError                .path  a folder or file that cannot be written
     `- StudyError                 .path  a study folder that is missing, damaged or of another version

A message says what happened, what was received and what to do, a sentence each.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from os import PathLike

Shape = tuple[int | None, ...]


class ConvscopeError(Exception):
    """Base of every error that convscope raises on purpose."""


class ModelError(ConvscopeError):
    """Something about the network, as given.

    rows   where all that stands against a run is that these rows cannot be read in it, {row: why}: the others can
    """

    rows: Mapping[str, str] = {}


class Unsupported(ModelError):
    """The network, as given, cannot answer this question; the message says what can."""


class MissingExtra(ModelError):
    """A package that this network needs is not installed."""

    def __init__(self, package: str, extra: str, why: str):
        self.package, self.extra = package, extra
        super().__init__(f"{why} needs {package}, which is not installed. Run: pip install 'convscope[{extra}]'")


class NotAModel(ModelError):
    """A file that is no network, is damaged, or is of another kind than its name says."""

    def __init__(self, path: str | PathLike[str], why: str):
        self.path = str(path)
        super().__init__(f"Cannot open '{path}' as a network: {why}")


class Untrusted(ModelError):
    """A file that would run code of its author when it is opened."""

    def __init__(self, path: str | PathLike[str], why: str):
        self.path = str(path)
        super().__init__(
            f"'{path}' {why}, so that opening it could run somebody's code. "
            "If you trust where it comes from, open it with trust=True (--trust on the command line)."
        )


class DownloadError(ModelError):
    """Weights that cannot be fetched. `path` is where they can be put by hand."""

    def __init__(self, url: str, path: str | PathLike[str], why: str):
        self.url, self.path = url, str(path)
        super().__init__(f"Cannot fetch {url}: {why} To do without a network, put that file at '{path}'.")


class UnknownName(ModelError):
    """No network of that name in a library."""

    def __init__(self, library: str, name: str, known: Sequence[str]):
        self.name, self.known = name, tuple(known)
        lower = {each.lower(): each for each in known}
        near = f" Did you mean '{lower[name.lower()]}'?" if name.lower() in lower else did_you_mean(name, known)
        super().__init__(f"{library} has no '{name}'.{near or ' It has: ' + ', '.join(known) + '.'}")


class UnknownLayer(ModelError, KeyError):
    """No such layer. `name` was asked for, `known` are those there are."""

    def __init__(self, name: str, known: Sequence[str]):
        self.name, self.known = name, tuple(known)
        super().__init__(f"No layer '{name}' among the {len(known)} to choose from.{did_you_mean(name, known)}")

    def __str__(self) -> str:  # KeyError would show the message in quotes
        return str(self.args[0])


class EngineError(ModelError):
    """The framework failed while the network ran. `layer` is the last one that was reached."""

    def __init__(self, message: str, layer: str | None = None):
        self.layer = layer
        super().__init__(message)


class InputError(ConvscopeError, ValueError):
    """A picture or an argument that cannot be used."""

    def __init__(self, message: str, *, received: object = None, expected: object = None):
        self.received, self.expected = received, expected
        super().__init__(message)


class WrongPictureShape(InputError):
    """An array of another shape than the network takes. Shapes are channels first; None stands for any size.

    name   of the input, where there are several
    why    what the network said, where it was tried with this shape all the same
    """

    def __init__(self, received: Sequence[int], expected: Shape, name: str | None = None, why: str | None = None):
        hint = ""
        if len(received) == len(expected) and received[-1] == expected[1] != received[1]:
            hint = " The channels look last: pass pictures.transpose(0, 3, 1, 2)."
        elif expected[0] and all(want in (None, got) for want, got in zip(expected[1:], received[1:], strict=False)):
            hint = f" It takes {expected[0]} at once: give a multiple of {expected[0]} pictures, the same one several times say."
        elif why is not None:
            hint = f" It was tried, and failed: {why}"
        elif len(received) == len(expected) and received[1] == expected[1] and name is None:
            hint = f" If the network takes any size, open it with picture_shape={tuple(received[1:])}."
        wanted = "(" + ", ".join("any" if size is None else str(size) for size in expected) + ")"
        what = "pictures" if len(expected) == 4 else "arrays"
        takes = f"This network takes {what}" if name is None else f"The input '{name}' of this network takes arrays"
        super().__init__(
            f"{takes} of shape {wanted}, but received {tuple(received)}.{hint}",
            received=tuple(received),
            expected=expected,
        )


FEW = 20  # classes: so many are named where none is near to what was asked for


class WrongClass(InputError):
    """No such class. `name` was asked for; `labels` are those there are, None for a network that does not name its classes."""

    def __init__(self, name: object, labels: Sequence[str] | None, count: int):
        self.name, self.labels = name, labels
        near = did_you_mean(name, labels) if isinstance(name, str) and labels else ""
        if labels and isinstance(name, str) and not near and len(labels) <= FEW:
            near = f" They are {', '.join(map(repr, labels))}."
        if labels is None and isinstance(name, str):
            near = " This network does not name its classes: ask by number, or open it with labels=."
        super().__init__(f"There is no class {name!r}: this network has {count}, 0 to {count - 1}.{near}", received=name)


class SeveralClasses(InputError):
    """A label that several classes have; `numbers` are theirs."""

    def __init__(self, name: str, labels: Sequence[str], numbers: Sequence[int]):
        self.name, self.numbers = name, tuple(numbers)
        which = ", ".join(f"{number} ('{labels[number]}')" for number in numbers[:8])
        super().__init__(f"'{name}' may be any of {len(numbers)} classes: {which}. Ask for one by its number.", received=name)


class NotAPicture(InputError):
    """A file that no picture can be read from."""

    def __init__(self, path: str | PathLike[str], why: str):
        self.path = str(path)
        super().__init__(f"Cannot read '{path}' as a picture: {why}", received=str(path), expected="a picture")


class WrongOption(InputError):
    """An argument that is not one of the possible ones."""

    def __init__(self, what: str, received: object, expected: Sequence[str]):
        near = did_you_mean(received, expected) if isinstance(received, str) else ""
        super().__init__(
            f"{what} cannot be {received!r}. It is one of: {', '.join(map(repr, expected))}.{near}",
            received=received,
            expected=tuple(expected),
        )


class OutputError(ConvscopeError):
    """A file or folder that cannot be written."""

    def __init__(self, path: str | PathLike[str], why: str):
        self.path = str(path)
        super().__init__(f"Cannot write '{path}': {why}")


class StudyError(ConvscopeError):
    """A study folder that is missing, damaged or of another version."""

    def __init__(self, path: str | PathLike[str], why: str):
        self.path = str(path)
        super().__init__(f"Cannot open the study '{path}': {why}")


class UnusedLayer(UnknownLayer):
    """A layer that the network has and does not use."""

    def __init__(self, name: str, known: Sequence[str]):
        self.name, self.known = name, tuple(known)
        ModelError.__init__(
            self,
            f"'{name}' is a layer of this network, but was not called when the network was opened, so that the "
            "layer table does not have it. Ask for a layer of the table.",
        )


class PieceOfLayer(UnknownLayer):
    """A layer inside another that its framework runs as one piece."""

    def __init__(self, name: str, whole: str, known: Sequence[str]):
        self.name, self.known = name, tuple(known)
        ModelError.__init__(
            self,
            f"'{name}' is inside the layer '{whole}', which is read as one piece. Ask for '{whole}', or open what it is made of "
            "by itself.",
        )


class LeftOut(UnknownLayer):
    """A layer that was among those asked for, and could not be read."""

    def __init__(self, name: str, known: Sequence[str], why: str):
        self.name, self.known = name, tuple(known)
        ModelError.__init__(self, why)


class UnknownRow(UnknownLayer):
    """No row of that number in the layer table."""

    def __init__(self, index: int, known: Sequence[str]):
        self.name, self.known = str(index), tuple(known)
        ModelError.__init__(self, f"There is no row {index} in the layer table: its {len(known)} rows are 0 to {len(known) - 1}.")


class ConvscopeWarning(UserWarning):
    """Something that may not be meant."""


def not_read(errors: Mapping[str, ModelError]) -> ModelError:
    """The first of `errors`, which says of all rows that it is of why they cannot be read."""
    first = next(iter(errors.values()))
    first.rows = {row: str(error) for row, error in errors.items()}
    return first


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """ " Did you mean 'conv1' or 'conv2'?", or "" where nothing is near."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(each) for each in near)}?" if near else ""
