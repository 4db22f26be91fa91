"""Every model of keras.applications, exported: time, size, parity with Keras, and peak memory.

    python benchmarks/applications.py [--models VGG16 NASNetLarge] [--size 0] [--limit-gib 8]

Each is a process of its own, with random weights, pictures of noise, and logits as its answer; `s`
is the export alone, with its checks, and `peak` the most memory that the process held. `--size` is
the side of the pictures, the least that every model takes where it is left out; 0 is each model's
own. A model that takes more than the limit is stopped, and says so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import children
import numpy as np

HEAD = f"{'model':20} weights MiB       s  peak MiB   nodes  Transposes  max error  SQNR dB"
#: Inception's valid convolutions leave nothing of a smaller picture.
LEAST = 75
#: What the last normalisation of a branch is scaled by. At 1, a hundred untrained branches make any
#: answer of a rounding of the input, in Keras too.
GAIN = 0.2


def names() -> list[str]:
    """Give every model that keras.applications makes."""
    import keras

    return [name for name in dir(keras.applications) if name[0].isupper()]


def build(name: str, size: int) -> Any:
    """Make one with random weights, whose branches add little to what they branch from."""
    import keras

    keras.utils.set_random_seed(0)
    shape = {"input_shape": (size, size, 3)} if size else {}
    make = getattr(keras.applications, name)
    model = make(weights=None, classifier_activation=None, **shape)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and layer.scale and _is_added(layer):
            layer.gamma.assign(GAIN * np.ones(layer.gamma.shape))
    return model


def _is_added(layer: Any) -> bool:
    """Whether what a layer gives is added to something, after a Dropout or none."""
    kinds = {type(node.operation).__name__: node.operation for node in layer._outbound_nodes}
    return "Add" in kinds or ("Dropout" in kinds and _is_added(kinds["Dropout"]))


def pixels(model: Any) -> np.ndarray[Any, Any]:
    """Make four pictures of noise."""
    shape = (4, *(side or 224 for side in model.input_shape[1:]))
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)


def measure(name: str, size: int, limit_gib: float) -> str:
    """Export one, in a process of its own, and give its row."""
    done = children.run([sys.executable, __file__, "--child", name, "--size", str(size)], limit_gib)
    return f"{name:20} {done.reason[:200]}" if done.reason else done.output


def child(name: str, size: int) -> None:
    """Export one, and print its row."""
    import onnx

    import edgekit
    from edgekit.latency.worker import peak_memory_bytes

    model = build(name, size)
    pictures = pixels(model)
    weights = sum(4 * weight.numpy().size for weight in model.weights) / 2**20
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        start = time.perf_counter()
        made: Any = edgekit.export(model, path, reference={model.inputs[0].name: pictures})
        seconds = time.perf_counter() - start
        nodes = Counter(n.op_type for n in onnx.load(path, load_external_data=False).graph.node)
    outputs = [output for case in made.parity.values() for output in case]
    peak = (peak_memory_bytes() or 0) / 2**20
    print(
        f"{name:20} {weights:11.0f} {seconds:7.1f} {peak:9.0f} {nodes.total():7d} "
        f"{nodes['Transpose']:11d} {max(o.max_abs_error for o in outputs):10.1e} "
        f"{min(o.sqnr_db for o in outputs):8.1f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="*")
    parser.add_argument("--size", type=int, default=LEAST)
    parser.add_argument("--limit-gib", type=float, default=8.0)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.size)
        return
    print(HEAD)
    for name in arguments.models or names():
        print(measure(name, arguments.size, arguments.limit_gib), flush=True)


if __name__ == "__main__":
    main()
