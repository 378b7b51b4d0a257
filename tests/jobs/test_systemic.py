"""A broken backend stops the build early; a row that fails alone is tried again, and fails."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs import cli
from pipelines.health import Care, Health
from pipelines.memo import Memo
from schemas.errors import SystemicError
from schemas.store import FileStore
from tests.jobs.faults import RAISES, FaultySpeech, tone
from tests.jobs.small import build_with, ended, row, rows, voxmill, write_job
from transforms.backends.tts import Speech, VoiceSpec


@dataclass(frozen=True)
class Broken:
    """A backend that answers nothing to any text that holds ``word``; all of them hold an e."""

    log: str
    word: str = "e"
    times: int = 10**9  # so often; then it is mended
    name: str = "flite"

    def identity(self, voice: VoiceSpec) -> Mapping[str, object]:
        return {"tone": 1}

    def check(self, voice: VoiceSpec) -> None:
        """It looks well."""

    @contextmanager
    def open(self) -> Iterator["Broken"]:
        yield self

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        with open(self.log, "a+", encoding="utf-8") as log:
            log.seek(0)
            before = log.read().splitlines().count(text)
            log.write(text + "\n")
        if self.word in text and before < self.times:
            raise ConnectionResetError(f"no answer {len(text)}")
        return Speech(tone(text, voice), 16_000)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_backend_stops_the_build_early_and_the_same_command_goes_on(
    tmp_path: Path, workers: int
) -> None:
    job = write_job(tmp_path, rows(120), limits={"max_failed_fraction": 1.0, "row_attempts": 1})
    log = tmp_path / "spoken.txt"
    with pytest.raises(SystemicError) as stopped:
        build_with(job, tmp_path / "out", Broken(log=str(log)), workers=workers)
    told = str(stopped.value)
    assert "synthesize: " in told
    assert "ConnectionResetError: no answer" in told
    assert "run the same command" in told
    assert len(log.read_text().splitlines()) <= 100  # of 240 utterances
    assert not (tmp_path / "out" / "snapshots").exists()
    mended = build_with(job, tmp_path / "out", FaultySpeech(faults=()), workers=workers)
    assert mended.manifest["counts"] == {
        "rows": 120,
        "accepted": 120,
        "rejected": 0,
        "failed": 0,
    }
    other = build_with(job, tmp_path / "other", FaultySpeech(faults=()))
    assert mended.manifest["identity"] == other.manifest["identity"]


def test_what_succeeded_before_a_stop_is_not_done_again(tmp_path: Path) -> None:
    lines = [row(f"n{n}", f"Say the {'river' if n % 5 else 'garden'} {n}.") for n in range(120)]
    job = write_job(tmp_path, lines, limits={"row_attempts": 1, "max_step_error_fraction": 0.3})
    log = tmp_path / "spoken.txt"
    with pytest.raises(SystemicError):
        build_with(job, tmp_path / "out", Broken(log=str(log), word="river"))
    first = set(log.read_text().splitlines())
    again = tmp_path / "again.txt"
    build_with(job, tmp_path / "out", FaultySpeech(faults=(), log=str(again)))
    second = again.read_text().splitlines()
    assert any("river" in text for text in first & set(second))
    assert not {text for text in first & set(second) if "river" not in text}


def test_rows_that_fail_for_their_own_sake_stop_nothing(tmp_path: Path) -> None:
    lines = [*rows(60), *(row(f"bad{n}", f"Say {RAISES} {n}.") for n in range(25))]
    job = write_job(tmp_path, lines)
    result = build_with(job, tmp_path / "out", FaultySpeech())
    assert result.manifest["counts"]["failed"] == 25
    assert result.manifest["counts"]["accepted"] == 60


@pytest.mark.parametrize(("times", "attempts", "state"), [(1, 2, "accepted"), (2, 2, "failed")])
def test_a_row_that_fails_retryably_is_tried_so_often(
    tmp_path: Path, times: int, attempts: int, state: str
) -> None:
    lines = [*rows(3), row("flaky", "Tell me about the flakyword please.")]
    job = write_job(tmp_path, lines, limits={"max_failed_fraction": 1.0, "row_attempts": attempts})
    speech = Broken(log=str(tmp_path / "log"), word="flakyword", times=times)
    build_with(job, tmp_path / "out", speech)
    assert ended(tmp_path / "out")["flaky"].state == state
    spoken = (tmp_path / "log").read_text().splitlines()
    assert sum("flakyword" in text for text in spoken) == attempts


def test_the_limit_wants_many_failures_and_a_high_rate() -> None:
    def failing(computed: int, failed: int) -> dict[str, dict[str, object]]:
        causes = {f"ValueError: row {n}": 1 for n in range(failed)}
        stats = {"computed": computed, "failed": failed, "retried": 0, "causes": causes}
        return {"synthesize": stats}

    health = Health(Care(max_error_fraction=0.5, min_rows=20))
    health.take(failing(19, 19))
    health.take(failing(100, 10))
    with pytest.raises(SystemicError, match=r"synthesize: 129 of 219 rows failed"):
        health.take(failing(100, 100))


def test_failures_are_forgotten_once(tmp_path: Path) -> None:
    job = write_job(tmp_path, [*rows(4), row("bad", f"Say {RAISES}.")])
    build_with(job, tmp_path / "out", FaultySpeech())
    memo = Memo(FileStore(tmp_path / "out" / "work"))
    (folder,) = {path.name for path in (tmp_path / "out" / "work" / "memo").glob("synthesize-*")}
    fingerprint = folder.removeprefix("synthesize-")
    assert memo.forget_failures("synthesize", fingerprint) == 1
    assert memo.forget_failures("synthesize", fingerprint) == 0


def test_a_stop_is_exit_code_3_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object, **named: object) -> None:
        raise SystemicError("synthesize: all rows failed")

    monkeypatch.setattr("jobs.commands.build.build", stop)
    done = voxmill("build", str(write_job(tmp_path)), "--output", str(tmp_path / "out"))
    assert done.code == cli.EXIT_FAILED_ROWS
    assert "all rows failed" in done.err
