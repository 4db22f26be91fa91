"""Results -> tables and sentences for a terminal.

Rich draws them: with colour and the terminal's width on a terminal, plain and wide elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgekit.bundle import Bundle
    from edgekit.exporter import Exported
    from edgekit.exporter.zoo import TrainRecord
    from edgekit.graph import Inspection
    from edgekit.infer import Inference
    from edgekit.latency import LatencyReport
    from edgekit.parity import OutputParity, Tolerance
    from edgekit.runtime.providers import Status
    from edgekit.runtime.session import Placement
    from edgekit.validation import ParityReport
    from edgekit.whole import Comparison, Row

PIPE_WIDTH = 160


def show(*parts: Any) -> None:
    """Print results on stdout."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console = Console(highlight=False, soft_wrap=True, width=PIPE_WIDTH)
    for part in parts:
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Any:
    """Draw a table; a column whose name ends in a unit or a number is set to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    rows = [[_cell(value) for value in row] for row in rows]
    for i, column in enumerate(columns):
        numeric = all(_is_number(row[i]) for row in rows)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    return drawn


STYLES = {
    "passed": "green",
    "ready": "green",
    "faster": "green",
    "FAILED": "bold red",
    "slower": "yellow",
}


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "passed" if value else "FAILED"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _is_number(cell: str) -> bool:
    word = cell.split(" ")[0].removesuffix("%").removesuffix("x").replace(",", "")
    try:
        float(word)
    except ValueError:
        return cell == "-"
    return True


def size(size_bytes: int) -> str:
    """Write a size in KiB or MiB."""
    return (
        f"{size_bytes / 2**20:.2f} MiB" if size_bytes >= 2**20 else f"{size_bytes / 2**10:.1f} KiB"
    )


def milliseconds(value: float | None) -> str:
    """Write a latency in milliseconds with four digits."""
    return "-" if value is None else f"{value:.4g}"


def fallback(placement: Placement, provider: str) -> list[str]:
    """Say what ran where, if it is not what was asked for."""
    lines = []
    if placement.fallback:
        lines.append(f"Fell back to {provider}: {placement.fallback}")
    if len(placement.nodes) > 1:
        shares = ", ".join(f"{count} nodes on {name}" for name, count in placement.nodes.items())
        lines.append(f"Placement: {shares}.")
    return lines


def training(record: TrainRecord) -> list[Any]:
    """What a training came to, beside what little effort would give."""
    rows = [
        ("held-out " + record.metric_name, record.metric),
        (f"baseline ({record.baseline_name})", record.baseline),
        ("most frequent answer", record.majority),
    ]
    origin = "loaded from" if record.cached else f"trained in {record.seconds:.0f} s, saved as"
    return [
        f"{record.name}: {record.parameters:,} parameters, {origin} {record.path}",
        table(("measure", "value"), ((name, f"{value:.4f}") for name, value in rows)),
    ]


def exported(made: Bundle | Exported) -> list[Any]:
    """What an export wrote, and how close it is to Keras."""
    from edgekit.bundle import Bundle

    if isinstance(made, Bundle):
        variant = made.manifest.variants[0]
        signature, opset, bytes_ = made.manifest.signature, variant.opset, variant.file.size_bytes
        evidence = [tuple(row.values()) for row in variant.measured["parity"]["cpu"]]
    else:
        signature, opset, bytes_ = made.signature, made.opset, made.size_bytes
        evidence = [
            (batch, o.name, o.max_abs_error, o.max_rel_error, o.cosine, o.sqnr_db, o.passed)
            for batch, outputs in made.parity.items()
            for o in outputs
        ]
    columns = ("batch", "output", "max abs error", "max rel error", "cosine", "SQNR dB", "parity")
    rows = [
        (batch, name, f"{abs_:.2e}", f"{rel:.2e}", f"{cosine:.6f}", f"{sqnr:.1f}", passed)
        for batch, name, abs_, rel, cosine, sqnr, passed in evidence
    ]
    return [
        f"Exported {made.path}: {size(bytes_)}, opset {opset}, checked against Keras on cpu",
        *signature_lines(signature),
        table(columns, rows),
    ]


def signature_lines(signature: Any) -> list[str]:
    """One line an input and output."""
    return [f"  input   {spec}" for spec in signature.inputs] + [
        f"  output  {spec}" for spec in signature.outputs
    ]


def parity(report: ParityReport) -> list[Any]:
    """A row a variant, batch size and output, then what went wrong, in words."""
    rows = []
    problems: list[str] = []
    for variant in report.variants:
        for batch, outputs in variant.outputs.items():
            for output in outputs:
                rows.append((variant.variant, batch, *_parity_cells(output, variant.tolerance)))
                if not output.passed:
                    problems.append(
                        f"FAILED {variant.variant}, batch {batch}, output {output.name!r} "
                        f"({output.failure}): {output.detail}"
                    )
        if variant.degenerate:
            problems.append(
                f"FAILED {variant.variant} (reference): every sample of the reference has the same "
                "answer, so it proves nothing; export with --reference."
            )
        problems += fallback(variant.placement, variant.provider)
    columns = ("variant", "batch", "output", "max abs error", "at", "cosine", "SQNR dB")
    parts: list[Any] = [table((*columns, "worst sample dB", "allowed", "parity"), rows), *problems]
    metrics = [(v.variant, f"{v.metric:.4f}") for v in report.variants if v.metric is not None]
    if metrics:
        parts.append(table(("variant", f"held-out {report.metric_name}"), metrics))
    provider = report.variants[0].provider
    verdict = "passed" if report.passed else "FAILED"
    return [f"Parity of {report.model} on {provider}: {verdict}", *parts]


def _parity_cells(output: OutputParity, tolerance: Tolerance) -> tuple[Any, ...]:
    limits = []
    if tolerance.atol is not None:
        limits.append(f"{tolerance.atol:g} + {tolerance.rtol:g}|y|")
    if tolerance.min_sqnr_db is not None:
        limits.append(f"{tolerance.min_sqnr_db:g} dB")
    if output.max_abs_error is None:
        return (output.name, "-", "-", "-", "-", "-", ", ".join(limits), output.passed)
    return (
        output.name,
        f"{output.max_abs_error:.2e}",
        ",".join(map(str, output.index or ())),
        f"{output.cosine:.6f}",
        f"{output.sqnr_db:.1f}",
        "-" if output.worst_sample_sqnr_db is None else f"{output.worst_sample_sqnr_db:.1f}",
        ", ".join(limits),
        output.passed,
    )


def latency(report: LatencyReport) -> list[Any]:
    """A row a candidate, the paired ratios, and the conditions."""
    columns = ("model", "provider", "threads", "batch", "p50 ms", "95% interval", "p90 ms")
    rows = [
        (
            _labelled(result.model, result.variant),
            result.provider,
            result.threads,
            result.batch,
            milliseconds(result.p50_ms),
            f"{milliseconds(result.ci95_ms[0])} to {milliseconds(result.ci95_ms[1])}",
            milliseconds(result.p90_ms),
            milliseconds(result.p99_ms),
            result.runs,
            f"{result.load_ms:.1f}",
            milliseconds(result.first_run_ms),
            size(result.size_bytes),
        )
        for result in report.results
    ]
    more = ("p99 ms", "runs", "load ms", "first run ms", "size")
    parts: list[Any] = [table((*columns, *more), rows)]
    parts += [
        f"{_labelled(ratio.model, ratio.variant)} takes {ratio.ratio:.2f} times as long as "
        f"{_labelled(ratio.baseline_model, ratio.baseline_variant)} "
        f"(95% interval {ratio.ci95[0]:.2f} to {ratio.ci95[1]:.2f}): {ratio.verdict}"
        for ratio in report.ratios
    ]
    parts += [f"Fell back: {result.fallback}" for result in report.results if result.fallback]
    return [*parts, *conditions(report.conditions)]


def _labelled(model: str, variant: str | None) -> str:
    return f"{model} ({variant})" if variant else model


def conditions(found: dict[str, Any]) -> list[str]:
    """What a measurement depends on, and a warning where the machine was not quiet."""
    if not found:
        return []
    lines = [
        f"Measured on {found['cpu']}, {found['cores']} cores, onnxruntime {found['onnxruntime']}, "
        f"{found['duration_s']:g} s a candidate in {found['rounds']} interleaved rounds, fed "
        f"{found['feeds']}; included: {found['included']}."
    ]
    if found["contended"]:
        lines.append(
            f"Contended: the timed thread had its core {found['cpu_share']:.0%} of the time; "
            "ratios hold, absolute figures are too high."
        )
    if found["drifted"]:
        lines.append(f"Drift: the p50 changed by {found['drift']:+.0%} while measuring.")
    return lines


def comparison(report: Comparison) -> list[Any]:
    """One row a variant: size, parity, metric, latency, each beside float."""
    first = report.rows[0]
    rows = [
        (
            row.variant,
            size(row.size_bytes),
            f"{first.size_bytes / row.size_bytes:.2f}x",
            row.passed,
            "-" if row.max_abs_error is None else f"{row.max_abs_error:.2e}",
            "-" if row.sqnr_db is None else f"{row.sqnr_db:.1f}",
            "-" if row.metric is None else f"{row.metric:.4f}",
            milliseconds(row.latency.p50_ms if row.latency else None),
            milliseconds(row.latency.p99_ms if row.latency else None),
            _speedup(row),
        )
        for row in report.rows
    ]
    columns = ("variant", "size", "smaller", "parity", "max abs error", "SQNR dB")
    metric = report.metric_name or "metric"
    drawn = table((*columns, metric, "p50 ms", "p99 ms", "faster (95% interval)"), rows)
    return [report.model, drawn, *report.notes, *conditions(report.conditions)]


def _speedup(row: Row) -> str:
    ratio = row.against_float
    if ratio is None:
        return "-"
    low, high = ratio.ci95
    return f"{1 / ratio.ratio:.2f}x ({1 / high:.2f} to {1 / low:.2f})"


def inference(result: Inference) -> list[Any]:
    """The likeliest labels of each sample, or the outputs' values."""
    lines: list[Any] = [
        f"{result.model} ({result.variant}) on {result.provider}, input: {result.source}",
        *fallback(result.placement, result.provider),
    ]
    if result.predictions:
        rows = [
            (i, prediction.label, f"{prediction.score:.4f}", _runners_up(prediction.top[1:]))
            for i, prediction in enumerate(result.predictions)
        ]
        return [*lines, table(("sample", "label", "probability", "then"), rows)]
    for name, array in result.outputs.items():
        lines += [f"{name}: {array.dtype} {array.shape}", str(array)]
    return lines


