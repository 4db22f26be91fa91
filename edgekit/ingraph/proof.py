"""Real and edge inputs for a model with its preprocessing, and what Python answers for them.

The whole file is compared with `edgekit.preprocess` and the same model without: text and pixels
have to be equal but for rounding, and so has a PNG file. A JPEG file need not be, since decoders
differ: how far it is off is measured.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import parity, preprocess
from edgekit.errors import ExportError, needs_extra
from edgekit.feeds import make_feeds
from edgekit.ingraph import text
from edgekit.ingraph.attach import INTERFACES, Plan
from edgekit.parity import Tolerance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgekit.runtime.runner import Runner
    from edgekit.signature import Feeds, Outputs

#: The same kernels get the same numbers; other fusions may round otherwise.
TOLERANCE = Tolerance(atol=1e-6, rtol=1e-5)
#: Samples of the reference that real inputs are made of.
SAMPLES = 8
#: Names of kinds of evidence, in `Variant.measured["preprocessing"]`.
EQUAL, JPEG = "cpu", "cpu, JPEG files"


@dataclass(frozen=True)
class Case:
    """A raw input, and what Python makes of it for the model's own input.

    `kind` is `EQUAL`, or `JPEG` where the answer is measured and not judged.
    """

    raw: np.ndarray[Any, Any]
    prepared: np.ndarray[Any, Any]
    kind: str = EQUAL


@dataclass
class Evidence:
    """How far answers are from Python's, by kind of input; absolute error of the first output."""

    cases: dict[str, int] = field(default_factory=dict)
    max_abs_error: dict[str, float] = field(default_factory=dict)

    def add(self, kind: str, error: float) -> None:
        """Count one more comparison."""
        self.cases[kind] = self.cases.get(kind, 0) + 1
        self.max_abs_error[kind] = max(error, self.max_abs_error.get(kind, 0.0))

    def summary(self) -> dict[str, Any]:
        """Give what the manifest records."""
        return {
            kind: {"cases": count, "max_abs_error": self.max_abs_error[kind]}
            | ({"allowed_abs_error": TOLERANCE.atol} if kind == EQUAL else {})
            for kind, count in self.cases.items()
        }


def answer(
    model: Runner, plan: Plan, prepared: np.ndarray[Any, Any], softmax: bool, known: Feeds | None
) -> tuple[Feeds, Outputs]:
    """Give what the model without its preprocessing answers, and the other inputs it was given."""
    name = plan.spec["input"]
    feeds = (
        make_feeds(model.signature, reference=known, batch=len(prepared), axes={}, seed=0)
        if len(model.signature.inputs) > 1
        else {}
    )
    outputs = model.run({**feeds, name: prepared})
    others = {key: array for key, array in feeds.items() if key != name}
    for key, scores in outputs.items():
        if plan.labels and scores.ndim == 2 and scores.shape[1] == len(plan.labels):
            rest = {other: array for other, array in outputs.items() if other != key}
            return others, _explained(scores, plan, softmax) | rest
    return others, outputs


def _explained(scores: np.ndarray[Any, Any], plan: Plan, softmax: bool) -> Outputs:
    if softmax:
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores = powers / powers.sum(axis=1, keepdims=True)
    top = min(plan.top, scores.shape[1])
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    names = np.array(plan.labels, object)[best]
    values = np.take_along_axis(scores, best, axis=1)
    return {
        "probabilities": scores,
        "label": names[:, 0],
        "probability": values[:, 0],
        "top_labels": names,
        "top_probabilities": values,
    }


def compare(
    raw: Runner,
    model: Runner,
    plan: Plan,
    cases: Sequence[Case],
    softmax: bool,
    known: Feeds | None,
) -> Evidence:
    """Compare the whole file with Python's way, case by case.

    Raises `ExportError` where they are not equal.
    """
    evidence = Evidence()
    for case in cases:
        others, expected = answer(model, plan, case.prepared, softmax, known)
        got = raw.run({**others, raw_name(plan): case.raw})
        first = next(iter(expected))
        numbers = {k: array for k, array in expected.items() if array.dtype.kind != "O"}
        if case.kind == EQUAL:
            _check(numbers, expected, got, case)
        error = np.abs(got[first].astype(np.float64) - expected[first]).max(initial=0.0)
        evidence.add(case.kind, float(error))
    return evidence


def _check(numbers: Outputs, expected: Outputs, got: Outputs, case: Case) -> None:
    wrong = [o for o in parity.compare(numbers, got, TOLERANCE) if not o.passed]
    # The runner-up of two equal scores is chance where they are rounded otherwise.
    label_differs = (
        "label" in expected
        and not wrong
        and (got["label"] != expected["label"]).any()
        and np.diff(-np.sort(-expected["probabilities"], axis=1)[:, :2]).min() < -1e-5
    )
    if wrong or label_differs:
        detail = wrong[0].detail if wrong else "another label"
        raise ExportError(
            f"The preprocessing in the graph does not answer as Python's, for an input of shape "
            f"{case.raw.shape} ({detail}): this is a defect, please report it with the model."
        )


def raw_name(plan: Plan) -> str:
    """Name the input that the raw form of a model takes."""
    return INTERFACES[plan.takes][0] if plan.takes in INTERFACES else str(plan.spec["input"])


