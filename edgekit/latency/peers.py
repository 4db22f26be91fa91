"""Peers: other engines that run the weights of a bundle in the same run, once they answer right.

Each is converted before anything is timed, opened in a process of its own, and compared with the
bundle's float file on the inputs that are timed. One that is not installed, cannot be converted or
answers wrong is named with its reason, and has no place in the ranking. Converting needs the build
machine, and `exporter.peers` is imported only for that.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import files, parity
from edgekit.bundle import Bundle
from edgekit.errors import BundleError, EdgekitError, ModelError, needs_extra, one_line
from edgekit.feeds import make_feeds
from edgekit.latency import engines, lanes
from edgekit.latency.results import Unranked
from edgekit.latency.worker import Worker

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Mapping, Sequence

    from edgekit.latency.lanes import Lane
    from edgekit.latency.results import Candidate
    from edgekit.latency.timing import Plan
    from edgekit.parity import Tolerance
    from edgekit.signature import Feeds, Outputs

PEERS = tuple(engines.ENGINES)


@dataclass(frozen=True)
class Prepared:
    """Files of peers, the inputs they all take, and what they have to answer."""

    candidate: Candidate
    paths: Mapping[str, Path]
    feeds: Path
    expected: Outputs
    tolerance: Tolerance
    unranked: tuple[Unranked, ...]


def prepare(
    names: Sequence[str],
    candidate: Candidate,
    folder: Path,
    *,
    source: str | Path | None,
    artifacts: Path,
    seed: int,
) -> Prepared:
    """Convert a candidate's bundle for each peer into a folder.

    Raises `BundleError` for a model that is no bundle, `SourceError` where the source of its
    weights cannot be found.
    """
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise ValueError(f"peers are {', '.join(PEERS)}, not {', '.join(unknown)}")
    if not Path(candidate.model).is_dir():
        raise BundleError(
            f"The model {candidate.model!r} is no bundle, and only a bundle says which weights "
            "its peers run: export one, with a folder as --out."
        )
    bundle = Bundle.open(candidate.model)
    first = bundle.manifest.variants[0]
    feeds = _feeds(bundle, candidate, seed)
    files.save_arrays(folder / "feeds.npz", {"inputs": feeds})
    paths, unranked = _convert(names, bundle, feeds, folder, source, artifacts)
    return Prepared(
        candidate=candidate,
        paths=paths,
        feeds=folder / "feeds.npz",
        expected=_answers(bundle, feeds),
        tolerance=parity.TOLERANCES[first.precision],
        unranked=tuple(unranked),
    )


def start(
    prepared: Prepared,
    threads: Sequence[int],
    first: Lane,
    stack: contextlib.ExitStack,
    plan: Plan,
) -> tuple[list[Lane], list[Unranked]]:
    """Open each peer at each number of threads, and keep those that answer right."""
    found: list[Lane] = []
    refused = list(prepared.unranked)
    for engine in prepared.paths:
        for count in threads:
            candidate = dataclasses.replace(
                prepared.candidate, variant=None, provider="cpu", engine=engine, threads=count
            )
            worker = Worker(str(candidate))
            try:
                lane = _open(prepared, candidate, worker, first, plan)
            except EdgekitError as error:
                worker.close()
                refused.append(Unranked(engine, str(error)))
                break
            found.append(lane)
            stack.push(worker)
    return found, refused


def _open(
    prepared: Prepared, candidate: Candidate, worker: Worker, first: Lane, plan: Plan
) -> Lane:
    answers = prepared.feeds.with_name(f"answers-{candidate.engine}.npz")
    opened = worker.ask(
        "open_peer",
        engine=candidate.engine,
        file=str(prepared.paths[candidate.engine]),
        feeds=str(prepared.feeds),
        answers=str(answers),
        threads=candidate.threads,
        replicas=candidate.replicas,
    )
    _check(candidate.engine, prepared, list(files.load_groups(answers)["outputs"].values()))
    opened |= {"provider": "cpu", "fallback": None, "feeds": first.opened["feeds"]}
    file = prepared.paths[candidate.engine]
    return lanes.Lane(candidate, file, worker, opened, lanes.warm(worker, plan))


def _check(engine: str, prepared: Prepared, answers: Sequence[object]) -> None:
    """Raise `ModelError` where a peer does not answer as the float file does."""
    named = dict(zip(prepared.expected, answers, strict=False))
    for output in parity.compare(prepared.expected, named, prepared.tolerance):  # type: ignore[arg-type]
        if not output.passed:
            raise ModelError(f"it answers wrong in {output.name!r}: {output.detail}")


def _feeds(bundle: Bundle, candidate: Candidate, seed: int) -> Feeds:
    groups = bundle.data("reference")
    return make_feeds(
        bundle.manifest.signature,
        reference=groups["inputs"] if groups else None,
        batch=candidate.batch,
        axes=candidate.axes,
        seed=seed,
    )


def _answers(bundle: Bundle, feeds: Feeds) -> Outputs:
    from edgekit.runtime.runner import open_runner

    with open_runner(bundle) as runner:
        return runner.run(feeds)


def _convert(
    names: Sequence[str],
    bundle: Bundle,
    feeds: Feeds,
    folder: Path,
    source: str | Path | None,
    artifacts: Path,
) -> tuple[dict[str, Path], list[Unranked]]:
    paths: dict[str, Path] = {}
    unranked: list[Unranked] = []
    arrays = list(feeds.values())
    loaded = None
    for name in dict.fromkeys(names):
        try:
            engines.load(name)
        except EdgekitError as error:
            unranked.append(Unranked(name, str(error)))
            continue
        if name == "openvino":
            paths[name] = bundle.file(bundle.variant().file)
            continue
        with needs_extra(f"convert for the peer {name!r}"):
            from edgekit.exporter import peers
        loaded = loaded or peers.load(bundle, source, artifacts)
        try:
            with peers.quiet():
                paths[name] = peers.WRITERS[name](loaded, arrays, folder)
        except Exception as error:  # noqa: BLE001 - a converter fails as it likes; its row says how
            reason = f"{type(error).__name__}: {one_line(error)}"
            unranked.append(Unranked(name, f"it cannot be converted ({reason})"))
    return paths, unranked
