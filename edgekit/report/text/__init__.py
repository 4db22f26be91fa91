"""Results -> tables and sentences for a terminal.

Rich draws them: with colour and the terminal's width on a terminal, plain and wide elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edgekit.bundle import Bundle
    from edgekit.exporter import Exported
    from edgekit.exporter.zoo import TrainRecord
    from edgekit.graph import Inspection
    from edgekit.infer import Inference
    from edgekit.ingraph import Raw
    from edgekit.runtime.placement import Placement

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
    """Say what ran where, if it is not what was asked for, and which axes were fixed for it."""
    from edgekit.runtime.placement import listing

    lines = []
    if placement.fallback:
        lines.append(f"Fell back to {provider}: {placement.fallback}")
    if placement.fixed:
        sets = (" ".join(f"{k}={n}" for k, n in axes.items()) for axes in placement.fixed)
        lines.append(f"Axes fixed for {provider}: {'; '.join(sets)}.")
    if len(placement.nodes) > 1 or placement.time:
        lines += shares(placement.nodes, placement.time)
    if placement.unplaced:
        lines.append(f"On the cpu: {listing(placement.unplaced)}.")
    return lines


def shares(nodes: Mapping[str, int], time: Mapping[str, float]) -> list[str]:
    """Say what each provider runs, where several do, and what of the time it takes."""
    lines = []
    total = sum(nodes.values())
    if total:
        parts = (f"{n} of {total} nodes ({n / total:.0%}) on {name}" for name, n in nodes.items())
        lines.append(f"Placement: {', '.join(parts)}.")
    if time:
        parts = (f"{share:.0%} on {name}" for name, share in time.items())
        lines.append(f"Time in nodes: {', '.join(parts)}.")
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


def raw(made: Raw) -> list[Any]:
    """A model with its preprocessing: what it takes, what it needs, how close it is to Python's."""
    variant = f", variant {made.variant}" if made.variant else ""
    rows = [
        (kind, found["cases"], f"{found['max_abs_error']:.2e}", found.get("allowed_abs_error", "-"))
        for kind, found in made.evidence.items()
    ]
    return [
        f"Exported {made.path}: {size(made.size_bytes)}{variant}, checked against Python's "
        "preprocessing",
        *signature_lines(made.signature),
        f"  an app needs {' and '.join(made.packages)}",
        table(("inputs on", "cases", "max abs error", "allowed"), rows),
    ]


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