def _runners_up(top: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{label} {score:.4f}" for label, score in top)


def providers(statuses: Iterable[Status]) -> list[Any]:
    """A row a provider, with what is missing and the command that mends it."""
    rows = [
        (s.alias, s.name, s.hardware, s.state if s.state == "ready" else f"no {s.state}", s.fix)
        for s in statuses
    ]
    return [table(("provider", "onnxruntime's name", "runs on", "state", "what mends it"), rows)]


def inspection(found: Inspection) -> list[Any]:
    """The inside of a file."""
    at = ", ".join(f"{axis} {size}" for axis, size in found.axes.items())
    facts = [
        ("size", size(found.size_bytes)),
        ("opset", ", ".join(f"{domain} {version}" for domain, version in found.opset.items())),
        ("IR version", str(found.ir_version)),
        ("producer", found.producer or "-"),
        ("parameters", f"{found.parameters:,}"),
        (f"MACs ({at})" if at else "MACs", f"{found.macs:,}"),
        *found.metadata.items(),
    ]
    parts: list[Any] = [str(found.path), *signature_lines(found.signature)]
    parts += [
        table(("property", "value"), facts),
        table(("operator", "nodes"), found.operators.items()),
    ]
    if found.uncounted:
        parts.append(
            f"MACs leave out {', '.join(found.uncounted)} whose shapes are known at run time only."
        )
    return parts
