"""Quantise a model: a float ONNX file in, a smaller verified one out.

The result is moved into place only after it was opened, its signature compared with the float
model's, and run on a sample. The float file is never changed.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np

from edgekit import files
from edgekit.bundle import Bundle, FileEntry, Variant
from edgekit.errors import FeedError, ModelError, QuantizeError
from edgekit.filesize import model_bytes
from edgekit.quantizer import damage, guards, ranges, recipes, sources, tools
from edgekit.quantizer.apply import PREPARED, Applied, apply
from edgekit.quantizer.calibration import Calibration
from edgekit.quantizer.recipes import RECIPES, Recipe, Settings
from edgekit.runtime.runner import open_runner

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgekit.quantizer.guards import InputRange
    from edgekit.quantizer.sources import Source
    from edgekit.runtime.runner import Runner
    from edgekit.signature import Feeds, Signature
    from edgekit.verdicts import Failure

__all__ = ["RECIPES", "QuantizeOptions", "Quantized", "Recipe", "quantize"]

#: Samples of calibration data that are used at most.
SAMPLES = 256
#: Held-out samples that a quantised file's ranges are tried on.
HELD_OUT = 64
#: The source of data that a bundle carries.
BUNDLED = "the bundle's calibration.npz"


class QuantizeOptions(TypedDict, total=False):
    """How a recipe is applied: the keywords of `quantize` that others pass on to it.

    `calibration` are inputs of the model (`sources` has all kinds): arrays by input name with a row
    a sample, a file or folder of such, a folder of pictures for a bundle with image preprocessing,
    or code that gives them, as a generator or as `module:function`; a bundle's own calibration data
    is used where there is none. At most `samples` rows are read. `method` chooses the ranges of
    activations from it: minmax, entropy or percentile. `equalize` scales channels of very different
    size to one before their weights are rounded, `correct_bias` takes the mean error of every
    channel from its bias: both are for recipes that calibrate. `exclude` names nodes, or layers by
    a part of their nodes' path, that stay float. `form` is one of the recipe's forms (`recipes`).
    """

    calibration: Source | None
    samples: int
    method: str
    equalize: bool
    correct_bias: bool
    exclude: Sequence[str]
    form: str | None


@dataclass(frozen=True)
class Calibrated:
    """What a recipe was calibrated with: the source, how many samples, how ranges were chosen.

    `inputs` has the range of each float input beside what the bundle says it should be.
    """

    source: str
    samples: int
    method: str
    inputs: tuple[InputRange, ...]


@dataclass(frozen=True)
class Quantized:
    """A quantised file and what was done.

    `quantized_ops` is `{op type: (done, total)}` over the operators that the recipe is for, loops
    and branches included; sizes are in bytes, external weights included; `calibration` is None
    where the recipe needs none. `failures` are named in `damage` and `guards`: the file is there,
    and loses more than 8 bits have to. `variant` and `bundle` (as it is after the variant was
    added) are None for a plain file.
    """

    path: Path
    recipe: str
    precision: str
    size_bytes: int
    float_size_bytes: int
    quantized_ops: dict[str, tuple[int, int]]
    notes: tuple[str, ...]
    calibration: Calibrated | None = None
    failures: tuple[Failure, ...] = ()
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
    if job.recipe.needs_exclusions and not options.get("exclude"):
        options = _chosen(job, options)
    settings = _settings(job.recipe, options)
    files.check_free(job.target, force=force)
    with open_runner(job.source) as runner, files.new_file(job.target, force=force) as made:
        work = made.with_name("edgekit-work")
        work.mkdir()
        given = options.get("calibration")
        data = _prepare_data(job, runner.signature, given, samples, settings.method, work)
        applied = apply(
            job.recipe, job.source, made, work, calibration=data.source, settings=settings
        )
        failures, notes = guards.check_reference(job.origin) if job.origin else ([], [])
        notes = [*applied.notes, *_check(job, runner, made, data.sample), *notes]
        if data.source is not None:
            feeds, where = _held_out(job, data.source)
            with tools.tool_errors("tried on its ranges", "please report it with the model"):
                lost, noted = damage.inspect(work / PREPARED, made, feeds, where)
            failures, notes = failures + lost, notes + noted
    return _result(job, applied, notes, failures, data.about)


def _chosen(job: _Job, options: QuantizeOptions) -> QuantizeOptions:
    """Choose the layers to leave in float by the damage that each does (`sensitivity`)."""
    from edgekit.quantizer import samples, sensitivity

    with open_runner(job.source) as runner:
        options = samples.settled(job.origin, runner.signature, options)
    exclude = sensitivity.exclusions(job.origin or job.source, **options)
    if not exclude:
        raise QuantizeError(
            f"The recipe {job.recipe.name!r} leaves in float what does not bear 8 bits, and all "
            f"layers of {str(job.source)!r} do: use static-int8, or name layers with --exclude."
        )
    return {**options, "exclude": exclude}


def _settings(recipe: Recipe, options: QuantizeOptions) -> Settings:
    """Check the options of a recipe; raises `QuantizeError` for one that it has no use for."""
    method = ranges.check_method(options.get("method", "minmax"))
    equalized, corrected = options.get("equalize", False), options.get("correct_bias", False)
    asked = {"--method": method != "minmax", "--equalize": equalized, "--correct-bias": corrected}
    unused = ", ".join(option for option, given in asked.items() if given)
    if unused and not recipe.needs_calibration:
        fitting = ", ".join(repr(r.name) for r in RECIPES.values() if r.needs_calibration)
        raise QuantizeError(
            f"The recipe {recipe.name!r} does not calibrate and {unused} was given: leave it out, "
            f"or use one of {fitting}."
        )
    if corrected and options.get("form") == "qoperator":
        raise QuantizeError(
            "The form 'qoperator' was given with --correct-bias, which measures layers in QDQ "
            "form: leave one of them out."
        )
    settings = Settings(
        exclude=tuple(options.get("exclude", ())),
        form=options.get("form"),
        method=method,
        equalize=equalized,
        correct_bias=corrected,
    )
    settings.check(recipe)
    return settings


def float_variant(bundle: Bundle) -> Variant:
    """Give the fp32 variant that others are made from; raises `QuantizeError` without one."""
    if not bundle.floats:
        raise QuantizeError(
            f"The bundle {str(bundle.path)!r} has no fp32 variant to start from: export it again."
        )
    return bundle.floats[0]


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
        source = origin.file(float_variant(origin).file)
        target = origin.path / name if out is None else Path(out)
    else:
        beside = source.with_name(f"{source.stem}.{variant}.onnx")
        target = beside if out is None else Path(out)
    files.check_other(target, source)
    return _Job(recipe, variant, source, target, origin, origin if out is None else None)


@dataclass(frozen=True)
class _Data:
    """What a recipe is calibrated with, None where it needs nothing, and inputs to try it on."""

    source: Calibration | None
    about: Calibrated | None
    sample: Feeds | None


def _prepare_data(
    job: _Job,
    signature: Signature,
    given: Source | None,
    samples: int,
    method: str,
    work: Path,
) -> _Data:
    """Read the calibration data once, check it, and keep what comes once only in `work`."""
    reference = _inputs(job.origin, "reference")
    if not job.recipe.needs_calibration:
        return _Data(None, None, reference)
    source = _inputs(job.origin, "calibration") if given is None else given
    if source is None:
        raise QuantizeError(
            f"The recipe {job.recipe.name!r} needs calibration data and {str(job.source)!r} comes "
            "with none: give --calibration with inputs of the model: an .npz, a folder of arrays "
            "or images, or module:function."
        )
    preprocessing = job.origin.manifest.preprocessing if job.origin else None
    data = Calibration(signature, source, samples, preprocessing).kept(work / "calibration")
    found, count, first = data.survey()
    inputs = guards.check_inputs(found, reference, preprocessing)
    name = sources.describe(source) if given is not None else BUNDLED
    return _Data(data, Calibrated(name, count, method, inputs), first)


def _held_out(job: _Job, calibration: Calibration) -> tuple[Iterator[Feeds], str]:
    """Give inputs that the ranges were not made of, where there are some, one sample a time."""
    kinds = ("reference", "evaluation")
    groups = [inputs for kind in kinds if (inputs := _inputs(job.origin, kind))]
    if not groups:
        data = replace(calibration, samples=min(HELD_OUT, calibration.samples))
        return data.batches(1), "the calibration data"
    signature = calibration.signature
    held_out = [Calibration(signature, inputs, HELD_OUT).batches(1) for inputs in groups]
    return itertools.chain.from_iterable(held_out), "the reference and held-out inputs"


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


def _result(
    job: _Job,
    applied: Applied,
    notes: list[str],
    failures: list[Failure],
    calibrated: Calibrated | None,
) -> Quantized:
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
        calibration=calibrated,
        failures=tuple(failures),
        variant=job.variant if bundle is not None else None,
        bundle=bundle,
    )
