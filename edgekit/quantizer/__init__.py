"""Quantise a model: a float ONNX file in, a smaller verified one out.

The result is moved into place only after it was opened, its signature compared with the float
model's, and run on a sample. The float file is never changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from edgekit import files
from edgekit.bundle import TENSORS, Bundle, FileEntry, Variant
from edgekit.errors import FeedError, ModelError, QuantizeError
from edgekit.filesize import model_bytes
from edgekit.quantizer import recipes
from edgekit.quantizer.apply import Applied, apply
from edgekit.quantizer.calibration import Calibration, check_range, ranges_of
from edgekit.quantizer.recipes import RECIPES, Recipe
from edgekit.runtime.runner import open_runner

if TYPE_CHECKING:
    from edgekit.runtime.runner import Runner
    from edgekit.signature import Feeds, Signature

__all__ = ["RECIPES", "QuantizeOptions", "Quantized", "Recipe", "quantize"]

#: Samples of calibration data that are used at most.
SAMPLES = 256


class QuantizeOptions(TypedDict, total=False):
    """How a recipe is applied: the keywords of `quantize` that others pass on to it.

    `calibration` are inputs of the model, one row a sample: a mapping of arrays by input name, an
    `.npz` of such, a `.npy` for a model of one input, or a folder of these; a bundle's own
    calibration data is used where there is none. At most `samples` rows are read. `exclude` names
    nodes, or layers by a part of their nodes' path, that stay float.
    """

    calibration: str | Path | Mapping[str, Any] | None
    samples: int
    exclude: Sequence[str]


@dataclass(frozen=True)
class Quantized:
    """A quantised file and what was done.

    `quantized_ops` is `{op type: (done, total)}` over the operators that the recipe is for, loops
    and branches included; sizes are in bytes, external weights included; `calibration_samples` is
    None without calibration. `variant` and `bundle` (as it is after the variant was added) are
    None for a plain file.
    """

    path: Path
    recipe: str
    precision: str
    size_bytes: int
    float_size_bytes: int
    quantized_ops: dict[str, tuple[int, int]]
    notes: tuple[str, ...]
    calibration_samples: int | None = None
    variant: str | None = None
    bundle: Bundle | None = None


@dataclass(frozen=True)
class _Job:
    """What to read and where to write; `bundle` is set where it gets the result as a variant."""

    recipe: Recipe
    variant: str
    source: Path
    target: Path
    origin: Bundle | None
    bundle: Bundle | None


def quantize(
    model: str | Path | Bundle,
    recipe: str = "int8",
    *,
    out: str | Path | None = None,
    variant: str | None = None,
    force: bool = False,
    **options: Unpack[QuantizeOptions],
) -> Quantized:
    """Quantise a bundle's float variant, or any `.onnx` file, by a recipe's name.

    Without `out` a bundle gets the result as a variant and a file gets it beside itself
    (`model.onnx`: `model.int8.onnx`), under the recipe's variant name or the one given.
    `QuantizeOptions` says what else may be given.

    Raises `QuantizeError` for a recipe that does not apply, calibration data of another range than
    the reference inputs or a result that fails its checks; `FeedError` for calibration data that
    does not fit the signature; `OutputError` for an existing output. Nothing is written then.
    """
    samples = options.get("samples", SAMPLES)
    if samples < 1:
        raise ValueError(f"samples is {samples}, expected at least 1")
    job = _plan(model, recipes.resolve(recipe), variant, out)
    files.check_free(job.target, force=force)
    with open_runner(job.source) as runner:
        data, count, sample = _prepare_data(
            job, runner.signature, options.get("calibration"), samples
        )
        with files.new_file(job.target, force=force) as made:
            work = made.with_name("edgekit-work")
            work.mkdir()
            exclude = tuple(options.get("exclude", ()))
            applied = apply(job.recipe, job.source, made, work, calibration=data, exclude=exclude)
            notes = [*applied.notes, *_check(job, runner, made, sample)]
    return _result(job, applied, notes, count)


def _plan(
    model: str | Path | Bundle, recipe: Recipe, variant: str | None, out: str | Path | None
) -> _Job:
    variant = variant or recipe.variant
    name = f"model.{variant}.onnx"
    if isinstance(model, Bundle):
        origin: Bundle | None = model
        source = model.path
    else:
        source = Path(model)
        origin = Bundle.open(source) if source.is_dir() else None
    if origin is not None:
        variants = origin.manifest.variants
        floats = [v for v in variants if v.precision == "fp32" and v.takes == TENSORS]
        if not floats:
            raise QuantizeError(
                f"The bundle {str(origin.path)!r} has no fp32 variant to start from: export it "
                "again."
            )
        source = origin.file(floats[0].file)
        target = origin.path / name if out is None else Path(out)
    else:
        beside = source.with_name(f"{source.stem}.{variant}.onnx")
        target = beside if out is None else Path(out)
    files.check_other(target, source)
    return _Job(recipe, variant, source, target, origin, origin if out is None else None)


def _prepare_data(
    job: _Job, signature: Signature, given: str | Path | Mapping[str, Any] | None, samples: int
) -> tuple[Calibration | None, int | None, Feeds | None]:
    """Give checked calibration data with its number of samples, and inputs to try the result on."""
    reference = _inputs(job.origin, "reference")
    if not job.recipe.needs_calibration:
        return None, None, reference
    source: Mapping[str, Any] | Path | None
    if given is None:
        source = _inputs(job.origin, "calibration")
    else:
        source = given if isinstance(given, Mapping) else Path(given)
    if source is None:
        raise QuantizeError(
            f"The recipe {job.recipe.name!r} needs calibration data and {str(job.source)!r} comes "
            "with none: give --calibration FILE.npz|DIR with inputs of the model."
        )
    data = Calibration(signature, source, samples)
    ranges, count, first = data.survey()
    if reference is not None:
        check_range(ranges, ranges_of(reference))
    return data, count, first


def _inputs(bundle: Bundle | None, kind: str) -> Feeds | None:
    groups = bundle.data(kind) if bundle is not None else None
    return groups.get("inputs") if groups else None


def _check(job: _Job, runner: Runner, made: Path, sample: Feeds | None) -> list[str]:
    """Raise `QuantizeError` where the file made is not as good as its float model; give notes."""
    advice = "exclude layers, or try another recipe"
    with open_runner(made) as quantised:
        if quantised.signature != runner.signature:
            raise QuantizeError(
                f"The recipe {job.recipe.name!r} turned {runner.signature} into "
                f"{quantised.signature}: this is a defect; please report it with the model."
            )
        try:
            feeds = sample if sample is not None else runner.signature.sample(batch=2)
            expected = runner.run(feeds)
        except (FeedError, ModelError) as error:
            if sample is not None:
                raise
            return [f"it was opened and not run: the float model takes no made-up sample ({error})"]
        got = quantised.run(feeds)
    for name, array in expected.items():
        if got[name].shape != array.shape:
            raise QuantizeError(
                f"The recipe {job.recipe.name!r} makes {name!r} of shape {got[name].shape} where "
                f"the float model gives {array.shape}: {advice}."
            )
        if (
            array.dtype.kind == "f"
            and np.isfinite(array).all()
            and not np.isfinite(got[name]).all()
        ):
            raise QuantizeError(
                f"The recipe {job.recipe.name!r} makes {name!r} NaN or infinite where the float "
                f"model gives {array.min():g} to {array.max():g}: {advice}."
            )
    return []


def _result(job: _Job, applied: Applied, notes: list[str], count: int | None) -> Quantized:
    size, float_size = job.target.stat().st_size, model_bytes(job.source)
    if size >= float_size:
        notes.append(f"not smaller than float ({size} bytes where float has {float_size})")
    bundle = job.bundle
    if bundle is not None:
        bundle = bundle.add(
            Variant(
                job.variant,
                FileEntry.of(job.target),
                job.recipe.precision,
                job.recipe.name,
                applied.opset,
            )
        )
    return Quantized(
        path=job.target,
        recipe=job.recipe.name,
        precision=job.recipe.precision,
        size_bytes=size,
        float_size_bytes=float_size,
        quantized_ops=applied.counts,
        notes=tuple(notes),
        calibration_samples=count,
        variant=job.variant if bundle is not None else None,
        bundle=bundle,
    )
