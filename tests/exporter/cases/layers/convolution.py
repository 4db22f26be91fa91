"""Convolutions and pooling."""

from __future__ import annotations

from tests.exporter.cases.rows import X, row

SERIES = X((None, 4))
IMAGE = X((9, 8, 4))
FREE = X((None, None, 4))
VOLUME = X((6, 5, 7, 2))
#: The inputs by rank, and with their channels first.
LAST = {1: SERIES, 2: IMAGE, 3: VOLUME}
FIRST = {1: X((4, 9)), 2: X((4, 9, 8)), 3: X((2, 6, 5, 7))}

CASES = [
    row("Conv1D", "valid", SERIES, filters=3, kernel_size=3),
    row("Conv1D", "same", SERIES, filters=3, kernel_size=4, padding="same", activation="relu"),
    row("Conv1D", "causal", SERIES, filters=3, kernel_size=3, padding="causal", dilation_rate=2),
    row("Conv1D", "strides", SERIES, filters=3, kernel_size=3, strides=2, padding="same"),
    row("Conv1D", "causal strides", SERIES, filters=3, kernel_size=3, strides=2, padding="causal"),
    row("Conv1D", "dilation", SERIES, filters=3, kernel_size=2, dilation_rate=3, padding="same"),
    row("Conv1D", "groups", SERIES, filters=6, kernel_size=3, groups=2),
    row("Conv2D", "valid", IMAGE, filters=3, kernel_size=(3, 2), activation="gelu"),
    row("Conv2D", "same", FREE, filters=3, kernel_size=4, padding="same"),
    row("Conv2D", "strides", FREE, filters=3, kernel_size=3, strides=(2, 3), padding="same"),
    row("Conv2D", "dilation", IMAGE, filters=3, kernel_size=3, dilation_rate=(2, 1)),
    row("Conv2D", "dilation same", IMAGE, filters=3, kernel_size=3, dilation_rate=2,
        padding="same"),
    row("Conv2D", "groups", IMAGE, filters=6, kernel_size=3, groups=2, strides=2, padding="same"),
    row("Conv3D", "valid", VOLUME, filters=3, kernel_size=2),
    row("Conv3D", "same strides", VOLUME, filters=3, kernel_size=3, strides=2, padding="same"),
    row("Conv3D", "dilation", VOLUME, filters=3, kernel_size=2, dilation_rate=2, padding="same"),
    row("Conv3D", "groups", VOLUME, filters=4, kernel_size=2, groups=2),
    row("DepthwiseConv1D", "valid", SERIES, kernel_size=3, depth_multiplier=2),
    row("DepthwiseConv1D", "same strides", SERIES, kernel_size=3, strides=2, padding="same"),
    row("DepthwiseConv2D", "valid", IMAGE, kernel_size=3, depth_multiplier=2),
    row("DepthwiseConv2D", "same strides", FREE, kernel_size=3, strides=2, padding="same"),
    row("DepthwiseConv2D", "dilation", IMAGE, kernel_size=3, dilation_rate=2),
    row("SeparableConv1D", "valid", SERIES, filters=5, kernel_size=3),
    row("SeparableConv1D", "same strides", SERIES, filters=5, kernel_size=3, strides=2,
        padding="same", depth_multiplier=2),
    row("SeparableConv2D", "valid", IMAGE, filters=5, kernel_size=3, depth_multiplier=2),
    row("SeparableConv2D", "same strides", IMAGE, filters=5, kernel_size=3, strides=2,
        padding="same"),
    row("SeparableConv2D", "dilation", IMAGE, filters=5, kernel_size=3, dilation_rate=2,
        padding="same"),
    row("Conv1DTranspose", "valid", SERIES, filters=3, kernel_size=3),
    row("Conv1DTranspose", "same strides", SERIES, filters=3, kernel_size=3, strides=2,
        padding="same"),
    row("Conv1DTranspose", "output padding", SERIES, filters=3, kernel_size=4, strides=3,
        output_padding=1),
    row("Conv2DTranspose", "valid", IMAGE, filters=3, kernel_size=3),
    row("Conv2DTranspose", "valid strides", IMAGE, filters=3, kernel_size=2, strides=3),
    row("Conv2DTranspose", "same strides", FREE, filters=3, kernel_size=3, strides=2,
        padding="same"),
    row("Conv2DTranspose", "output padding", IMAGE, filters=3, kernel_size=3, strides=2,
        output_padding=1, padding="same"),
    row("Conv3DTranspose", "valid", VOLUME, filters=3, kernel_size=2),
    row("Conv3DTranspose", "same strides", VOLUME, filters=3, kernel_size=3, strides=2,
        padding="same"),
    row("Conv3DTranspose", "output padding", VOLUME, filters=3, kernel_size=3, strides=2,
        output_padding=1, padding="same"),
    *(
        row(f"{kind}Pooling{rank}D", mode, LAST[rank], **options)
        for kind in ("Max", "Average")
        for rank in (1, 2, 3)
        for mode, options in (
            ("valid", {"pool_size": 2}),
            ("same strides", {"pool_size": 3, "strides": 2, "padding": "same"}),
        )
    ),
    *(
        row(f"{kind}Pooling{rank}D", "channels first", FIRST[rank], pool_size=2,
            data_format="channels_first")
        for kind, rank in (("Max", 2), ("Average", 1), ("Average", 3))
    ),
    row("MaxPooling2D", "free", FREE, pool_size=2, padding="same"),
    row("AveragePooling2D", "free", FREE, pool_size=3, strides=2, padding="same"),
    *(
        row(f"Global{kind}Pooling{rank}D", mode, x, data_format=data_format, keepdims=kept)
        for kind in ("Max", "Average")
        for rank in (1, 2, 3)
        for mode, x, data_format, kept in (
            ("plain", LAST[rank], None, False),
            ("channels first", FIRST[rank], "channels_first", True),
        )
        if mode == "plain" or rank == 2
    ),
    *(
        row(f"Adaptive{kind}Pooling{rank}D", mode, x, output_size=3, data_format=data_format)
        for kind in ("Max", "Average")
        for rank in (1, 2, 3)
        for mode, x, data_format in (
            ("plain", X((9, 4)) if rank == 1 else LAST[rank], None),
            ("channels first", FIRST[rank], "channels_first"),
        )
        if mode == "plain" or rank == 2
    ),
    *(
        row(f"Conv{rank}D", "channels first", FIRST[rank], filters=3, kernel_size=2,
            data_format="channels_first")
        for rank in (1, 2, 3)
    ),
    *(
        row(f"Conv{rank}DTranspose", "channels first", FIRST[rank], filters=3, kernel_size=2,
            data_format="channels_first")
        for rank in (1, 2, 3)
    ),
    *(
        row(f"DepthwiseConv{rank}D", "channels first", FIRST[rank], kernel_size=2,
            data_format="channels_first")
        for rank in (1, 2)
    ),
    *(
        row(f"SeparableConv{rank}D", "channels first", FIRST[rank], filters=3, kernel_size=2,
            data_format="channels_first")
        for rank in (1, 2)
    ),
]  # fmt: skip
