"""What the tests of bad weather share: tiny jobs, the command in this process, how rows ended."""

import contextlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from jobs.cli import main
from jobs.recipes.recipe import BACKENDS, request_of
from jobs.settings.jobfile import load_job
from pipelines.build import Result, build
from pipelines.engines.clocks import Timeouts
from pipelines.engines.engine import Engine
from pipelines.engines.local import InlineEngine, LocalEngine
from pipelines.outcome import main_code, read_outcomes
from pipelines.request import prepare
from pipelines.task import Job
from schemas.index import INDEX
from schemas.parquet import read_table
from schemas.snapshot import Manifest, latest_snapshot
from schemas.store import FileStore
from transforms.backends.tts import SpeechBackend
from transforms.step import Step

ROOT = Path(__file__).parents[2]
FAST_BANK = ROOT / "tests" / "data" / "voices_fast.yaml"
NOUNS = """river castle garden window doctor engine mountain planet bottle silver kitchen market
teacher summer forest bridge candle desert island ladder mirror needle orange pencil rabbit saddle
ticket valley wagon yellow""".split()


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def last_json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return value


@dataclass(frozen=True)
class Ended:
    """How one source row ended: ``why`` is its first reason's code or its error's class."""

    state: str
    why: str = ""
    message: str = ""
    origin: str = ""
    key: str = ""


class Quiet:
    """A Listener that keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def stage(self, name: str, total: int) -> None:
        """Nothing to show."""

    def finished(self) -> None:
        """Nothing to show."""

    def rows(self, step: str, count: int) -> None:
        """Nothing to show."""

    def note(self, text: str) -> None:
        self.notes.append(text)


def row(name: str, text: str = "", answer: str = "") -> dict[str, Any]:
    """A plain Alpaca row that every step accepts, unless ``text`` or ``answer`` say otherwise."""
    return {
        "id": name,
        "instruction": text or f"Tell me something nice about the {name} please.",
        "output": answer or f"A {name} is a thing that many people like to see.",
    }


def rows(count: int) -> list[dict[str, Any]]:
    """Good rows, each with other words; ids are nouns, numbered after the first thirty."""
    return [
        row(noun if turn == 0 else f"{noun}{turn}", f"What is {noun} number {turn + 1}?")
        for turn in range(-(-count // len(NOUNS)))
        for noun in NOUNS
    ][:count]


def write_rows(path: Path, lines: Iterable[Mapping[str, Any] | str]) -> Path:
    """JSON Lines; a string stands as it is."""
    text = "".join(
        (line if isinstance(line, str) else json.dumps(line, ensure_ascii=True)) + "\n"
        for line in lines
    )
    path.write_text(text, encoding="utf-8")
    return path


def write_job(
    folder: Path, lines: Iterable[Mapping[str, Any] | str] | None = None, **sections: Any
) -> Path:
    """``folder/job.yaml`` over ``folder/rows.jsonl``; ``sections`` replace whole sections."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "rows.jsonl", rows(6) if lines is None else lines)
    document = {
        "name": "small",
        "source": {
            "path": "rows.jsonl",
            "adapter": "alpaca",
            "name": "small",
            "license": "CC0-1.0",
            "lang": "en",
        },
        "voices": {"bank": str(FAST_BANK)},
        "splits": {"eval_fraction": 0.0},
        "units": {"clusters": 4, "max_frames": 1000},
        "synthesize": {"attempts": 1},  # the faults of tests/jobs/faults.py sound like no text
        "limits": {"max_failed_fraction": 1.0},
        **sections,
    }
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def voxmill(*arguments: str | Path) -> Done:
    """The command in this process. A traceback is not caught: it fails the test."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse's way
            code = int(end.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


def build_here(job: Path, output: Path, *more: str | Path) -> Done:
    """``voxmill build JOB --output OUTPUT --workers 0 --json`` in this process."""
    return voxmill("build", job, "--output", output, "--workers", "0", "--json", *more)


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    """The command as a process of its own, as from a terminal.

    A shell starts what it runs in the background with Ctrl-C ignored, and tests may run there.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", *(str(argument) for argument in arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finish(process: "subprocess.Popen[str]", timeout_s: float = 60.0) -> Done:
    """Wait for a started command; one that hangs is killed, and the test fails."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Done(process.returncode, out, err)


def build_with(
    job: Path,
    output: Path,
    speech: SpeechBackend,
    *,
    workers: int = 0,
    row_timeout_s: float = 2.0,
    open_timeout_s: float = 600.0,
    retry_failed: bool = False,
    changes: Iterable[str] = (),
    listener: Quiet | None = None,
    start: Callable[[Job], Engine] | None = None,
    last: Step | None = None,
) -> Result:
    """A build in which ``speech`` stands in for the backend of its name.

    ``start`` starts another engine than the local one; ``last`` is one more step after all others.
    """
    settings = load_job(job, [*changes, f"output.uri={json.dumps(str(output))}"])
    backends = (speech, *(item for item in BACKENDS if item.name != speech.name))
    request = request_of(settings, job.parent, retry_failed=retry_failed, backends=backends)
    if last is not None:
        nodes = (*request.pipeline.nodes, last)
        request = replace(request, pipeline=replace(request.pipeline, nodes=nodes))
    heard = listener or Quiet()

    def engine(work: Job) -> Engine:
        if workers == 0:
            return InlineEngine(work, heard)
        return LocalEngine(
            work, workers, Timeouts(row_s=row_timeout_s, open_s=open_timeout_s), heard
        )

    return build(prepare(request), start or engine, heard, care=settings.limits.care())


def manifest_of(output: Path) -> Manifest:
    manifest = latest_snapshot(FileStore(output))
    assert manifest is not None
    return manifest


def ended(output: Path, manifest: Manifest | None = None) -> dict[str, Ended]:
    """How every row ended, by its own id; by its origin ("rows.jsonl:3") where it has none.

    Asserts promise 2 on the way: each row once, and the manifest's counts are these rows.
    """
    store = FileStore(output)
    manifest = manifest or manifest_of(output)
    found: list[tuple[str, Ended]] = []
    for shard in manifest["shards"]:
        path = f"index/{shard['index']}"
        for item in read_table(store.get(path), INDEX, path).to_pylist():
            found.append((item["source_id"], Ended("accepted", key=item["key"])))
    others: tuple[Literal["rejected", "failed"], ...] = ("rejected", "failed")
    for state in others:
        for row in read_outcomes(store, manifest[state]):
            error = row["error"]
            message = (
                error["message"] if error else "; ".join(item["detail"] for item in row["reasons"])
            )
            place = Ended(state, main_code(row), message, row["origin"], row["id"])
            found.append((row["source_id"] or row["origin"], place))
    counts = manifest["counts"]
    states = [place.state for _, place in found]
    assert {state: states.count(state) for state in ("accepted", "rejected", "failed")} == {
        state: counts[state] for state in ("accepted", "rejected", "failed")
    }
    assert len(found) == counts["rows"]
    assert len({place.key for _, place in found}) == len(found)
    by_name = dict(found)
    assert len(by_name) == len(found), "the test gave two rows one id; use keys instead"
    return by_name


def files(folder: Path, under: str = "") -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, with its bytes."""
    base = folder / under
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(base.rglob("*"))
        if path.is_file()
    }
