"""Raw input in, answer out: a model with its pre- and post-processing in the graph.

`with_preprocessing` puts what a bundle's manifest says of text and pictures (`edgekit.preprocess`)
before a variant, and softmax, top-k and labels behind it. What the file takes is `Variant.takes`:

=========  =============================================  ========================================
takes      its input                                      what an app needs
=========  =============================================  ========================================
text       `text`: strings `('batch',)`                   onnxruntime (its operator Tokenizer)
pixels     `image`: uint8 `('batch', 'height', 'width',   onnxruntime (standard operators)
           'channels')` of any size, 1 to 4 channels
encoded    `image`: uint8 `(1, 'bytes')`, a PNG or JPEG   onnxruntime and onnxruntime-extensions
           file
series     as without                                     onnxruntime (standard operators)
=========  =============================================  ========================================

The file is written only where it answers as Python does (`proof`). Left of the wall: onnx-ir.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import files, preprocess
from edgekit.bundle import EXTERNAL, Bundle, FileEntry, Variant
from edgekit.errors import BundleError, ExportError
from edgekit.ingraph import attach, proof
from edgekit.reference import Reference
from edgekit.runtime.runner import open_runner
from edgekit.runtime.session import model_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekit.ingraph.proof import Evidence
    from edgekit.signature import Feeds, Signature

TOP = 3
#: What a file takes, by the kind of its preprocessing; a picture may come as a file too.
TAKES = {"characters": "text", "image": "pixels", "series": "series"}
#: The packages that an app needs to run a file.
PACKAGES = {"encoded": ("onnxruntime", "onnxruntime-extensions")}

#: What is made of the probabilities, and judged by them.
LABELLED = ("label", "probability", "top_labels", "top_probabilities")


@dataclass(frozen=True)
class Raw:
    """A model with its preprocessing: its file, what it takes, and the evidence that it is right.

    `packages` are what an app needs to run it. `variant` and `bundle` are None for a file of its
    own. `evidence` is what the manifest records: cases and the largest absolute error against
    Python, by kind of input.
    """

    path: Path
    takes: str
    packages: tuple[str, ...]
    signature: Signature
    size_bytes: int
    evidence: dict[str, Any]
    variant: str | None = None
    bundle: Bundle | None = None


def with_preprocessing(
    model: str | Path | Bundle,
    *,
    variant: str | None = None,
    encoded: bool = False,
    preprocessing: Mapping[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    top: int = TOP,
    out: str | Path | None = None,
    force: bool = False,
) -> Raw:
    """Put a model's pre- and post-processing into its graph, as a variant of its bundle or a file.

    `variant` is the one to start from; what is made of `int8` is called `int8-raw`, or
    `int8-encoded` where `encoded` asks for PNG and JPEG files as the input. `preprocessing`, one of
    the kinds of `edgekit.preprocess`, and `labels` are the bundle's where they are left out. `top`
    is how many labels are named; `out` a path for one `.onnx` file.

    Raises `ExportError` where it cannot be put into the graph, or does not answer as Python's,
    `BundleError` for a manifest that is wrong, `OutputError` for an existing output.
    """
    job = _job(model, variant, preprocessing, labels, encoded, top, out)
    files.check_free(job.target, force=force)
    proof.check_installed(job.plan.takes)
    known = job.bundle.data("reference") if job.bundle else None
    inputs = known["inputs"] if known else None
    with files.new_file(job.target, force=force) as made:
        opset, softmax = attach.attach(job.source, job.plan, made)
        signature, evidence, first = _prove(job, made, softmax, inputs)
    result = Raw(
        path=job.target,
        takes=job.plan.takes,
        packages=PACKAGES.get(job.plan.takes, ("onnxruntime",)),
        signature=signature,
        size_bytes=job.target.stat().st_size,
        evidence=evidence.summary(),
    )
    return result if job.origin is None else _record(job, result, opset, first)


@dataclass(frozen=True)
class _Job:
    """What is to be done. `origin` is the variant that is wrapped, where it stays in a bundle."""

    source: Path
    target: Path
    plan: attach.Plan
    bundle: Bundle | None
    origin: Variant | None
    suffix: str


def _job(
    model: str | Path | Bundle,
    variant: str | None,
    preprocessing: Mapping[str, Any] | None,
    labels: Sequence[str] | None,
    encoded: bool,
    top: int,
    out: str | Path | None,
) -> _Job:
    bundle = model if isinstance(model, Bundle) else None
    if bundle is None and Path(str(model)).is_dir():
        bundle = Bundle.open(str(model))
    source = model_file(bundle or str(model), variant)
    origin = bundle.variant(variant) if bundle else None
    if origin is not None and (origin.takes != "tensors" or origin.provider is not None):
        raise ExportError(
            f"The variant {origin.name!r} has its preprocessing already, or is compiled: give "
            "--variant with another one."
        )
    spec = dict(preprocessing or (bundle and bundle.manifest.preprocessing) or {})
    labels = labels or (bundle.manifest.labels if bundle else ())
    takes = _takes(spec, source, encoded)
    suffix = "encoded" if encoded else "raw"
    plan = attach.Plan(spec, takes, tuple(labels), top)
    if out is not None:
        if Path(out).suffix != ".onnx":
            raise ExportError(f"The output {str(out)!r} is no .onnx file: give the path of one.")
        return _Job(source, Path(out), plan, bundle, None, suffix)
    if origin is None:
        return _Job(
            source, source.with_name(f"{source.stem}.{suffix}.onnx"), plan, None, None, suffix
        )
    assert bundle is not None
    target = bundle.path / re.sub(r"\.onnx$", f".{suffix}.onnx", origin.file.path)
    return _Job(source, target, plan, bundle, origin, suffix)


def _takes(spec: Mapping[str, Any], source: Path, encoded: bool) -> str:
    kind = preprocess.kind_of(dict(spec)) if spec else None
    if kind is None:
        raise ExportError(
            f"The model {str(source)!r} comes without preprocessing: give it with --about "
            "FILE.json, under the key 'preprocessing'."
        )
    if kind not in TAKES:
        raise BundleError(
            f"The preprocessing is of the kind {kind!r}: there are {', '.join(map(repr, TAKES))}."
        )
    preprocess.check(dict(spec))
    if encoded and kind != "image":
        raise ExportError(
            f"The preprocessing is of the kind {kind!r} and only a picture comes as an encoded "
            "file: leave --encoded out."
        )
    return "encoded" if encoded else TAKES[kind]


def _prove(
    job: _Job, made: Path, softmax: bool, inputs: Feeds | None
) -> tuple[Signature, Evidence, Reference]:
    """Compare the file with Python's way; give the reference of raw inputs too.

    The reference has the float variant's answers, by which every other one is judged.
    """
    first = proof.reference_of(job.plan, inputs)
    cases = [first, *proof.edge_cases(job.plan, inputs)]
    with open_runner(made) as raw, open_runner(job.source) as model:
        evidence = proof.compare(raw, model, job.plan, cases, softmax, inputs)
        signature = raw.signature
    exact = job.bundle or job.source
    with open_runner(exact, variant=None) as model:
        others, outputs = proof.answer(model, job.plan, first.prepared, softmax, inputs)
    given = first.raw.astype(str) if first.raw.dtype == object else first.raw
    raw_inputs = {**others, proof.raw_name(job.plan): given}
    # Labels are no numbers: where two scores are close, a smaller variant may name the other.
    kept = {key: array for key, array in outputs.items() if key not in LABELLED}
    return signature, evidence, Reference(raw_inputs, kept)


def _record(job: _Job, result: Raw, opset: int, reference: Reference) -> Raw:
    bundle, origin = job.bundle, job.origin
    assert bundle is not None
    assert origin is not None
    key = f"reference.{result.takes}"
    path = bundle.path / f"{key}.npz"
    with files.new_file(path, force=True) as made:
        reference.save(made)
    data = {key: FileEntry.of(path)}
    weights = bundle.path / f"{job.target.name}{EXTERNAL}"
    if weights.is_file():
        data[weights.name] = FileEntry.of(weights)
    variant = Variant(
        name=f"{origin.name}-{job.suffix}",
        file=FileEntry.of(job.target),
        precision=origin.precision,
        recipe=origin.recipe,
        opset=opset,
        measured={"preprocessing": result.evidence},
        takes=result.takes,
        packages=result.packages,
    )
    bundle = bundle.add(variant, data)
    return dataclasses.replace(result, variant=variant.name, bundle=bundle)
