"""`keras.ops.image`: pictures that are resized, warped, cut, or have other colours."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.exporter.cases.apply import each, floats, ops

POINTS: Any = np.array([[[0, 0], [0, 7], [5, 0], [5, 7]]], np.float32)
MOVED: Any = np.array([[[1, 0.5], [0, 6], [5, 1], [4, 7]]], np.float32)
TURN: Any = np.array([[0.9, -0.3, 1.0, 0.2, 1.1, -0.5, 0.0, 0.0]], np.float32)

CASES = (
    *each(
        "image.resize",
        lambda f, image: [f(image, (9, 12), m) for m in ("bilinear", "nearest", "bicubic")],
        "up",
    ),
    *each(
        "image.resize",
        lambda f, image: [f(image, (4, 5), m) for m in ("bilinear", "nearest", "bicubic", "area")],
        "down",
    ),
    *each(
        "image.resize",
        lambda f, image: [
            f(image, (4, 3), m, antialias=True) for m in ("bilinear", "bicubic", "lanczos3")
        ],
        "antialias",
    ),
    *each(
        "image.resize",
        lambda f, image: [f(image, (9, 5), m) for m in ("lanczos3", "lanczos5")],
        "lanczos",
    ),
    *each(
        "image.resize",
        lambda f, image: (
            f(image, (4, 4), crop_to_aspect_ratio=True),
            f(image, (4, 4), pad_to_aspect_ratio=True, fill_value=0.5),
        ),
        "aspect",
    ),
    *each(
        "image.resize",
        lambda f, image8: (f(image8, (12, 16)), f(image8, (4, 5), "nearest")),
        "uint8",
    ),
    *each(
        "image.resize",
        lambda f, image: f(
            ops.transpose(image, (0, 3, 1, 2)), (9, 5), data_format="channels_first"
        ),
        "first",
    ),
    *each("image.rgb_to_grayscale", lambda f, image, image8: (f(image), f(image8))),
    *each(
        "image.rgb_to_hsv image.hsv_to_rgb",
        lambda f, image: (
            f(image),
            f(image[0]),
            f(ops.transpose(image, (0, 3, 1, 2)), "channels_first"),
        ),
    ),
    *each(
        "image.affine_transform",
        lambda f, image: [f(image, TURN, m) for m in ("bilinear", "nearest")],
    ),
    *each(
        "image.affine_transform",
        lambda f, image: [f(image, TURN, fill_mode=m) for m in ("nearest", "wrap", "reflect")],
        "fill",
    ),
    *each(
        "image.affine_transform",
        lambda f, image: f(
            ops.transpose(image, (0, 3, 1, 2)), TURN, fill_value=0.5, data_format="channels_first"
        ),
        "first",
    ),
    *each("image.perspective_transform", lambda f, image: f(image, POINTS, MOVED)),
    *each(
        "image.map_coordinates",
        lambda f, matrix, u: [
            f(matrix[0], 5 * ops.transpose(u[0, :, :2]) - 1, o, m)
            for o, m in ((0, "constant"), (1, "constant"), (1, "wrap"), (1, "reflect"))
        ],
    ),
    *each(
        "image.map_coordinates",
        lambda f, matrix, u: f(matrix[0], 2 * ops.transpose(u[0, :, :2]), 1, "mirror"),
        "mirror",
    ),
    *each(
        "image.gaussian_blur",
        lambda f, image: (
            f(image),
            f(image, (5, 3), (2.0, 0.5)),
            f(ops.transpose(image, (0, 3, 1, 2)), data_format="channels_first"),
        ),
    ),
    *each(
        "image.extract_patches",
        lambda f, image: (
            f(image, 2),
            f(image, (2, 3), 1, padding="same"),
            f(image, 2, (1, 1), (2, 2)),
        ),
    ),
    *each(
        "image.extract_patches_3d",
        lambda f, volume: (f(volume, 2), f(volume, (2, 3, 1), 1, padding="same")),
    ),
    *each(
        "image.crop_images",
        lambda f, image: (
            f(image, 1, 2, target_height=3, target_width=4),
            f(image, top_cropping=1, left_cropping=1, bottom_cropping=2, right_cropping=0),
        ),
    ),
    *each(
        "image.pad_images",
        lambda f, image: (
            f(image, 1, 2, target_height=9, target_width=12),
            f(image, top_padding=1, left_padding=1, bottom_padding=2, right_padding=0),
        ),
    ),
    *each(
        "image.scale_and_translate",
        lambda f, image: [
            f(
                image,
                (ops.shape(image)[0], 9, 5, 3),
                floats(1.5, 0.6),
                floats(0.2, -0.1),
                (1, 2),
                m,
            )
            for m in ("linear", "cubic")
        ],
    ),
    *each("image.sobel_edges", lambda f, image: f(image)),
    *each(
        "image.ssim",
        lambda f, image: f(ops.tile(image, (1, 2, 2, 1)), ops.tile(0.9 * image, (1, 2, 2, 1)), 1.0),
    ),
)
