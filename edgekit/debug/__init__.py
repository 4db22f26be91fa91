"""Where two files, or two providers of one file, part: the first tensor beyond tolerance.

Inner tensors are made outputs of both, a few at a time, and compared: `search` chooses which,
`graphs` writes the files, `pair` runs them. What is found is put to the proof: with the expected
tensor in its place the model's output has to come closer, or the difference is one that heals
further on (a mask of -1e9 that fp16 holds as -65504), and the search goes on without it.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit import parity
from edgekit.debug import graphs
from edgekit.debug.pair import Pair, Side, Vanished
from edgekit.debug.search import first_bad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.debug.graphs import Node
    from edgekit.parity import OutputParity, Tolerance
    from edgekit.signature import Feeds

#: Differences that heal further on are passed over; the one after so many is taken.
MAX_PASSED_OVER = 8
#: What the output has to gain, in dB, with the expected tensor in the place of the one found; and
#: what is no gain at all.
GAIN_DB, NO_GAIN_DB = 1.0, 0.05
FP16_MAX = 65504.0

#: What makes a NaN or an infinity out of numbers, by operator.
NAN_ADVICE = {
    "Div": "it divides by 0: add an epsilon to the divisor in the layer",
    "Reciprocal": "it divides by 0: add an epsilon to the divisor in the layer",
    "Log": "it takes the logarithm of 0 or less: add an epsilon in the layer",
    "Sqrt": "it takes the root of a negative number: clip it at 0 in the layer",
    "Pow": "it raises a negative number to a fraction, or beyond what its dtype holds",
    "Exp": "its input is too large for an exponential: subtract the maximum first",
    "Softmax": "a row of it is masked everywhere: leave one element of each row unmasked",
}


@dataclass(frozen=True)
class Finding:
    """The node at which two sides part, with the evidence.

    `kind` is `difference`; `overflow` where our side is not finite because fp16 cannot hold what
    is expected; `nan` where it is not finite and no such reason is known; `fusion` where the
    output is right as soon as `tensor` is read, so that onnxruntime does not fuse the nodes
    around it.

    `tensor` is the first beyond tolerance, `evidence` compares it (None for a fusion), and all
    that goes into its node agrees: `before_db` is the least SQNR there, `after_db` that of the
    tensor (None where it is not finite). `leads_to` is the node that makes NaN out of an infinity.
    `between` are nodes that only our side has, `differences` what is not the same in the two
    nodes. `failed` is the model's output, `repaired` the same with the expected tensor in the
    place of ours, None where that could not be run. `looked` has the SQNR of each tensor that was
    looked at, in topological order, out of `tensors`; `runs` counts the runs of each side.
    """

    kind: str
    ours: str
    theirs: str | None
    tensor: str
    node: Node
    leads_to: Node | None
    evidence: OutputParity | None
    before_db: float
    after_db: float | None
    between: tuple[Node, ...]
    differences: tuple[str, ...]
    failed: OutputParity
    repaired: OutputParity | None
    looked: dict[str, float | None]
    tensors: int
    runs: int
    advice: str


def locate(ours: Side, theirs: Side | None, feeds: Feeds, tolerance: Tolerance) -> Finding | None:
    """Find the node at which two sides part on a feed; None where their outputs agree.

    Without a second side, the origin of the first NaN or infinity. Raises `ModelError` for a file
    that onnx cannot read, or where no inner tensor has a counterpart; `MissingExtraError` without
    onnx-ir.
    """
    with tempfile.TemporaryDirectory(prefix="edgekit-debug-") as folder:
        pair = Pair(ours, theirs, feeds, tolerance, Path(folder))
        if pair.failed is None:
            return None
        if theirs is None:
            return _origin(pair)
        try:
            found, repaired = _cause(pair)
        except Vanished as vanished:
            return _finding(pair, vanished.tensor, kind="fusion")
        return _finding(pair, found, repaired=repaired)


def _cause(pair: Pair) -> tuple[int, OutputParity | None]:
    """Search for the first bad tensor that the failed output comes closer without.

    Where none alone brings it closer by much, the first that brings it closer at all.
    """
    passed_over, first_weak = 0, None
    while True:
        found = first_bad(
            pair.shared.ancestors, pair.shared.parents, pair.start, pair.probe, ignore=passed_over
        )
        proof = pair.repaired(found)
        gain = _gain(pair, found, proof)
        if found == pair.start or gain >= GAIN_DB or passed_over.bit_count() == MAX_PASSED_OVER:
            weak = found == pair.start or gain < GAIN_DB
            return first_weak if weak and first_weak else (found, proof[1] if proof else None)
        if first_weak is None and proof is not None and gain >= NO_GAIN_DB:
            first_weak = found, proof[1]
        passed_over |= 1 << found


def _gain(pair: Pair, found: int, proof: tuple[OutputParity, OutputParity] | None) -> float:
    """Tell what the output gains, in dB, with the expected tensor: 0 for one that heals.

    What is not finite, and what cannot be put to the proof and lasts, is taken for a cause.
    """
    evidence = pair.evidence[found]
    if proof is None:
        return 0.0 if pair.heals(found) else math.inf
    control, repaired = proof
    if repaired.passed or (evidence is not None and evidence.failure == "nan"):
        return math.inf
    if control.sqnr_db is None or repaired.sqnr_db is None:
        return 0.0 if repaired.sqnr_db is None else math.inf
    return repaired.sqnr_db - control.sqnr_db


def _origin(pair: Pair) -> Finding:
    """Search for the first NaN, then for the first infinity that it was made of."""
    shared = pair.shared
    found = first_bad(shared.ancestors, shared.parents, pair.start, pair.probe)
    infinite = [
        tensor
        for tensor, evidence in pair.evidence.items()
        if shared.parents[found] >> tensor & 1 and evidence is not None and evidence.inf_count
    ]
    if not infinite or pair.infinities:
        return _finding(pair, found)
    pair.infinities = True
    first = first_bad(shared.ancestors, shared.parents, min(infinite), pair.probe)
    return _finding(pair, first, leads_to=graphs.node_of(pair.left, shared.ours[found]))


def _finding(
    pair: Pair,
    found: int,
    *,
    kind: str = "difference",
    repaired: OutputParity | None = None,
    leads_to: Node | None = None,
) -> Finding:
    shared, evidence = pair.shared, pair.evidence.get(found)
    name = shared.ours[found]
    node = graphs.node_of(pair.left, name)
    if evidence is not None and evidence.failure == "nan":
        kind = "overflow" if _overflows(pair, found) else "nan"
    differences: tuple[str, ...] = ()
    if not pair.same_file:
        other = graphs.node_of(pair.right, shared.theirs[found])
        if node.op_type in graphs.CONVERSIONS and other.op_type not in graphs.CONVERSIONS:
            node = other  # a tool put a conversion behind the node that both files have
        elif evidence is not None:
            names = name, shared.theirs[found]
            differences = tuple(graphs.differences(pair.left, pair.right, *names))
    between = graphs.between(pair.left, name, shared.ours)
    seen = {i: e for i, e in sorted(pair.evidence.items()) if e is not None}
    into = [e.sqnr_db for i, e in seen.items() if shared.parents[found] >> i & 1]
    assert pair.failed is not None
    return Finding(
        kind=kind,
        ours=pair.ours.label,
        theirs=pair.theirs.label if pair.theirs else None,
        tensor=name,
        node=node,
        leads_to=leads_to,
        evidence=evidence,
        before_db=min((db for db in into if db is not None), default=parity.MAX_SQNR_DB),
        after_db=evidence.sqnr_db if evidence else None,
        between=tuple(step for step in between if step.name != node.name),
        differences=differences,
        failed=pair.failed,
        repaired=repaired,
        looked={shared.ours[i]: e.sqnr_db for i, e in seen.items()},
        tensors=len(shared.ours),
        runs=pair.runs,
        advice=_advice(pair, kind, node, differences),
    )


def _overflows(pair: Pair, found: int) -> bool:
    half = pair.actual[found].dtype == np.float16 or pair.ours.precision == "fp16"
    expected = pair.expected.get(found)
    return half and expected is not None and bool(np.abs(expected).max() > FP16_MAX)


def _advice(pair: Pair, kind: str, node: Node, differences: Sequence[str]) -> str:
    """Say what to do: the first row that applies."""
    keep = f"keep the node in float: edgekit quantize ... --exclude {node.name}"
    provider = pair.ours.options.get("provider", "cpu")
    rows = (
        (
            kind == "fusion",
            f"onnxruntime fuses the nodes around it into one that is wrong on {provider}: report "
            "it to onnxruntime, and take another provider or variant until it is mended",
        ),
        (kind == "overflow", f"{keep} (fp16 holds no more than {FP16_MAX:g})"),
        (
            pair.theirs is None,
            NAN_ADVICE.get(node.op_type, "look at what its layer does to these inputs"),
        ),
        (
            pair.same_file,
            f"try it with fixed axes (--fix-axis), or on another provider, and report the node to "
            f"onnxruntime as a defect of {provider}",
        ),
        (pair.ours.precision == "int8", f"{keep}, or calibrate with inputs as wide as these"),
        (pair.ours.precision == "fp16", keep),
        (bool(differences), "mend what differs in the node, or export the file again"),
    )
    return next((text for applies, text in rows if applies), "compare the two nodes by hand")
