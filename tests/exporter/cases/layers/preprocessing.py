"""Preprocessing layers: numbers in, numbers out; augmentation as it is at inference."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.exporter.cases.rows import X, row

VECTOR = X((4,))
IMAGE = X((9, 8, 3), scale=60.0)
BYTES = X((9, 8, 3), "uint8", high=255)
FREE = X((None, None, 3))
FIRST = X((3, 9, 8))
IDS = X((5,), "int64", high=9)
VOCABULARY = [10, -3, 7, 1000000007, 8]
TOKENS = {"x0": np.array([[10, -3, 5], [7, 8, -1], [1000000007, 0, 3]], np.int64)}
KNOWN = {"x0": np.array([[10, -3, 7], [7, 8, 8], [1000000007, 10, 8]], np.int64)}
AUDIO = X((900,))

#: What augments while training, with what it has to be given; at inference each is the identity.
AUGMENTATION: tuple[tuple[str, dict[str, Any]], ...] = (
    ("AugMix", {}),
    ("CutMix", {}),
    ("MixUp", {}),
    ("RandAugment", {}),
    ("RandomBrightness", {"factor": 0.2}),
    ("RandomColorDegeneration", {"factor": 0.2}),
    ("RandomColorJitter", {"brightness_factor": 0.2, "hue_factor": 0.2}),
    ("RandomContrast", {"factor": 0.2}),
    ("RandomElasticTransform", {}),
    ("RandomErasing", {}),
    ("RandomFlip", {}),
    ("RandomGaussianBlur", {}),
    ("RandomGrayscale", {}),
    ("RandomHue", {"factor": 0.2}),
    ("RandomInvert", {}),
    ("RandomPerspective", {}),
    ("RandomPosterization", {"factor": 4}),
    ("RandomRotation", {"factor": 0.2}),
    ("RandomSaturation", {"factor": 0.2}),
    ("RandomSharpness", {"factor": 0.2}),
    ("RandomShear", {"x_factor": 0.2}),
    ("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.2}),
    ("RandomZoom", {"height_factor": 0.2}),
    ("Solarization", {"addition_factor": 0.2, "threshold_factor": 0.2}),
)

NUMBERS = [
    row("Normalization", "plain", VECTOR, mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 2.0, 3.0]),
    row("Normalization", "invert", VECTOR, mean=2.0, variance=3.0, invert=True),
    row("Normalization", "axis", X((3, 4)), axis=1, mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 2.0]),
    row("Normalization", "adapted", VECTOR, make=lambda k: _adapted(k.layers.Normalization())),
    row("Rescaling", "plain", BYTES, scale=1 / 127.5, offset=-1.0),
    row("Rescaling", "channels", IMAGE, scale=[0.1, 0.2, 0.3], offset=[1.0, 2.0, 3.0]),
    *(
        row("Discretization", mode, X((4,) if mode != "one_hot" else (1,)),
            bin_boundaries=[-1.0, 0.0, 0.5], output_mode=mode)
        for mode in ("int", "one_hot", "multi_hot", "count")
    ),
    row("Discretization", "on the boundary", VECTOR, bin_boundaries=[0.0, 1.0, 2.0],
        feeds={"x0": np.array([[0, 1, 2, 3], [-1, 0.5, 1.5, 2.5]], np.float32)}),
    row("Discretization", "adapted", VECTOR,
        make=lambda k: _adapted(k.layers.Discretization(num_bins=3))),
    *(
        row("CategoryEncoding", mode, X((1,) if mode == "one_hot" else (4,), "int32", high=6),
            num_tokens=6, output_mode=mode)
        for mode in ("one_hot", "multi_hot", "count")
    ),
    row("CategoryEncoding", "weights", [X((4,), "int32", high=6), X((4,))], num_tokens=6,
        output_mode="count", call=lambda layer, x, w: layer(x, count_weights=w)),
    *(
        row("IntegerLookup", mode, X((3,), "int64"), feeds=TOKENS, vocabulary=VOCABULARY,
            output_mode=mode)
        for mode in ("int", "multi_hot", "count")
    ),
    row("IntegerLookup", "one_hot", X((1,), "int64"), vocabulary=VOCABULARY,
        output_mode="one_hot", feeds={"x0": np.array([[10], [3], [8]], np.int64)}),
    row("IntegerLookup", "tf_idf", X((3,), "int64"), feeds=TOKENS, vocabulary=VOCABULARY,
        output_mode="tf_idf", idf_weights=[0.1, 0.2, 0.3, 0.4, 0.5]),
    row("IntegerLookup", "mask", X((3,), "int64"), feeds=TOKENS, vocabulary=VOCABULARY,
        mask_token=0),
    row("IntegerLookup", "buckets", X((3,), "int64"), feeds=TOKENS, vocabulary=VOCABULARY,
        num_oov_indices=3),
    row("IntegerLookup", "invert", X((3,), "int64"), vocabulary=VOCABULARY, invert=True,
        feeds={"x0": np.array([[0, 1, 2], [3, 4, 5], [5, 5, 9]], np.int64)}),
    row("IntegerLookup", "many", X((3,), "int64"), feeds=TOKENS,
        vocabulary=[*range(100, 900, 2), 7, -3]),
    row("Hashing", "numbers", IDS, num_bins=7, refused="hashes the digits"),
    row("HashedCrossing", "numbers", [X((1,), "int64"), X((1,), "int64")], num_bins=11,
        refused="cross the features before"),
    row("Identity", "strings", X((2,), "string"), refused="turn them into numbers"),
    row("StringLookup", "int", X((2,), "string"), vocabulary=["a", "b"], refused="string"),
    row("TextVectorization", "int", X((1,), "string"), vocabulary=["a"], refused="string"),
    row("STFTSpectrogram", "log", X((300, 1)), frame_length=32, frame_step=16, fft_length=32),
    *(
        row("STFTSpectrogram", mode, X((120, 2)), mode=mode, frame_length=16, frame_step=8,
            padding="same")
        for mode in ("magnitude", "psd", "real", "imag", "angle", "stft")
    ),
    row("STFTSpectrogram", "expanded", X((120, 2)), frame_length=16, frame_step=8,
        expand_dims=True, fft_length=32),
    row("MelSpectrogram", "plain", AUDIO, fft_length=256, sequence_stride=128, num_mel_bins=16),
    row("MelSpectrogram", "no decibels", AUDIO, fft_length=256, sequence_stride=128,
        num_mel_bins=16, power_to_db=False),
]  # fmt: skip

IMAGES = [
    *(
        row("Resizing", f"{mode} up", IMAGE, height=13, width=20, interpolation=mode)
        for mode in ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")
    ),
    *(
        row("Resizing", f"{mode} down", IMAGE, height=4, width=5, interpolation=mode)
        for mode in ("bilinear", "nearest", "bicubic", "lanczos3")
    ),
    row("Resizing", "antialias", IMAGE, height=4, width=5, antialias=True),
    row("Resizing", "antialias bicubic", IMAGE, height=4, width=5, antialias=True,
        interpolation="bicubic"),
    row("Resizing", "bytes", BYTES, height=4, width=5),
    row("Resizing", "crop", IMAGE, height=6, width=4, crop_to_aspect_ratio=True),
    row("Resizing", "pad", IMAGE, height=6, width=4, pad_to_aspect_ratio=True, fill_value=2.0),
    row("Resizing", "free", FREE, height=6, width=4),
    row("Resizing", "free crop", FREE, height=6, width=4, crop_to_aspect_ratio=True),
    row("Resizing", "free pad", FREE, height=6, width=4, pad_to_aspect_ratio=True),
    row("Resizing", "channels first", FIRST, height=6, width=4, data_format="channels_first"),
    row("CenterCrop", "smaller", IMAGE, height=5, width=4),
    row("CenterCrop", "larger", IMAGE, height=12, width=4),
    row("CenterCrop", "free", FREE, height=5, width=4),
    row("CenterCrop", "channels first", FIRST, height=5, width=4, data_format="channels_first"),
    row("RandomCrop", "smaller", IMAGE, height=5, width=4),
    row("RandomCrop", "larger", IMAGE, height=12, width=4),
    row("RandomCrop", "free", FREE, height=5, width=4, refused="random_crop"),
    row("Equalization", "inference", IMAGE, make=lambda k: k.layers.Pipeline(
        [k.layers.Equalization(), k.layers.Rescaling(1 / 255)])),
    row("AutoContrast", "plain", IMAGE),
    row("ContrastLimitedAdaptiveHistogramEqualization", "plain", X((16, 16, 3), scale=90.0),
        tile_grid_size=(4, 4)),
    row("Pipeline", "plain", IMAGE, make=lambda k: k.layers.Pipeline(
        [k.layers.Rescaling(1 / 255), k.layers.RandomFlip(), k.layers.Resizing(4, 5)])),
    row("MaxNumBoundingBoxes", "plain", [X((3, 4)), X((3,))],
        make=lambda k: k.layers.MaxNumBoundingBoxes(5, bounding_box_format="xyxy"),
        call=lambda layer, boxes, labels: layer(
            {"images": boxes[:, :, :, None], "bounding_boxes": {"boxes": boxes, "labels": labels}}
        )["bounding_boxes"]),
    *(row(name, "inference", X((6, 8, 3), scale=60.0), **options)
      for name, options in AUGMENTATION),
]  # fmt: skip

CASES = [*NUMBERS, *IMAGES]


def _adapted(layer: Any) -> Any:
    layer.adapt(np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32))
    return layer
