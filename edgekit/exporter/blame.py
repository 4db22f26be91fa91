"""Which Keras layer an error is about: by the name of a graph's node, or by a traceback.

Nodes carry the name scopes of the layers that made them, with numbers where a scope was opened
twice; a layer's path here is the names of the layers around it, `model/block/dense`.
"""

from __future__ import annotations

import contextlib
import re
import traceback
from typing import TYPE_CHECKING, Any

from edgekit.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANSI = re.compile("\x1b" + r"\[\d*m")
_NODE = re.compile(r"[\w.\-]+(?:/[\w.\-]+)+")


def layer_of_node(model: Any, name: str) -> str | None:
    """Give the path of the innermost layer whose scopes a node's name has, None for none."""
    path: list[str] = []
    inner = [model]
    for scope in name.split("/"):
        found = next((layer for layer in inner if layer.name == scope), None) or next(
            (layer for layer in inner if re.fullmatch(re.escape(layer.name) + r"_\d+", scope)), None
        )
        if found is not None:
            path.append(found.name)
            inner = list(getattr(found, "_layers", ()))
    return "/".join(path) if len(path) > 1 or path == [model.name] else None


def layer_in_text(model: Any, text: str) -> str | None:
    """Give the path of the layer that a message with a node's name in it is about."""
    paths = [layer_of_node(model, match.group()) for match in _NODE.finditer(text)]
    return max((path for path in paths if path), key=len, default=None)


@contextlib.contextmanager
def whole_tracebacks() -> Iterator[None]:
    """Let Keras keep its own frames and messages in what is raised inside the block."""
    import keras

    filtered = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        if filtered:
            keras.config.enable_traceback_filtering()


def cause_in_a_call(error: Exception) -> str:
    """Say what was raised, and by which layer's call where one is in the traceback."""
    import keras

    path: list[str] = []
    hidden: list[Any] = []
    for frame, _ in traceback.walk_tb(error.__traceback__):
        layer = frame.f_locals.get("self")
        if isinstance(layer, keras.Layer) and layer.name not in path[-1:]:
            # A Sequential has a model of its own making inside.
            hidden.append(getattr(layer, "_functional", None))
            if not any(layer is each for each in hidden):
                path.append(layer.name)
    return f"the layer {'/'.join(path)!r}: {one_line(error)}" if path else one_line(error)


def cause_in_a_message(error: Exception) -> str:
    """Find the cause in what Keras wraps around an error of a layer's `call`."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Exception encountered when calling"):
        where = lines[0].removeprefix("Exception encountered when calling").strip(" .")
        return f"{where}: {_ANSI.sub('', lines[1]).rstrip('.')}"
    return one_line(error)
