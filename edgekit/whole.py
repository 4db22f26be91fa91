"""The whole way: train, export, quantise, check, time; one row a variant at the end.

It joins the parts and records what they measured in the bundle's manifest; each part can be had
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from edgekit import bundle as bundles
from edgekit import latency
from edgekit.bundle import Bundle
from edgekit.errors import QuantizeError
from edgekit.quantizer import quantize
from edgekit.validation import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgekit.latency import Latency, LatencyReport, Ratio
    from edgekit.quantizer import Quantized, QuantizeOptions
    from edgekit.verdicts import ParityReport, VariantParity

    Progress = Callable[[float, str], None]

RECIPES = ("static-int8", "dynamic-int8", "fp16")


@dataclass(frozen=True)
class Row:
    """What is known of one variant: parity over all outputs, the metric, the latency, the size.

    `against_float` is the paired ratio of its p50 latency to the float variant's, None for float.
    """

    variant: str
    size_bytes: int
    passed: bool
    max_abs_error: float | None
    sqnr_db: float | None
    metric: float | None
    latency: Latency | None
    against_float: Ratio | None


@dataclass(frozen=True)
class Comparison:
    """Variants side by side, float first; `notes` says in words what a number alone would hide.

    `quantized` is what was made for it, in the order of the rows behind float.
    """

    model: str
    metric_name: str | None
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    conditions: dict[str, Any]
    quantized: tuple[Quantized, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every variant is within its tolerance, and no guard of its making failed."""
        made = not any(one.failures for one in self.quantized)
        return made and all(row.passed for row in self.rows)


def quantize_and_compare(
    model: Path,
    recipe: str,
    *,
    out: Path | None = None,
    bench: bool = True,
    force: bool = False,
    progress: Progress | None = None,
    **options: Unpack[QuantizeOptions],
) -> Comparison:
    """Quantise a bundle or an `.onnx` file, and set the result beside float."""
    if progress:
        progress(0.0, f"quantizing {model} with {recipe}")
    made = quantize(model, recipe, out=out, force=force, **options)
    return compare([made], model, bench=bench, progress=progress)


