"""The page as a widget: what is chosen on it is known in Python, and the other way round. Needs anywidget."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import InputError, MissingExtra

if TYPE_CHECKING:
    from ..results import MapSet

# The page stands in a frame of its own. It says what is shown by an event of its window; what Python sets, it is told.
SCRIPT = """
export default {
  render({ model, el }) {
    const frame = document.createElement("iframe");
    frame.style = "width: 100%; height: 860px; border: 0";
    frame.title = "What a network sees";
    frame.srcdoc = model.get("page");
    el.append(frame);
    const tell = () => {
      const viewer = frame.contentWindow?.convscope?.viewer;
      viewer?.goTo(model.get("layer"), model.get("picture"), model.get("unit"));
    };
    frame.addEventListener("load", () => {
      frame.contentWindow.addEventListener("convscope", ({ detail }) => {
        for (const [name, value] of Object.entries(detail)) model.set(name, value);
        model.save_changes();
      });
    });
    for (const name of ["layer", "picture", "unit"]) model.on(`change:${name}`, tell);
  },
};
"""


@cache
def _kind() -> Any:
    """The class, made when it is first wanted: anywidget is imported by nobody else."""
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise MissingExtra("anywidget", "notebook", "The widget") from error

    class Viewer(anywidget.AnyWidget):
        """`layer`, `picture` and `unit`: what is shown now. Setting one shows it; a click on the page sets it."""

        _esm = SCRIPT
        page = traitlets.Unicode().tag(sync=True)
        layer = traitlets.Unicode().tag(sync=True)
        picture = traitlets.Int(0).tag(sync=True)
        unit = traitlets.Int(0).tag(sync=True)

        def __init__(self, maps: MapSet, **traits: Any):
            self._maps = maps
            super().__init__(**traits)

        @traitlets.validate("layer")
        def _known_layer(self, proposal: Any) -> str:
            if proposal["value"] not in self._maps:
                raise InputError(f"'{proposal['value']}' was not read: {', '.join(self._maps)} were.", received=proposal["value"])
            return str(proposal["value"])

    return Viewer


def widget(maps: MapSet) -> Any:
    """The page of `maps` as a widget. Raises MissingExtra without anywidget."""
    kind = _kind()
    from ..studies.single import page_of

    return kind(maps, page=page_of(maps), layer=list(maps)[-1])
