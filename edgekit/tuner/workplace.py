"""Candidates made, judged and timed for real, in a scratch copy of the model.

The model itself is not touched: its files are linked (or copied) into a folder of their own, where
each candidate becomes a variant, or a file beside a plain file. All measurements of float and of
candidates are made there, on the same inputs.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from typing import TYPE_CHECKING, Any

from edgekit import files, latency
from edgekit.bundle import DATA_FILES, EXTERNAL, Bundle
from edgekit.filesize import model_bytes, model_files
from edgekit.quantizer import Quantized, QuantizeOptions, float_variant, quantize, sensitivity
from edgekit.quantizer.samples import likeness, samples, settled
from edgekit.runtime.runner import open_runner
from edgekit.tuner.results import FLOAT, Candidate, Quality, Speed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edgekit.runtime.runner import ProviderOptions
    from edgekit.signature import Feeds, Outputs
    from edgekit.tuner.task import Task

#: Samples that a candidate's outputs are compared with float's on.
SAMPLES = 64
#: What a recipe with layers left in float is called.
MIXED = {"static-int8": "mixed"}
#: What is kept of a candidate's latency.
DETAILS = (
    "p90_ms", "p99_ms", "mean_ms", "ci95_ms", "runs", "load_ms", "first_run_ms",
    "peak_memory_bytes", "steady", "provider",
)  # fmt: skip


class Workplace:
    """A scratch copy of a model, and the candidates made of it so far."""

    def __init__(
        self,
        model: Bundle | Path,
        folder: Path,
        task: Task,
        *,
        quantizing: QuantizeOptions,
        running: ProviderOptions,
        seed: int,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.task, self.running, self.seed, self.stop = task, running, seed, stop
        self.model, self.source = _copied(model, folder)
        self.bundle = Bundle.open(self.model) if self.model.is_dir() else None
        #: What the last latencies were measured under.
        self.conditions: dict[str, Any] = {}
        with open_runner(self.source, threads=1) as runner:
            self._signature = runner.signature
        self.quantizing = settled(self.bundle, self._signature, quantizing)
        self._made: dict[Candidate, Quantized] = {}
        self._feeds: Feeds | None = None
        self._expected: Outputs | None = None

    def made(self, candidate: Candidate) -> Quantized:
        """Give a candidate's file, and make it where it is not there yet."""
        known = self._made.get(candidate.file)
        if known is None:
            options: QuantizeOptions = {
                **self.quantizing,
                **dict(candidate.options),  # type: ignore[typeddict-item] # names from the table
                "exclude": [*self.quantizing.get("exclude", ()), *candidate.exclude],
            }
            name = f"candidate{len(self._made)}"
            model = self.bundle or self.model
            recipe = MIXED.get(candidate.recipe) if candidate.exclude else None
            known = quantize(model, recipe or candidate.recipe, variant=name, force=True, **options)
            self._made[candidate.file] = known
            self.bundle = known.bundle
        return known

    def quality(self, candidate: Candidate) -> Quality:
        """Make a candidate's file, and compare it with float and with the labels."""
        notes: tuple[str, ...] = ()
        path = self.source
        if candidate.recipe != FLOAT:
            made = self.made(candidate)
            failures = (f"{each.kind}: {each.detail}" for each in made.failures)
            path, notes = made.path, (*made.notes, *failures)
        with open_runner(
            path, threads=1, optimization=candidate.optimization, **self.running
        ) as runner:
            return Quality(
                metric=self.task.score(runner),
                sqnr_db=self._likeness(runner.run(self.feeds)),
                size_bytes=model_bytes(path),
                sha256=files.digest(path),
                notes=notes,
            )

    def speeds(self, candidates: Sequence[Candidate], duration_s: float) -> list[Speed]:
        """Time candidates in a process each, in turns, beside the first of them."""
        report = latency.benchmark(
            [self._timed(each) for each in candidates], duration_s=duration_s, seed=self.seed
        )
        self.conditions = report.conditions
        speeds = []
        for i, result in enumerate(report.results):
            ratio = report.ratios[i - 1] if i else None
            speeds.append(
                Speed(
                    p50_ms=result.p50_ms,
                    ratio=ratio.ratio if ratio else 1.0,
                    ci95=ratio.ci95 if ratio else (1.0, 1.0),
                    verdict=ratio.verdict if ratio else "no difference",
                    duration_s=duration_s,
                    timed_s=result.runs * result.mean_ms / 1e3,
                    details={name: getattr(result, name) for name in DETAILS},
                )
            )
        return speeds

    def ranking(self, candidate: Candidate) -> list[tuple[str, float]]:
        """Rank the layers of a recipe by the damage that each does alone."""
        options: QuantizeOptions = {
            **self.quantizing,
            **dict(candidate.options),  # type: ignore[typeddict-item] # names from the table
        }
        found = sensitivity.rank(
            self.model,
            candidate.recipe,
            score=lambda runner: None,
            stop=self.stop,
            **options,
        )
        return [(layer.node, layer.sqnr_db) for layer in found.layers]

    @property
    def feeds(self) -> Feeds:
        """The samples that outputs are compared on."""
        if self._feeds is None:
            self._feeds = self._samples()
        return self._feeds

    def _samples(self) -> Feeds:
        given = self.quantizing
        if self.task.inputs is not None:
            given = {**given, "calibration": self.task.inputs}
        return samples(self.bundle, self._signature, given, SAMPLES)

    def _likeness(self, got: Outputs) -> float:
        """Give the least SQNR of the outputs beside float's on the CPU."""
        if self._expected is None:
            with open_runner(self.source, threads=1) as runner:
                self._expected = runner.run(self.feeds)
        return likeness(self._expected, got)

    def _timed(self, candidate: Candidate) -> latency.Candidate:
        provider = self.running.get("provider", "cpu")
        variant = None
        path = self.model
        if candidate.recipe != FLOAT:
            made = self.made(candidate)
            variant, path = made.variant, self.model if self.bundle else made.path
        return latency.Candidate(
            str(path),
            variant=variant,
            provider=provider if isinstance(provider, str) else ",".join(provider),
            threads=candidate.threads,
            allow_fallback=self.running.get("allow_fallback", False),
            axes=dict(self.running.get("axes") or {}),
            provider_options=dict(self.running.get("provider_options") or {}),
            optimization=candidate.optimization,
        )


def _copied(model: Bundle | Path, folder: Path) -> tuple[Path, Path]:
    """Put a model into a folder, of a bundle what float needs; gives it, and its float file."""
    if not isinstance(model, Bundle):
        for file in model_files(model):
            _link(file, folder / file.name)
        return folder / model.name, folder / model.name
    start = float_variant(model)
    data = {
        name: entry
        for name, entry in model.manifest.data.items()
        if name in DATA_FILES or name == f"{start.file.path}{EXTERNAL}"
    }
    for entry in (start.file, *data.values()):
        _link(model.file(entry), folder / entry.path)
    manifest = dataclasses.replace(model.manifest, variants=(start,), data=data)
    files.write_text(folder / files.MANIFEST, manifest.to_json())
    return folder, folder / start.file.path


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