def run(
    source: str,
    *,
    out: Path | None = None,
    recipes: Sequence[str] = RECIPES,
    options: dict[str, Any] | None = None,
    seed: int = 0,
    artifacts: Path = Path("artifacts"),
    duration_s: float = 2.0,
    force: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """Take a source the whole way: train if need be, export, quantise, validate, time.

    A recipe that does not apply to the model is left out, and a note says why.
    """
    from edgekit.exporter import export

    exported = export(
        source,
        out,
        options=options,
        seed=seed,
        artifacts=artifacts,
        force=force,
        progress=progress,
    )
    made: list[Quantized] = []
    refused: list[str] = []
    for recipe in recipes:
        if progress:
            progress(0.0, f"quantizing with {recipe}")
        try:
            made.append(quantize(exported.path, recipe))
        except QuantizeError as error:
            refused.append(f"{recipe} was left out: {error}")
    return compare(made, exported.path, duration_s=duration_s, refused=refused, progress=progress)


def compare(
    made: Sequence[Quantized],
    model: Path,
    *,
    bench: bool = True,
    duration_s: float = 2.0,
    refused: Sequence[str] = (),
    progress: Progress | None = None,
) -> Comparison:
    """Check and time quantised variants against float, and record both in the bundle."""
    if progress:
        progress(0.0, "comparing with the reference")
    is_bundle = model.is_dir()
    names = ["fp32", *(one.variant or one.path.name for one in made)]
    inside = is_bundle and all(one.variant for one in made)
    variants = names if inside else None
    candidates = [model] if inside else [_float_file(model), *(one.path for one in made)]
    parity = dict(zip(names, _parity(model, made), strict=True))
    timing = None
    if bench:
        timing = latency.benchmark(
            candidates,
            variants=variants,
            duration_s=duration_s,
            on_progress=(lambda done: progress(done, "measuring latency")) if progress else None,
        )
    rows = _rows(names, [parity[name] for name in names], timing, [model, *made])
    if inside:
        _record(Bundle.open(model), rows)
    metric_name = parity["fp32"].metric_name
    notes = (*refused, *_notes(rows, made, [parity[name] for name in names[1:]], timed=bench))
    conditions = timing.conditions if timing else {}
    return Comparison(str(model), metric_name, rows, notes, conditions, tuple(made))


def _float_file(model: Path) -> Path:
    if not model.is_dir():
        return model
    bundle = Bundle.open(model)
    return bundle.file(bundle.variant("fp32").file)


def _parity(model: Path, made: Sequence[Quantized]) -> list[ParityReport]:
    """Check float and what was made of it: a bundle's against its reference, a file's against it.

    A file that was made of a bundle and does not belong to it is checked against its reference.
    """
    is_bundle = model.is_dir()
    float_report = validate(model, variant="fp32") if is_bundle else validate(model, against=model)
    found = [float_report]
    reference = model / "reference.npz"
    for one in made:
        if is_bundle and one.variant:
            found.append(validate(model, variant=one.variant))
        elif is_bundle and reference.is_file():
            found.append(validate(one.path, reference=reference, precision=one.precision))
        else:
            against = _float_file(model)
            found.append(validate(one.path, against=against, precision=one.precision))
    return found


def _rows(
    names: Sequence[str],
    parity: Sequence[ParityReport],
    timing: LatencyReport | None,
    files: Sequence[Path | Quantized],
) -> tuple[Row, ...]:
    rows = []
    for i, (name, report) in enumerate(zip(names, parity, strict=True)):
        (variant,) = report.variants
        timed = timing.results[i] if timing else None
        rows.append(
            Row(
                variant=name,
                size_bytes=_size(files[i]),
                passed=report.passed,
                max_abs_error=_worst(variant, "max_abs_error", max),
                sqnr_db=_worst(variant, "sqnr_db", min),
                metric=variant.metric,
                latency=timed,
                against_float=timing.ratios[i - 1] if timing and i else None,
            )
        )
    return tuple(rows)


def _size(made: Path | Quantized) -> int:
    if not isinstance(made, Path):
        return made.size_bytes
    return Bundle.open(made).variant().file.size_bytes if made.is_dir() else made.stat().st_size


def _worst(
    variant: VariantParity, field: str, worst: Callable[[list[float]], float]
) -> float | None:
    values = [getattr(o, field) for outputs in variant.outputs.values() for o in outputs]
    return None if None in values or not values else worst(values)


def _notes(
    rows: Sequence[Row], made: Sequence[Quantized], parity: Sequence[ParityReport], *, timed: bool
) -> list[str]:
    notes = []
    for row, one, report in zip(rows[1:], made, parity, strict=True):
        # The same name at several batch sizes is one cause.
        wrong = {f.kind: f for v in report.variants for f in reversed(v.failures)}
        failures = [*one.failures, *reversed(wrong.values())]
        notes += [f"{row.variant}: {f.kind}: {f.where}: {f.detail}" for f in failures]
        notes += [f"{row.variant}: {note}" for note in one.notes]
    slow = [
        row.variant
        for row in rows[1:]
        if row.against_float is not None and row.against_float.verdict != "faster"
    ]
    if slow:
        notes.append(f"not faster than float on this machine: {', '.join(slow)}")
    if not timed and made:
        notes.append("not timed: whether it is faster than float is not known")
    return notes


def _record(bundle: Bundle, rows: Sequence[Row]) -> None:
    for row in rows:
        if row.metric is not None:
            bundle = bundles.try_record(bundle, row.variant, "metric", "cpu", row.metric)
        parity = {
            "passed": row.passed,
            "max_abs_error": row.max_abs_error,
            "sqnr_db": row.sqnr_db,
        }
        bundle = bundles.try_record(bundle, row.variant, "parity", "cpu", parity)
        if row.latency is not None:
            bundle = _record_latency(bundle, row.latency)


def record_latencies(report: LatencyReport) -> None:
    """Note the latencies of bundles' variants in their manifests."""
    for timed in report.results:
        if timed.variant is not None and Path(timed.model).is_dir():
            _record_latency(Bundle.open(timed.model), timed)


def _record_latency(bundle: Bundle, timed: Latency) -> Bundle:
    threads = "1 thread" if timed.threads == 1 else f"{timed.threads} threads"
    keys = ("p50_ms", "p90_ms", "p99_ms", "mean_ms", "ci95_ms", "runs", "load_ms", "first_run_ms")
    value = {key: getattr(timed, key) for key in keys}
    conditions = f"{timed.provider}, {threads}, batch {timed.batch}"
    return bundles.try_record(bundle, str(timed.variant), "latency", conditions, value)