def reference_of(plan: Plan, inputs: Feeds | None) -> Case:
    """Give real inputs, made of the bundle's reference where there is one."""
    known = None if inputs is None else inputs[plan.spec["input"]][:SAMPLES]
    if plan.takes == "text":
        return _text_case(_lines(plan.spec, known), plan.spec)
    if plan.takes == "series":
        return _series_case(plan.spec, known)
    pictures = _pictures(plan.spec, known)
    if plan.takes == "encoded":
        return _file_case(_encode(pictures[0], "PNG"), plan.spec)
    return _pixel_case(pictures, plan.spec)


def edge_cases(plan: Plan, inputs: Feeds | None) -> Iterator[Case]:
    """Give inputs at the edges of what is taken."""
    known = None if inputs is None else inputs[plan.spec["input"]][:SAMPLES]
    if plan.takes == "text":
        for line in _edge_lines(_lines(plan.spec, known)[0], plan.spec):
            yield _text_case([line], plan.spec)
    elif plan.takes == "pixels":
        yield from _edge_pixels(plan.spec)
    elif plan.takes == "encoded":
        yield from _edge_files(_pictures(plan.spec, known), plan.spec)


def _series_case(spec: Mapping[str, Any], known: np.ndarray[Any, Any] | None) -> Case:
    if known is None:
        known = np.random.default_rng(0).random((SAMPLES, 16, spec["channels"]), np.float32)
    return Case(known, known)


def _lines(spec: Mapping[str, Any], known: np.ndarray[Any, Any] | None) -> list[str]:
    """Turn ids back to text; without any, words of the alphabet."""
    alphabet, offset = spec["alphabet"], spec["offset"]
    if known is None:
        rng = np.random.default_rng(0)
        sizes = rng.integers(1, spec["max_length"] + 1, SAMPLES)
        rows = [rng.integers(0, len(alphabet), size) + offset for size in sizes]
    else:
        rows = [row[row != spec["padding"]] for row in known]
    words = ["".join(alphabet[i - offset] if i >= offset else "\ufffd" for i in r) for r in rows]
    return [word if word.strip() else "a" for word in words]


def _edge_lines(line: str, spec: dict[str, Any]) -> list[str]:
    capitals = line if text.knows_sigma(spec) else line.upper()
    return [
        capitals,
        f" \t{line}\u00a0",
        line[:1],
        f"{line} {line}" * (spec["max_length"] // len(line) + 1),
        "a\u0301e\u0308",  # accents as characters of their own
        "\u0130I\u0131",  # the Turkish capitals
        "\U0001f600\U0001d538",
        "\0\u200b",
    ]


def _text_case(lines: list[str], spec: dict[str, Any]) -> Case:
    return Case(np.array(lines, object), preprocess.texts(lines, spec)[spec["input"]])


def _pictures(spec: Mapping[str, Any], known: np.ndarray[Any, Any] | None) -> np.ndarray[Any, Any]:
    """Make pictures of another size and shape: uint8 `(samples, height, width, 3)`."""
    low, high = spec["range"]
    shape = (SAMPLES, spec["height"], spec["width"], spec["channels"])
    levels = (
        np.random.default_rng(0).random(shape) if known is None else (known - low) / (high - low)
    )
    size = (3 * spec["width"] + 1, 2 * spec["height"] + 5)
    whole = np.clip(np.rint(levels * 255), 0, 255).astype(np.uint8)
    return np.stack([np.asarray(_picture(one).convert("RGB").resize(size)) for one in whole])


def _picture(pixels: np.ndarray[Any, Any]) -> Any:
    from PIL import Image

    grey = pixels.shape[2] == 1
    return Image.fromarray(pixels[..., 0] if grey else pixels, preprocess.MODES[pixels.shape[2]])


def _pixel_case(pixels: np.ndarray[Any, Any], spec: dict[str, Any]) -> Case:
    made = [preprocess.scaled(_picture(one), spec)[spec["input"]] for one in pixels]
    return Case(pixels, np.concatenate(made))


def _edge_pixels(spec: dict[str, Any]) -> Iterator[Case]:
    """Give noise of one pixel, tall, wide, smaller and larger, in every number of channels."""
    rng = np.random.default_rng(1)
    height, width = spec["height"], spec["width"]
    sizes = [(1, 1), (height, width), (3 * height + 50, width), (height // 2 + 1, 3 * width + 7)]
    for size in sizes:
        for channels in preprocess.MODES:
            pixels = rng.integers(0, 256, (1, *size, channels), np.uint8)
            yield _pixel_case(pixels, spec)


def _encode(pixels: np.ndarray[Any, Any], kind: str, mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    _picture(pixels).convert(mode).save(file, kind, **options)
    return file.getvalue()


def _file_case(data: bytes, spec: dict[str, Any], kind: str = EQUAL) -> Case:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        prepared = preprocess.scaled(picture, spec)[spec["input"]]
    return Case(np.frombuffer(data, np.uint8)[None], prepared, kind)


def _edge_files(pictures: np.ndarray[Any, Any], spec: dict[str, Any]) -> Iterator[Case]:
    for mode in ("L", "LA", "RGB", "RGBA"):
        yield _file_case(_encode(pictures[-1], "PNG", mode), spec)
    yield _file_case(_encode(pictures[0][:1, :1], "PNG"), spec)
    for pixels in pictures:
        for mode, options in (("RGB", {}), ("RGB", {"quality": 95, "subsampling": 0}), ("L", {})):
            yield _file_case(_encode(pixels, "JPEG", mode, **options), spec, JPEG)


def check_installed(takes: str) -> None:
    """Raise `MissingExtraError` where the evidence needs a package that is not there."""
    if takes in ("pixels", "encoded"):
        with needs_extra("prove the preprocessing of pictures"):
            import PIL.Image  # noqa: F401 # what it is used for comes later
