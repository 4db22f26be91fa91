"""The variant of a bundle that has its preprocessing inside, and what its answers have to be.

Right of the wall, but for making such a variant where the bundle has none: that takes onnx-ir.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np

from edgekit import parity
from edgekit.bundle import TENSORS, Bundle
from edgekit.errors import EmbedError
from edgekit.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgekit.bundle import Variant
    from edgekit.embedder.targets import Target
    from edgekit.parity import Tolerance
    from edgekit.runtime.runner import Runner
    from edgekit.signature import Outputs, Signature

ENCODED = "encoded"
#: The folders of templates for what a file takes, each on top of the one before.
KINDS = {"text": ("characters", "text"), "pixels": ("image", "pixels")}
#: Two labels are told apart where their probabilities are further apart than both may be off.
APART_INT8 = 0.1


def check_takes(target: Target, variant: Variant) -> None:
    """Raise `EmbedError` where a project for the target has no way to give a variant its input."""
    if variant.takes == ENCODED:
        raise EmbedError(
            f"The variant {variant.name!r} takes a picture's file, for which it needs "
            f"onnxruntime-extensions, and a project for {target.name!r} has "
            f"{target.runtime.package} alone: give --with-preprocessing and no --variant, or name "
            "one that takes pixels."
        )
    if variant.takes != TENSORS and target.no_raw:
        raise EmbedError(
            f"The variant {variant.name!r} has its preprocessing inside, which the target "
            f"{target.name!r} does not take: {target.no_raw}. Leave --with-preprocessing out, or "
            "name another --variant: the project then has the preprocessing in code."
        )


def raw_of(
    bundle: Bundle, variant: Variant, target: Target, scratch: Path
) -> tuple[Bundle, Variant]:
    """Give the variant with its preprocessing inside: the bundle's own, else one made in a copy.

    Raises `EmbedError` for a target without, `MissingExtraError` where it has to be made and
    onnx-ir is not installed, `ExportError` where it cannot be made.
    """
    if variant.takes != TENSORS:
        return bundle, variant
    if target.no_raw:
        raise EmbedError(
            f"The target {target.name!r} does not take --with-preprocessing: {target.no_raw}. "
            "Leave it out: the project then has the preprocessing in code."
        )
    wanted = f"{variant.name}-raw"
    if all(known.name != wanted for known in bundle.manifest.variants):
        from edgekit.ingraph import with_preprocessing

        copied = shutil.copytree(bundle.path, scratch / "bundle")
        made = with_preprocessing(Bundle.open(copied), variant=variant.name).bundle
        assert made is not None
        bundle = made
    return bundle, bundle.variant(wanted)


def alone(
    cases: list[Reference], reference: Reference, runner: Runner, tolerance: Tolerance
) -> list[Reference]:
    """Give cases of one text each their answers.

    In the reference a text is padded to the longest of its batch. Where a model notices that and
    answers the batch as it should, a text alone has what the file answers to it here.
    """
    answers = [runner.run(case.inputs) for case in cases]
    if all(_agree(case, answer, tolerance) for case, answer in zip(cases, answers, strict=True)):
        return cases
    if not _agree(reference, runner.run(reference.inputs), tolerance):
        return cases
    return [
        Reference(case.inputs, {name: answer[name] for name in case.outputs})
        for case, answer in zip(cases, answers, strict=True)
    ]


def _agree(case: Reference, answer: Outputs, tolerance: Tolerance) -> bool:
    return all(output.passed for output in parity.compare(case.outputs, answer, tolerance))


def named(
    case: Reference, labels: Sequence[str], signature: Signature, tolerance: Tolerance
) -> Reference:
    """Add to a case the labels and the top-k that belong to its probabilities `(batch, labels)`.

    Labels are exact where numbers have a tolerance: one that another could pass within it is left
    out of the case.
    """
    shapes = {spec.name: spec.shape for spec in signature.outputs}
    scores = case.outputs.get("probabilities")
    if "top_labels" not in shapes or scores is None or scores.shape[1:] != (len(labels),):
        return case
    top = shapes["top_labels"][1]
    assert isinstance(top, int)
    best = np.argsort(-scores, axis=1, kind="stable")
    ranked, names = np.take_along_axis(scores, best, axis=1), np.array(labels, object)[best]
    found = {"probability": ranked[:, 0], "top_probabilities": ranked[:, :top]}
    apart = APART_INT8 if tolerance.atol is None else 2 * tolerance.atol
    decided = -np.diff(ranked.astype(np.float64), axis=1) > apart
    if decided[:, :1].all():
        found["label"] = names[:, 0]
    if decided[:, :top].all():
        found["top_labels"] = names[:, :top]
    return Reference(case.inputs, {**case.outputs, **found})
