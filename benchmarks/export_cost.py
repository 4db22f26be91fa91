"""What an export costs: edgekit with all its checks against a bare tf2onnx conversion.

    python benchmarks/export_cost.py [--models vgg16 large] [--rounds 3] [--limit-gib 12]

Each conversion is a process of its own, from its start to its end, in turns; the time is the best
of the rounds. `allowed` is the memory that edgekit promises to stay under: 1 GiB and three times
the weights. `large` has more than 2 GiB of weights, which go to external data. A conversion that
takes more than the limit is stopped, and says so.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import children

MIB = 2**20
HEAD = f"{'':20} weights   {'edgekit':^22}   {'tf2onnx':^22}   {'ratio':^12}"
SUBHEAD = f"{'model':20}     MiB   {'s':>6} {'peak MiB':>9} allowed   {'s':>6} {'peak MiB':>15}"


def applications(name: str) -> Callable[[], Any]:
    """One of keras.applications, untrained."""

    def build() -> Any:
        import keras

        return getattr(keras.applications, name)(weights=None)

    return build


def large() -> Any:
    """An embedding of 2.3 GiB."""
    import keras

    ids = keras.Input((8,), dtype="int32", name="ids")
    return keras.Model(ids, keras.layers.Embedding(300_000, 2_048)(ids))


def detector() -> Any:
    """A small detection transformer: a backbone, an encoder, and queries that attend to it."""
    import keras

    layers = keras.layers
    image = keras.Input((128, 128, 3), name="image")
    x = keras.applications.MobileNetV2(input_shape=(128, 128, 3), include_top=False, weights=None)(
        image
    )
    memory = layers.Reshape((16, 128))(layers.Conv2D(128, 1)(x))
    for _ in range(3):
        memory = layers.LayerNormalization()(
            memory + layers.MultiHeadAttention(8, 16)(memory, memory)
        )
        memory = layers.LayerNormalization()(
            memory + layers.Dense(128)(layers.Dense(512, activation="relu")(memory))
        )
    places = keras.ops.broadcast_to(keras.ops.arange(20), (1, 20))
    queries = layers.Embedding(20, 128)(keras.ops.repeat(places, 1, axis=0))
    queries = queries + keras.ops.mean(memory, axis=1, keepdims=True)
    for _ in range(3):
        queries = layers.LayerNormalization()(
            queries + layers.MultiHeadAttention(8, 16)(queries, queries)
        )
        queries = layers.LayerNormalization()(
            queries + layers.MultiHeadAttention(8, 16)(queries, memory)
        )
    return keras.Model(
        image,
        {
            "boxes": layers.Dense(4, activation="sigmoid")(queries),
            "classes": layers.Dense(11)(queries),
        },
    )


MODELS: dict[str, Callable[[], Any]] = {
    "mobilenetv2": applications("MobileNetV2"),
    "efficientnetv2b0": applications("EfficientNetV2B0"),
    "densenet121": applications("DenseNet121"),
    "resnet50": applications("ResNet50"),
    "convnexttiny": applications("ConvNeXtTiny"),
    "detector": detector,
    "vgg16": applications("VGG16"),
    "large": large,
}


def edgekit_export(build: Callable[[], Any], path: Path) -> None:
    """Export with edgekit, checks included."""
    import edgekit
    from edgekit.exporter import frameworks

    frameworks.load("measure an export")
    edgekit.export(build(), path)


def tf2onnx_convert(build: Callable[[], Any], path: Path) -> None:
    """Convert with tf2onnx alone."""
    import tensorflow as tf
    import tf2onnx

    model = build()
    (x,) = model.inputs
    signature = [tf.TensorSpec(x.shape, x.dtype, name=x.name)]
    function = tf.function(lambda tensor: model(tensor, training=False))
    tf2onnx.convert.from_function(function, signature, opset=18, output_path=str(path))


WAYS = {"edgekit": edgekit_export, "tf2onnx": tf2onnx_convert}


def measure(way: str, model: str, limit_gib: float) -> children.Run:
    """Run one conversion in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--child", way, model, f"{folder}/model.onnx"]
        return children.run(command, limit_gib)


def weights_mib(model: str) -> float:
    """Count the weights of a model, in a process that ends."""
    command = [sys.executable, __file__, "--child", "weights", model, "-"]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def child(way: str, model: str, path: str) -> None:
    """Do one conversion, or count weights."""
    build = MODELS[model]
    if way == "weights":
        print(sum(4 * weight.numpy().size for weight in build().weights) / MIB)
    else:
        WAYS[way](build, Path(path))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="*", choices=list(MODELS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--limit-gib", type=float, default=12.0)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    print(HEAD, SUBHEAD, sep="\n")
    for model in arguments.models or MODELS:
        size = weights_mib(model)
        costs = {way: [measure(way, model, arguments.limit_gib)] for way in WAYS}
        for _ in range(arguments.rounds - 1):
            for way, found in costs.items():
                if not found[0].reason:
                    found.append(measure(way, model, arguments.limit_gib))
        ours, theirs = (min(found, key=lambda cost: cost.seconds) for found in costs.values())
        ratio = "" if theirs.reason or ours.reason else f"{ours.seconds / theirs.seconds:5.2f}"
        print(
            f"{model:20} {size:7.0f}   {ours.seconds:6.1f} {ours.peak_mib:9.0f} "
            f"{1024 + 3 * size:7.0f}   {theirs.seconds:6.1f} "
            f"{theirs.reason[:60] or f'{theirs.peak_mib:.0f}':>15}   {ratio} {ours.reason[:60]}",
            flush=True,
        )


if __name__ == "__main__":
    main()
