"""edgekit's files against plain tf2onnx's, of the same weights, interleaved in one run.

    python benchmarks/exported_files.py [--duration 2] [--threads 1] [--batch 1] [--models rnn gru]

`plain` is what a careful call of tf2onnx gives: `from_function` over
`tf.function(model(x, training=False))`. Both files are compared with Keras first. `ratio` is the
paired ratio of p50 latencies, edgekit's over plain: below 1 is faster.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import edgekit
from edgekit.exporter import frameworks, sources, trace
from edgekit.latency import Candidate, benchmark
from edgekit.runtime.session import open_runner

LENGTH = 64
HEAD = "model        nodes  plain   export s  plain   p50 us   plain   ratio (95%)        max error"


def models() -> dict[str, Callable[[], Any]]:
    """Every model that is compared, untrained."""
    from model_defs import attention, convnet, rnn, transformer

    wide = {"depth": 128, "feed_forward": 512, "blocks": 4}
    return {
        "cnn": convnet.build,
        "rnn": rnn.build,
        "gru": lambda: rnn.build(cell="gru"),
        "lstm": lambda: rnn.build(cell="lstm"),
        "attention": attention.build,
        "transformer": transformer.build,
        "transformer4": lambda: transformer.build(**wide),
        "encoder4": encoder,
    }


def encoder() -> Any:
    """A Transformer encoder with a fixed length: 4 blocks, depth 128, 8 heads, 64 steps."""
    import keras

    layers = keras.layers
    x = y = keras.Input((LENGTH, 128), name="x")
    for _ in range(4):
        y = layers.LayerNormalization(epsilon=1e-6)(y + layers.MultiHeadAttention(8, 16)(y, y))
        update = layers.Dense(128)(layers.Dense(512, activation="relu")(y))
        y = layers.LayerNormalization(epsilon=1e-6)(y + update)
    return keras.Model(x, y)


def plain(model: Any, path: Path) -> None:
    """Convert a model with tf2onnx alone."""
    import tensorflow as tf
    import tf2onnx

    specs = sources.input_specs(model)
    signature = [
        tf.TensorSpec([a if isinstance(a, int) else None for a in s.shape], s.dtype, name=s.name)
        for s in specs
    ]
    function = tf.function(lambda *tensors: trace.call(model, specs, tensors))
    tf2onnx.convert.from_function(function, signature, opset=18, output_path=str(path))


def compare(name: str, model: Any, folder: Path, arguments: argparse.Namespace) -> None:
    """Print the row of one model."""
    ours, theirs = folder / f"{name}.onnx", folder / f"{name}.plain.onnx"
    seconds = []
    for write in (lambda: edgekit.export(model, ours), lambda: plain(model, theirs)):
        start = time.perf_counter()
        write()
        seconds.append(time.perf_counter() - start)
    worst = max(_error(model, path) for path in (ours, theirs))
    report = benchmark(
        [
            Candidate(
                str(path),
                axes=_lengths(path),
                threads=arguments.threads,
                batch=arguments.batch,
            )
            for path in (theirs, ours)
        ],
        duration_s=arguments.duration,
    )
    nodes = [len(onnx.load(path).graph.node) for path in (ours, theirs)]
    slow, fast = (1e3 * result.p50_ms for result in report.results)
    (ratio,) = report.ratios
    print(
        f"{name:12} {nodes[0]:5}  {nodes[1]:5}   {seconds[0]:8.1f}  {seconds[1]:5.1f}   "
        f"{fast:6.0f}  {slow:6.0f}   {ratio.ratio:.2f} ({ratio.ci95[0]:.2f} to "
        f"{ratio.ci95[1]:.2f})   {worst:.1e}",
        flush=True,
    )


def _lengths(path: Path) -> dict[str, int]:
    """Give every free axis but the batch one length; plain files name each input's anew."""
    with open_runner(path) as runner:
        axes = [axis for spec in runner.signature.inputs for axis in spec.shape[1:]]
    return {axis: LENGTH for axis in axes if isinstance(axis, str)}


def _error(model: Any, path: Path) -> float:
    specs = sources.input_specs(model)
    with open_runner(path) as runner:
        feeds = runner.signature.sample(3, batch=2, axes=_lengths(path))
        got = list(runner.run(feeds).values())
        by_name = dict(zip((s.name for s in specs), feeds.values(), strict=True))
    expected = list(trace.predict(model, specs, by_name).values())
    return max(float(np.abs(g - e).max()) for g, e in zip(got, expected, strict=True))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--duration", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--models", nargs="*")
    arguments = parser.parse_args()
    frameworks.load("compare exported files")
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        for name, build in models().items():
            if not arguments.models or name in arguments.models:
                compare(name, build(), Path(folder), arguments)


if __name__ == "__main__":
    main()
