"""Prove every case of the exporter's tests, and write what each becomes as docs/coverage.md.

    python benchmarks/coverage_table.py [--out docs/coverage.md]

The rows are those of `tests/exporter/cases`; an error against Keras is the largest of any output.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.exporter import frameworks

ROOT = Path(__file__).parents[1]
#: The modules of `tests.exporter.cases` that have rows, as far as they are there.
TABLES = ("layers", "functions")
HEAD = "| {} | mode | becomes | opset | max error |\n|---|---|---|---|---|"
ABOUT = """\
# What the exporter covers

`make coverage-table` writes this page: every row is a model of its own that is exported, opened in
onnxruntime, run on free axes of two lengths, and compared with Keras. The operators are those of
the file, in order of first use; *max error* is the largest difference from Keras's answer.
"""


@dataclass(frozen=True)
class Line:
    """A row of the table: a proof, a refusal with its reason, or a failure."""

    subject: str
    mode: str
    opset: int
    operators: tuple[str, ...] = ()
    max_abs_error: float | None = None
    refusal: str | None = None
    failed: bool = False

    def __str__(self) -> str:
        if self.refusal is not None:
            word = "**fails**" if self.failed else "refused"
            text = self.refusal.replace("|", "\\|")
            return f"| {self.subject} | {self.mode} | {word}: {text} | {self.opset} | |"
        nodes = " ".join(self.operators) or "*nothing*"
        error = f"{self.max_abs_error:.1e}" if self.max_abs_error else "0"
        return f"| {self.subject} | {self.mode} | {nodes} | {self.opset} | {error} |"


def main() -> int:
    """Write the table; give 1 where a case fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "coverage.md")
    arguments = parser.parse_args()
    frameworks.load("prove what is covered")
    sys.path.insert(0, str(ROOT))
    sections = {name: list(_prove(name)) for name in TABLES if _exists(name)}
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(_page(sections), encoding="utf-8")
    lines = [line for found in sections.values() for line in found]
    print(f"{arguments.out}: {_totals(lines)}")
    return int(any(line.failed for line in lines))


def _exists(name: str) -> bool:
    return importlib.util.find_spec(f"tests.exporter.cases.{name}") is not None


def _prove(name: str) -> Iterable[Line]:
    import keras

    from tests.exporter.cases import prove

    cases = importlib.import_module(f"tests.exporter.cases.{name}").CASES
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns where a layer drops a mask
        for i, case in enumerate(cases):
            subject = case.subject.removeprefix("keras.").removeprefix("layers.")
            keras.backend.clear_session()  # names that do not count on
            try:
                proof = prove(case, Path(folder) / f"{i}.onnx")
            except EdgekitError as error:
                failed = case.refused is None
                yield Line(subject, case.mode, case.opset, refusal=str(error), failed=failed)
            else:
                found = proof.operators, proof.max_abs_error
                yield Line(subject, case.mode, case.opset, *found)


def _page(sections: dict[str, list[Line]]) -> str:
    parts = [ABOUT]
    parts += [f"- {name}: {_totals(lines)}" for name, lines in sections.items()]
    for name, lines in sections.items():
        ordered = sorted(lines, key=lambda line: line.subject)
        parts += [
            f"\n## {name.capitalize()}\n",
            HEAD.format(name.removesuffix("s")),
            *map(str, ordered),
        ]
    return "\n".join(parts) + "\n"


def _totals(lines: list[Line]) -> str:
    refused = sum(line.refusal is not None and not line.failed for line in lines)
    failed = sum(line.failed for line in lines)
    subjects = len({line.subject for line in lines})
    right = len(lines) - refused - failed
    return (
        f"{len(lines)} modes of {subjects} subjects; {right} right, {refused} refused with a "
        f"reason, {failed} failing"
    )


if __name__ == "__main__":
    sys.exit(main())
