"""The results of before, kept on this machine: a SQLite file that every `edgekit bench` adds to.

It is `edgekit/history.sqlite3` under the user's data folder (`XDG_DATA_HOME`, else
`~/.local/share`), or the file that `EDGEKIT_HISTORY` names. A row is one candidate of one run, with
the digest of its model, the machine and the version of onnxruntime. Standard library only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import OutputError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgekit.latency.results import LatencyReport

#: What `PRAGMA user_version` says of a file; one of another number is left alone.
VERSION = 1
WAIT_S = 5.0


@dataclass(frozen=True)
class Entry:
    """One candidate of one run.

    `at` is the time in UTC (ISO 8601), `model` the absolute path, `sha256` the digest of its file,
    `machine` the processor, its cores and the system. The rest is as in `Latency`; `contended` is
    of the whole run.
    """

    at: str
    model: str
    variant: str | None
    engine: str
    sha256: str
    machine: str
    onnxruntime: str
    provider: str
    threads: int
    replicas: int
    batch: int
    p50_ms: float
    p50_low_ms: float
    p50_high_ms: float
    p90_ms: float | None
    p99_ms: float | None
    samples_per_second: float
    runs: int
    contended: bool

    @property
    def series(self) -> tuple[Any, ...]:
        """What makes two entries comparable: all but the file's content and the version."""
        what = (self.model, self.variant, self.engine, self.machine)
        return (*what, self.provider, self.threads, self.replicas, self.batch)


COLUMNS = tuple(field.name for field in dataclasses.fields(Entry))


def path() -> Path:
    """Where the history is."""
    named = os.environ.get("EDGEKIT_HISTORY")
    if named:
        return Path(named)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local/share") / "edgekit/history.sqlite3"


def append(report: LatencyReport) -> None:
    """Add a report's results; raises `OutputError` where the file cannot be written."""
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    rows = [dataclasses.astuple(entry) for entry in entries_of(report, at)]
    places = ", ".join("?" for _ in COLUMNS)
    with _opened(path(), create=True) as connection:
        connection.executemany(f"INSERT INTO results VALUES ({places})", rows)


def entries_of(report: LatencyReport, at: str) -> list[Entry]:
    """Give a report's results as rows of the history."""
    found = report.conditions
    machine = f"{found['cpu']}, {found['cores']} cores, {found['system']} {found['machine']}"
    return [
        Entry(
            at=at,
            model=str(Path(result.model).resolve()),
            variant=result.variant,
            engine=result.engine,
            sha256=result.sha256,
            machine=machine,
            onnxruntime=found["onnxruntime"],
            provider=result.provider,
            threads=result.threads,
            replicas=result.replicas,
            batch=result.batch,
            p50_ms=result.p50_ms,
            p50_low_ms=result.ci95_ms[0],
            p50_high_ms=result.ci95_ms[1],
            p90_ms=result.p90_ms,
            p99_ms=result.p99_ms,
            samples_per_second=result.samples_per_second,
            runs=result.runs,
            contended=found["contended"],
        )
        for result in report.results
    ]


def read(models: Sequence[str | Path] = ()) -> list[Entry]:
    """Give what is known of the models (of all, where none is named), oldest first.

    No file is no history. Raises `OutputError` for a file that is none of edgekit's.
    """
    file = path()
    if not file.exists():
        return []
    with _opened(file, create=False) as connection:
        rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM results ORDER BY at, rowid")
        # SQLite has no booleans.
        named = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        entries = [Entry(**{**row, "contended": bool(row["contended"])}) for row in named]
    wanted = {str(Path(model).resolve()) for model in models}
    return [entry for entry in entries if not wanted or entry.model in wanted]


@contextlib.contextmanager
def _opened(file: Path, *, create: bool) -> Iterator[sqlite3.Connection]:
    """Yield a connection whose changes are all made when the block ends well, or none."""
    try:
        if create:
            file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(file, timeout=WAIT_S)) as connection, connection:
            # One writer at a time from the first look on, or two would make the table at once.
            connection.execute("BEGIN IMMEDIATE" if create else "BEGIN")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if create and not tables:
                connection.execute(f"CREATE TABLE results ({', '.join(COLUMNS)})")
                connection.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise OutputError(
                    f"The file {str(file)!r} is no history of this edgekit (version {version}, "
                    f"{VERSION} is expected): name another with EDGEKIT_HISTORY."
                )
            yield connection
    except (OSError, sqlite3.Error) as error:
        raise OutputError(
            f"The history {str(file)!r} cannot be used ({one_line(error)}): name another file with "
            "EDGEKIT_HISTORY, or give --no-history."
        ) from error
