"""seq2seq: an encoder-decoder Transformer that puts English emoji names into German."""

from __future__ import annotations

import keras
import numpy as np

from model_defs.data.emoji_names import (
    END,
    METRIC,
    START,
    TASK,
    VOCABULARY,
    baseline,
    data,
    majority,
    score,
)
from model_defs.data.text import PADDING
from model_defs.training import Training
from model_defs.transformer import build_seq2seq

__all__ = [
    "FLOOR",
    "METRIC",
    "TASK",
    "TRAINING",
    "baseline",
    "build",
    "data",
    "majority",
    "parts",
    "score",
    "translate",
]

FLOOR = 0.42
TRAINING = Training(
    epochs=30, batch_size=16, learning_rate=3e-3, warmup_share=0.1, ignored_target=PADDING
)


def build(
    *,
    source_vocabulary: int = VOCABULARY,
    target_vocabulary: int = VOCABULARY,
    depth: int = 64,
    heads: int = 8,
    feed_forward: int = 256,
    blocks: int = 2,
    dropout: float = 0.1,
    max_length: int = 5000,
) -> keras.Model:
    """`transformer.build_seq2seq` with vocabularies that fit the emoji names."""
    return build_seq2seq(
        source_vocabulary=source_vocabulary,
        target_vocabulary=target_vocabulary,
        depth=depth,
        heads=heads,
        feed_forward=feed_forward,
        blocks=blocks,
        dropout=dropout,
        max_length=max_length,
    )


def parts(model: keras.Model) -> dict[str, keras.Model]:
    """The two models of greedy decoding; they share the weights of `model`.

    `encoder`: `source` -> `memory` `(batch, source_time, depth)`. `decoder`: `target`,
    `memory` and `source` (for its padding) -> `logits` `(batch, target_time, vocabulary)`.
    """
    return {name: model.get_layer(name) for name in ("encoder", "decoder")}


def translate(model: keras.Model, source: np.ndarray, *, max_length: int) -> np.ndarray:
    """The likeliest token at each step, `(batch, max_length)` int32, padded after the end."""
    encoder, decoder = parts(model).values()
    memory = keras.ops.convert_to_numpy(encoder([source]))
    target = np.full((len(source), max_length + 1), PADDING, dtype=np.int32)
    target[:, 0] = START
    going = np.ones(len(source), dtype=bool)
    for step in range(max_length):
        # Always the whole target: what is to come is padding, which causal attention ignores.
        logits = keras.ops.convert_to_numpy(decoder([target[:, :-1], memory, source]))
        chosen = logits[:, step].argmax(axis=-1)
        target[going, step + 1] = chosen[going]
        going &= chosen != END
    return target[:, 1:]
