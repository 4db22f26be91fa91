"""The node at which two sides part, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgekit.debug import Finding
    from edgekit.parity import OutputParity

WHAT = {
    "difference": "is the first tensor beyond tolerance",
    "overflow": "is the first tensor that fp16 cannot hold",
    "nan": "is the first tensor that is no number",
    "fusion": "is where the difference goes away as soon as it is read",
}


def finding(found: Finding) -> Iterator[str]:
    """A line for the tensor, and one for each thing that is known of it."""
    beside = f" beside {found.theirs}" if found.theirs else ""
    yield f"{found.ours}{beside}: {found.tensor!r} {WHAT[found.kind]}."
    for name, text in _facts(found):
        yield f"  {name:<9} {text}"


def _facts(found: Finding) -> Iterator[tuple[str, str]]:
    node = found.node
    layer = f", Keras layer {node.layer!r}" if node.layer else ""
    yield "node", f"{node.name!r}, operator {node.op_type}{layer}"
    if found.between:
        names = ", ".join(f"{step.name!r} ({step.op_type})" for step in found.between)
        yield "with", f"{names}: the other file has no such nodes"
    if found.leads_to:
        yield "leads to", f"NaN at {found.leads_to.name!r}, operator {found.leads_to.op_type}"
    if found.evidence:
        yield "value", _value(found.evidence, compared=found.theirs is not None)
    if found.theirs:
        yield "SQNR", f"{_db(found.before_db)} before the node, {_db(found.after_db)} after it"
    for difference in found.differences:
        yield "differs", difference
    if found.repaired:
        yield "proof", _proof(found)
    yield "looked at", f"{len(found.looked)} of {found.tensors} tensors, in {found.runs} runs"
    yield "to do", found.advice


def _value(evidence: OutputParity, *, compared: bool) -> str:
    if evidence.actual is None or (evidence.expected is None and compared):
        return str(evidence.detail)
    at = ", ".join(map(str, evidence.index or ()))
    if evidence.expected is None or not compared:
        return f"{evidence.actual:.6g} at ({at}); {evidence.detail}"
    return f"{evidence.actual:.6g} where {evidence.expected:.6g} is expected at ({at})"


def _proof(found: Finding) -> str:
    assert found.repaired is not None
    change = f"{_db(found.failed.sqnr_db)} to {_db(found.repaired.sqnr_db)}"
    gained = (found.repaired.sqnr_db or 0.0) - (found.failed.sqnr_db or 0.0)
    little = "comes closer by little: others have their part in it"
    verdict = "passes" if found.repaired.passed else "comes closer" if gained >= 1 else little
    output = f"the output {found.failed.name!r}"
    return f"with the expected tensor in its place {output} {verdict}, {change}"


def _db(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.1f} dB"
