"""Patches of photographs, to be told apart by their photograph: real images without a download.

The photographs come with scikit-learn and scikit-image, in grey, so that colour gives nothing away.
Each is cut into squares of 64 by 64 pixels, a quarter of which is held out: no pixel of a held-out
patch was seen in training.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

#: Those of scikit-image's that are in its wheel, and scikit-learn's two.
NAMES = (
    "astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel",
    "hubble_deep_field", "immunohistochemistry", "moon", "retina", "rocket",
)  # fmt: skip
SKLEARN = ("china.jpg", "flower.jpg")
SIDE, BLOCK = 32, 64
CLASSES = len(NAMES) + len(SKLEARN)
PER_CLASS = {"train": 400, "test": 200}


def patches(seed: int = 0) -> dict[str, tuple[Array, Array]]:
    """Give `train` and `test`: patches `(n, 32, 32, 1)` float32 in 0..1, and their photographs."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[tuple[Array, int]]] = {"train": [], "test": []}
    for label, picture in enumerate(_pictures()):
        blocks = _blocks(picture)
        rng.shuffle(blocks)
        held = max(1, len(blocks) // 4)
        for part, chosen in (("test", blocks[:held]), ("train", blocks[held:])):
            for _ in range(PER_CLASS[part]):
                block = chosen[rng.integers(len(chosen))]
                y, x = rng.integers(0, BLOCK - SIDE + 1, 2)
                found[part].append((block[y : y + SIDE, x : x + SIDE], label))
    return {part: _arrays(rows, rng) for part, rows in found.items()}


def network(photographs: int = CLASSES) -> Any:
    """A network of MobileNet's kind: inverted residuals, depthwise, ReLU6 and hard-swish."""
    import keras

    layers = keras.layers

    def convolved(x: Any, depth: int, size: int, stride: int, activation: str | None) -> Any:
        x = layers.Conv2D(depth, size, stride, padding="same", use_bias=False)(x)
        return normalised(x, activation)

    def normalised(x: Any, activation: str | None) -> Any:
        x = layers.BatchNormalization(momentum=0.9)(x)
        return x if activation is None else layers.Activation(activation)(x)

    def inverted(x: Any, depth: int, stride: int, activation: str) -> Any:
        y = convolved(x, 4 * x.shape[-1], 1, 1, activation)
        y = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(y)
        y = convolved(normalised(y, activation), depth, 1, 1, None)
        return layers.Add()([x, y]) if stride == 1 and x.shape[-1] == depth else y

    image = keras.Input((SIDE, SIDE, 1), name="image")
    x = convolved(image, 16, 3, 2, "hard_swish")
    for depth, stride, activation in (
        (16, 1, "relu6"),
        (24, 2, "relu6"),
        (24, 1, "relu6"),
        (40, 2, "hard_swish"),
        (40, 1, "hard_swish"),
    ):
        x = inverted(x, depth, stride, activation)
    x = convolved(x, 160, 1, 1, "hard_swish")
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(photographs, activation="softmax")(x), name="patches")


def trained(data: dict[str, tuple[Array, Array]], epochs: int = 8, seed: int = 0) -> Any:
    """Train the network on the patches."""
    import keras

    keras.utils.set_random_seed(seed)
    model = network()
    images, labels = data["train"]
    steps = epochs * -(-len(images) // 64)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    model.fit(images, labels, batch_size=64, epochs=epochs, verbose=0)
    return model


def _pictures() -> list[Array]:
    """Read the photographs in grey, 0..1."""
    from skimage import color, data, util
    from sklearn.datasets import load_sample_image

    pictures = [util.img_as_float(getattr(data, name)()) for name in NAMES]
    pictures += [util.img_as_float(load_sample_image(name)) for name in SKLEARN]
    return [color.rgb2gray(p[..., :3]) if p.ndim == 3 else p for p in pictures]


def _blocks(picture: Array) -> list[Array]:
    rows, columns = (size // BLOCK for size in picture.shape)
    return [
        picture[y * BLOCK : (y + 1) * BLOCK, x * BLOCK : (x + 1) * BLOCK]
        for y in range(rows)
        for x in range(columns)
    ]


def _arrays(rows: list[tuple[Array, int]], rng: np.random.Generator) -> tuple[Array, Array]:
    order = rng.permutation(len(rows))
    images = np.stack([rows[i][0] for i in order])[..., None].astype(np.float32)
    return images, np.array([rows[i][1] for i in order], np.int64)
