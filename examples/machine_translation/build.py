"""Train the translator, export its encoder and its decoder with a key-value cache, measure both.

python -m examples.machine_translation.build --out artifacts/translator
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

import edgekit
from edgekit import TensorSpec
from examples.machine_translation.app import Translator
from examples.measure import latency_line
from model_defs import seq2seq
from model_defs.data import emoji_names
from model_defs.data.text import decode
from model_defs.training import train
from model_defs.transformer import DecoderBlock, PaddingMask


class CachedBlock(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """A `DecoderBlock` for one new token, with the keys and values of those before it given."""

    def __init__(self, block: DecoderBlock, **options: Any) -> None:
        super().__init__(**options)
        self.block = block

    def call(self, x: Any, past: Any, cross: Any, padding: Any) -> tuple[Any, Any]:
        """`x` `(batch, 1, depth)`, `past` and `cross` `(batch, time, 2 * depth)` -> `x`, `past`.

        `padding` `(batch, 1, source_time)` is true at the source's tokens.
        """
        block = self.block
        present = ops.concatenate([past, keys_values(block.attention, x)], axis=1)
        x = block.attention_norm(x + _attend(block.attention, x, present, None))
        update = _attend(block.cross_attention, x, cross, padding)
        x = block.cross_attention_norm(x + update)
        return block.feed_forward_norm(x + block.contract(block.expand(x))), present


def keys_values(attention: keras.layers.MultiHeadAttention, x: Any) -> Any:
    """The keys and values of `x` `(batch, time, depth)`, side by side: `(.., 2 * depth)`."""
    parts = [attention.key_dense(x), attention.value_dense(x)]
    shape = (-1, x.shape[1] or ops.shape(x)[1], parts[0].shape[2] * parts[0].shape[3])
    return ops.concatenate([ops.reshape(part, shape) for part in parts], axis=-1)


def _attend(attention: keras.layers.MultiHeadAttention, x: Any, known: Any, padding: Any) -> Any:
    query = attention.query_dense(x)
    heads, size = query.shape[2:]
    keys, values = (
        ops.reshape(part, (-1, ops.shape(part)[1], heads, size))
        for part in ops.split(known, 2, axis=-1)
    )
    mask = None if padding is None else ops.expand_dims(padding, 1)
    return attention.output_dense(ops.dot_product_attention(query, keys, values, mask=mask))


class Cross(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """The keys and values of all blocks for the encoder's memory: the same for each letter."""

    def __init__(self, blocks: list[DecoderBlock], **options: Any) -> None:
        super().__init__(**options)
        self.blocks = blocks

    def call(self, memory: Any) -> Any:
        """`(batch, time, depth)` -> `(batch, time, blocks * 2 * depth)`."""
        known = [keys_values(block.cross_attention, memory) for block in self.blocks]
        return ops.concatenate(known, axis=-1)


