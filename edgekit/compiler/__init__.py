"""Compile a model ahead of time: for one provider, or into onnxruntime's own format for phones.

A provider that compiles graphs does so whenever a model is opened, which takes seconds to minutes
on an accelerator. `compile_model` does it once: an ONNX file whose nodes hold what the provider
made (EPContext), or a `.ort` file that an onnxruntime built small can open. File in, new file out,
moved into place once it opens, has the source's signature and gives the source's answers.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import files, parity
from edgekit.bundle import Bundle, FileEntry, Variant
from edgekit.compiler.cases import Case, make_case
from edgekit.compiler.writers import Writer, writer_of
from edgekit.errors import CompileError, EdgekitError, OutputError
from edgekit.filesize import model_bytes
from edgekit.runtime.runner import RunOptions, open_runner
from edgekit.runtime.session import engine_reason, model_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from edgekit.parity import OutputParity
    from edgekit.signature import Outputs, Signature

__all__ = ["Compiled", "compile_model"]


@dataclass(frozen=True)
class Compiled:
    """A compiled file and the evidence for it.

    `outputs` is the worst parity of each output over the samples, between the file and its source
    on the same provider; `axes` are the lengths that free axes were fixed to. `precision` is that
    of the source, or fp16 where the provider computes a float32 model so far from the CPU's
    answers: a phone's NPU has no wider numbers. `load_ms` and
    `source_load_ms` are one load of each in this process, in milliseconds, the source's first.
    `beside` are files that belong to it. `variant` and `bundle` (as it is after the variant was
    added) are None for a plain file.
    """

    path: Path
    source: Path
    provider: str
    recipe: str
    precision: str
    axes: dict[str, int]
    size_bytes: int
    source_size_bytes: int
    load_ms: float
    source_load_ms: float
    outputs: tuple[OutputParity, ...]
    beside: tuple[Path, ...] = ()
    variant: str | None = None
    bundle: Bundle | None = None


@dataclass(frozen=True)
class _Job:
    """What to read and where to write; `bundle` is set where it gets the result as a variant."""

    source: Path
    target: Path
    origin: Bundle | None
    known: Variant | None
    bundle: Bundle | None
    writer: Writer


def compile_model(
    model: str | Path | Bundle,
    *,
    style: str | None = None,
    platform: str = "arm",
    variant: str | None = None,
    out: str | Path | None = None,
    precision: str | None = None,
    force: bool = False,
    **options: Unpack[RunOptions],
) -> Compiled:
    """Compile a bundle's variant, or an `.onnx` file, ahead of time.

    Without `style`, for the `provider` of the `options` and for fixed axes: those of `axes`, the
    batch 1, and the reference's lengths. With `style`, as a `.ort` file for the CPU of a
    `platform`, `"arm"` or `"amd64"`: `"fixed"` has all optimisations in it, `"runtime"` keeps
    back those of nodes that a provider such as NNAPI or CoreML may take, `axes` fixes free axes
    for good; a list of the operators that an onnxruntime built for it needs goes beside the file.

    Without `out` a bundle gets the result as a variant (`model.int8.qnn.onnx`) and a file gets it
    beside itself. `precision` tells that of a plain file, and with it what counts as the same
    answer.

    Raises `CompileError` for a model that does not compile or a result that fails its checks,
    `ProviderError` where the provider cannot run all of it, `OutputError` for an existing output.
    Nothing is written then.
    """
    if precision not in (None, *parity.TOLERANCES):
        raise ValueError(f"precision is {precision!r}, one of {', '.join(parity.TOLERANCES)}")
    writer = writer_of(style, platform, options)
    job = _plan(model, variant, out, writer)
    files.check_free(job.target, force=force)
    reference = job.origin.inputs_of(job.known) if job.origin and job.known else None
    case = make_case(job.source, reference, writer, options)
    started = time.perf_counter()
    with open_runner(job.source, **case.options) as runner:
        source_load_ms = 1e3 * (time.perf_counter() - started)
        expected = [runner.run(feeds) for feeds in case.feeds]
    known = precision or (job.known.precision if job.known else "fp32")
    computed = _computed_in(known, case, expected)
    with files.new_file(job.target, force=force) as made:
        writer.write(job.source, made, case)
        reopened = _reopen(job, made, case)
        outputs = _compare(job, reopened, expected, parity.TOLERANCES[known])
        beside = tuple(
            job.target.with_name(path.name) for path in made.parent.glob(f"{made.name}.*")
        )
    return Compiled(
        path=job.target,
        source=job.source,
        provider=writer.provider,
        recipe=writer.recipe,
        precision=computed,
        axes=case.axes,
        size_bytes=job.target.stat().st_size,
        source_size_bytes=model_bytes(job.source),
        load_ms=reopened.load_ms,
        source_load_ms=source_load_ms,
        outputs=outputs,
        beside=beside,
        variant=_variant_name(job) if job.bundle else None,
        bundle=_record(job, computed, case.axes, beside),
    )


def _plan(
    model: str | Path | Bundle, variant: str | None, out: str | Path | None, writer: Writer
) -> _Job:
    source = model_file(model, variant)
    origin = known = None
    if isinstance(model, Bundle) or Path(model).is_dir():
        origin = model if isinstance(model, Bundle) else Bundle.open(model)
        known = origin.variant(variant)
        if known.provider is not None:
            others = [repr(v.name) for v in origin.manifest.variants if v.provider is None]
            raise CompileError(
                f"The variant {known.name!r} is compiled already, for {known.provider!r}: "
                f"give one of {', '.join(others)}."
            )
    stem = source.stem if known is None else f"model.{known.name}"
    beside = source.with_name(stem + writer.ending)
    target = beside if out is None else Path(out)
    if target.suffix != beside.suffix:
        raise OutputError(
            f"The output {str(target)!r} does not end in {beside.suffix!r}, by which onnxruntime "
            "knows the format: give another --out."
        )
    files.check_other(target, source)
    return _Job(source, target, origin, known, origin if out is None else None, writer)


@dataclass(frozen=True)
class _Reopened:
    """What the written file gives for the samples."""

    answers: tuple[Outputs, ...]
    load_ms: float


def _reopen(job: _Job, made: Path, case: Case) -> _Reopened:
    """Open the file made as a user will, check its signature, and run the samples."""
    options = RunOptions(**{**case.options, "axes": None})
    started = time.perf_counter()
    try:
        with open_runner(made, **options) as runner:
            load_ms = 1e3 * (time.perf_counter() - started)
            _check_signature(runner.signature, case.signature, job)
            return _Reopened(tuple(runner.run(feeds) for feeds in case.feeds), load_ms)
    except CompileError:
        raise
    except EdgekitError as error:
        raise CompileError(
            f"What {job.writer.provider!r} compiled of {str(job.source)!r} cannot be opened again "
            f"({_root(error)}): ship the source, or try another version of the provider's package."
        ) from error


def _root(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return engine_reason(error)


def _check_signature(found: Signature, wanted: Signature, job: _Job) -> None:
    def names(signature: Signature) -> list[tuple[str, str]]:
        return [(spec.name, spec.dtype) for spec in (*signature.inputs, *signature.outputs)]

    shapes = [spec.shape for spec in found.inputs], [spec.shape for spec in wanted.inputs]
    if names(found) != names(wanted) or shapes[0] != shapes[1]:
        raise CompileError(
            f"Compiling {str(job.source)!r} turned {wanted} into {found}: this is a defect; please "
            "report it with the model."
        )


def _compare(
    job: _Job,
    reopened: _Reopened,
    expected: Sequence[Outputs],
    tolerance: parity.Tolerance,
) -> tuple[OutputParity, ...]:
    """Keep the worst sample of each output; raise `CompileError` where one is not the same."""
    worst = parity.compare_all(expected, reopened.answers, tolerance)
    for output in worst:
        if not output.passed:
            raise CompileError(
                f"What {job.writer.provider!r} compiled of {str(job.source)!r} answers otherwise "
                f"than its source in {output.name!r} ({output.detail}): ship the source, or give "
                "its --precision."
            )
    return worst


def _computed_in(precision: str, case: Case, answers: Sequence[Outputs]) -> str:
    """Give the precision that the provider ran in, by how far from the CPU's its answers are."""
    if precision != "fp32":
        return precision
    near = {
        name: all(
            output.passed
            for output in parity.compare_all(case.answers, answers, parity.TOLERANCES[name])
        )
        for name in ("fp32", "fp16")
    }
    return "fp16" if near["fp16"] and not near["fp32"] else "fp32"


def _variant_name(job: _Job) -> str:
    return f"{job.known.name if job.known else 'fp32'}-{job.writer.name}"


def _record(
    job: _Job, precision: str, axes: dict[str, int], beside: tuple[Path, ...]
) -> Bundle | None:
    if job.bundle is None or job.known is None:
        return None
    variant = dataclasses.replace(
        job.known,
        name=_variant_name(job),
        file=FileEntry.of(job.target),
        precision=precision,
        recipe=job.writer.recipe,
        measured={},
        provider=job.writer.provider,
        axes=axes,
    )
    return job.bundle.add(variant, {path.name: FileEntry.of(path) for path in beside})
