"""Inner tensors of a model, one sample at a time: the memory of one sample's activations.

Nothing is fused on the way, so every tensor is what the file says.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from edgekit.signature import Feeds, Outputs


def observe(model: Path, names: Sequence[str], feeds: Iterable[Feeds]) -> Iterator[Outputs]:
    """Run the feeds and give tensors by name for each: inputs, inner ones or outputs."""
    with tempfile.TemporaryDirectory(dir=model.parent) as folder:
        marked = Path(folder) / model.name
        _mark(model, names, marked)
        session = open_plain(marked)
        given = {arg.name for arg in session.get_inputs()}
        asked = [name for name in names if name not in given]
        for feed in feeds:
            found = dict(zip(asked, session.run(asked, feed), strict=True)) if asked else {}
            yield found | {name: feed[name] for name in names if name in given}


def _mark(source: Path, names: Sequence[str], target: Path) -> None:
    """Write a copy that gives some of its inner tensors as outputs too."""
    import onnx_ir as ir

    model = ir.load(source)
    known = {value.name: value for node in model.graph for value in node.outputs}
    outputs = {value.name for value in model.graph.outputs}
    model.graph.outputs.extend(known[n] for n in names if n in known and n not in outputs)
    ir.save(model, target)


def open_plain(model: Path) -> Any:
    """Open a session on the CPU that leaves the graph as it is."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3  # errors: a model that was prepared has warnings of no interest
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