class Step(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """The decoder for one letter."""

    def __init__(self, decoder: keras.Model, blocks: list[DecoderBlock], **options: Any) -> None:
        super().__init__(**options)
        self.embedding = decoder.get_layer("embedding")
        self.positions = decoder.get_layer("positions")
        self.logits = decoder.get_layer("logits")
        self.mask = PaddingMask()
        self.blocks = [CachedBlock(block) for block in blocks]

    def call(self, token: Any, past: Any, cross: Any, source: Any) -> tuple[Any, Any]:
        """Logits `(batch, vocabulary)` of the next letter, and `past` with this one."""
        x = self.embedding(token)
        before = ops.zeros_like(past[:, :, : x.shape[-1]])
        x = self.positions(ops.concatenate([before, x], axis=1))[:, -1:]
        padding = self.mask(source)
        known = zip(
            self.blocks,
            ops.split(past, len(self.blocks), axis=-1),
            ops.split(cross, len(self.blocks), axis=-1),
            strict=True,
        )
        present = []
        for block, mine, other in known:
            x, grown = block(x, mine, other, padding)
            present.append(grown)
        return self.logits(x)[:, 0], ops.concatenate(present, axis=-1)


def parts(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The encoder and the decoder of the app, sharing the weights of a trained `seq2seq`."""
    encoder, decoder = seq2seq.parts(model).values()
    blocks = [layer for layer in decoder.layers if isinstance(layer, DecoderBlock)]
    source = keras.Input((None,), dtype="int32", name="source")
    front = keras.Model([source], {"cross": Cross(blocks, name="cross")(encoder([source]))})
    width = 2 * len(blocks) * blocks[0].depth
    token = keras.Input((1,), dtype="int32", name="token")
    past = keras.Input((None, width), name="past")
    cross = keras.Input((None, width), name="cross")
    logits, present = Step(decoder, blocks, name="step")(token, past, cross, source)
    outputs = {"logits": logits, "present": present}
    return front, keras.Model([token, past, cross, source], outputs)


def export(model: keras.Model, folder: Path) -> None:
    """Write `encoder.onnx`, `decoder.onnx`, `text.json`; to compare, `uncached.onnx`."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder, decoder = parts(model)
    width = decoder.inputs[1].shape[2]
    signature = [
        TensorSpec("token", "int32", ("batch", 1)),
        TensorSpec("past", "float32", ("batch", "past_time", width)),
        TensorSpec("cross", "float32", ("batch", "source_time", width)),
        TensorSpec("source", "int32", ("batch", "source_time")),
    ]
    edgekit.export(encoder, folder / "encoder.onnx", force=True)
    edgekit.export(decoder, folder / "decoder.onnx", signature=signature, force=True)
    uncached = [
        TensorSpec("target", "int32", ("batch", "target_time")),
        TensorSpec("memory", "float32", ("batch", "source_time", width // 4)),
        signature[3],
    ]
    whole = seq2seq.parts(model)["decoder"]
    edgekit.export(whole, folder / "uncached.onnx", signature=uncached, force=True)
    spec = emoji_names.data().preprocessing
    (folder / "text.json").write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")


def chrf(found: list[str], wanted: list[str], longest: int = 6, beta: float = 2.0) -> float:
    """Popović's chrF (2015) over a whole set, 0..100: the F2 of runs of one to six characters."""
    scores = []
    for length in range(1, longest + 1):
        right = made = asked = 0
        for one, other in zip(found, wanted, strict=True):
            mine, theirs = _runs(one, length), _runs(other, length)
            right += (mine & theirs).total()
            made, asked = made + mine.total(), asked + theirs.total()
        weighted = beta**2 * asked + made
        scores.append((1 + beta**2) * right / weighted if weighted else 0.0)
    return 100 * float(np.mean(scores))


def _runs(text: str, length: int) -> Counter[str]:
    joined = text.replace(" ", "")
    return Counter(joined[i : i + length] for i in range(len(joined) - length + 1))


def dictionary(english: list[str], german: list[str]) -> Callable[[str], str]:
    """The baseline: each word into the one that most often stood beside it (Dice), or itself."""
    pairs: Counter[tuple[str, str]] = Counter()
    left: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for one, other in zip(english, german, strict=True):
        left.update(set(one.split()))
        right.update(set(other.split()))
        pairs.update((a, b) for a in set(one.split()) for b in set(other.split()))
    best: dict[str, tuple[float, str]] = {}
    for (a, b), count in pairs.items():
        best[a] = max(best.get(a, (0.0, "")), (2 * count / (left[a] + right[b]), b))
    return lambda text: " ".join(best[word][1] if word in best else word for word in text.split())


def texts(part: str) -> tuple[list[str], list[str]]:
    """The English and the German names of `train` or `test`."""
    dataset = emoji_names.data()
    inputs = dataset.train_inputs if part == "train" else dataset.test_inputs
    alphabet, offset = emoji_names.ALPHABET, emoji_names.OFFSET
    english, german = (
        [decode(row, alphabet, offset=offset) for row in inputs[name]]
        for name in ("source", "target")
    )
    return english, german


def evaluate(folder: Path, limit: int | None = None) -> dict[str, tuple[float, float]]:
    """chrF and the share that is right to the letter, of each way, on held-out names."""
    english, german = (names[:limit] for names in texts("test"))
    translator, look_up = Translator(folder), dictionary(*texts("train"))
    ways = {
        "English as it is": english,
        "word by word": [look_up(text) for text in english],
        "greedy": translator.translate(english, width=1),
        "beam of 4": translator.translate(english, width=4),
    }
    return {
        way: (chrf(found, german), float(np.mean(np.array(found) == np.array(german))))
        for way, found in ways.items()
    }


def costs(folder: Path, length: int = 100, repeats: int = 5) -> dict[str, list[float]]:
    """Milliseconds of each step of a text of `length` letters, with the cache and without."""
    translator = Translator(folder)
    source = translator.encode("sleeping red cat")
    (cross,) = translator.encoder.run(["cross"], {"source": source})
    found: dict[str, list[list[float]]] = {"cached": [], "uncached": []}
    with edgekit.open(folder / "uncached.onnx", threads=1) as uncached:
        depth = uncached.signature.inputs[1].shape[2]
        memory = np.zeros((*source.shape, depth), np.float32)
        target = np.full((1, length), emoji_names.OFFSET, np.int32)
        for _ in range(repeats):
            past = np.zeros((1, 0, translator.depth), np.float32)
            times = np.zeros((length, 3))
            for step in range(length):
                feeds = {"token": target[:, :1], "past": past, "cross": cross, "source": source}
                times[step, 0] = time.perf_counter()
                _, past = translator.decoder.run(["logits", "present"], feeds)
                times[step, 1] = time.perf_counter()
                so_far = {"target": target[:, : step + 1], "memory": memory, "source": source}
                uncached.run(so_far)
                times[step, 2] = time.perf_counter()
            for name, taken in zip(found, 1e3 * np.diff(times, axis=1).T, strict=True):
                found[name].append(taken.tolist())
    return {name: np.median(values, axis=0).tolist() for name, values in found.items()}


def picture(found: dict[str, list[float]], out: Path) -> None:
    """Milliseconds of a step against its place in the text."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for name, values in found.items():
        axis.plot(range(1, len(values) + 1), values, label=name)
    axis.set(xlabel="letter", ylabel="ms", ylim=(0, None))
    axis.legend()
    figure.savefig(out)


def main() -> None:
    """Train, export, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("artifacts/translator"))
    parser.add_argument("--epochs", type=int)
    arguments = parser.parse_args()
    folder = arguments.out
    export(train("seq2seq", epochs=arguments.epochs)[0], folder)
    for name in ("encoder", "decoder", "uncached"):
        print(f"{name}.onnx: {(folder / f'{name}.onnx').stat().st_size / 1024:.0f} KiB")
    print("held-out names        chrF   right to the letter")
    for way, (score, exact) in evaluate(folder).items():
        print(f"{way:<18} {score:7.1f}   {exact:19.3f}")
    axes = {"past_time": 12, "source_time": 12}
    print("letter 13:", latency_line(folder / "decoder.onnx", axes=axes))
    found = costs(folder)
    picture(found, folder / "letters.png")
    for length in (25, 100):
        total = [sum(values[:length]) for values in found.values()]
        print(f"{length} letters: {total[0]:.1f} ms cached, {total[1]:.1f} ms uncached")
    for text in ("red car", "sleeping cat", "fish soup"):
        print(f"{text}: {Translator(folder).translate([text])[0]}")


if __name__ == "__main__":
    main()
