"""The command as a hurried person meets it: help, mistakes, exit codes, --json, Ctrl-C."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.jobs.small import (
    Done,
    build_here,
    ended,
    finish,
    manifest_of,
    row,
    rows,
    start,
    voxmill,
    write_job,
)

KEYS = {
    "snapshot",
    "identity",
    "rows",
    "accepted",
    "rejected",
    "failed",
    "hours",
    "computed_rows",
    "reused_rows",
    "carried_rows",
    "wall_s",
}


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_job(tmp_path_factory.mktemp("job"))


@pytest.fixture(scope="module")
def built(job: Path) -> tuple[Path, Done]:
    """A corpus of six rows, and the command that made it."""
    output = job.parent / "out"
    return output, build_here(job, output)


def assert_refused(done: Done, *words: str) -> None:
    """Exit code 2, one message on stderr with all the words, nothing on stdout."""
    assert done.code == 2, done.err
    assert done.out == ""
    shown = " ".join(done.err.split())
    for word in words:
        assert word in shown, f"{word!r} is not in: {shown}"


@pytest.mark.parametrize("arguments", [("--help",), ("build", "--help"), ("plan", "--help")])
def test_help_shows_examples_and_exit_codes(arguments: tuple[str, ...]) -> None:
    done = voxmill(*arguments)
    assert done.code == 0
    assert "voxmill build examples/instruct_s2s.yaml --output corpus" in done.out
    assert "exit codes: 0 done; 1 a gate or a verification failed; 2 usage" in done.out


@pytest.mark.parametrize("command", ["build", "plan", "verify", "clean", "inspect", "replay"])
def test_every_command_has_help(command: str) -> None:
    done = voxmill(command, "--help")
    assert done.code == 0
    assert f"usage: voxmill {command}" in done.out


def test_no_command_is_refused() -> None:
    assert_refused(voxmill(), "COMMAND")


def test_an_unknown_command_is_refused_with_the_known_ones() -> None:
    assert_refused(voxmill("biuld", "job.yaml"), "'biuld'", "build", "verify")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "units.cluster=3"], ["'units.cluster'", "did you mean 'clusters'?"]),
        (["--set", "unit.clusters=3"], ["'unit'", "did you mean 'units'?"]),
        (["--set", "source.adaptor=alpaca"], ["'source.adaptor'", "did you mean 'adapter'?"]),
        (["--set", "units.clusters"], ["--set units.clusters", "wanted a.b=value"]),
        (["--set", "=3"], ["--set =3", "wanted a.b=value"]),
        (
            ["--set", "units.clusters=[1"],
            ["--set units.clusters=[1: ", "not a YAML value", "expected ',' or ']'"],
        ),
        (["--set", "units.clusters=many"], ["'units.clusters'", "'many'", "integer"]),
        (
            ["--set", "units.clusters=1"],
            ["'units.clusters'", "got 1", "greater than or equal to 2"],
        ),
        (["--set", "shards.target_mb="], ["'shards.target_mb'", "None"]),
        (["--set", "units=3"], ["'units'", "got 3"]),
        (["--set", "name.x=3"], ["name"]),
        (["--set", "source.lang=no"], ["'source.lang'", "got False", "string"]),
        (["--set", "engine.row_timeout_s=0"], ["'engine.row_timeout_s'", "greater than 0"]),
        (["--set", "engine.row_timeout_s=.inf"], ["'engine.row_timeout_s'", "finite"]),
        (["--set", "shards.target_mb=.inf"], ["'shards.target_mb'", "finite"]),
        (["--set", "gates=[{measure: duration_s, min: .nan}]"], ["'gates.0.min'", "finite"]),
        (["--set", "output.store.timeout_s=1e30", "--output", "s3://b/c"], ["output.store"]),
        (
            ["--set", "models={tiny: {model: x, extra: {a: .nan}}}"],
            ["models.tiny.extra", "what json can hold"],
        ),
        (
            ["--set", "models={tiny: {model: x, extra: {a: 2026-01-01}}}"],
            ["extra", "what json can hold"],
        ),
        (["--set", "pipeline=[check]"], ["'pipeline'", "['check']", "instruct_s2s"]),
        (["--set", "gates=[{measure: mos, min: 1}]"], ["mos", "no row", "checks.mos"]),
        (
            ["--set", "gates=[{measure: asr_wer, max: 1}]", "--set", "checks.asr_fraction=0"],
            ["asr_wer", "no row", "checks.asr_fraction"],
        ),
        (
            ["--set", "gates=[{measure: aligned, min: 1}]", "--set", "checks.align=false"],
            ["aligned", "no row", "checks.align"],
        ),
        (
            ["--set", "gates=[{measure: speech_fraction, min: 1}]", "--set", "checks.vad=false"],
            ["speech_fraction", "no row", "checks.vad"],
        ),
        (
            ["--set", "gates=[{measure: aligned, min: 1, langs: [zh]}]"],
            ["aligned", "no row", "['zh']", "['en']"],
        ),
        (["--set", "augment.noise=2"], ["augment.noise", "1"]),
        (["--set", "augment.noise=1", "--set", "augment.snr_db=[9, 1]"], ["snr_db", "low"]),
        (["--set", "gates=[{measure: loud, max: 1}]"], ["'loud'", "loudness_lufs"]),
        (["--set", "gates=[{mesure: x, max: 1}]"], ["'gates.0.mesure'", "'measure'"]),
        (["--set", "gates=[{measure: duration_s}]"], ["duration_s", "a min, a max or outlier_mad"]),
        (["--set", "voices.bank=nowhere.yaml"], ["nowhere.yaml", "voices.bank"]),
        (["--set", "source.adapter=alpacca"], ["'alpacca'", "did you mean 'alpaca'?"]),
        (["--limit", "0"], ["--limit 0", "at least 1"]),
        (["--limit", "-5"], ["--limit -5", "at least 1"]),
        (["--limit", "few"], ["--limit", "'few'"]),
        (["--workers", "-1"], ["--workers -1", "0 (this process) or more"]),
        (["--workers", "two"], ["--workers", "'two'"]),
        (["--engine", "spark"], ["engine.name", "'spark'", "local, ray, beam"]),
        (["--output", ""], ["output", "empty", "--output corpus"]),
        (["--output", "ftp://host/x"], ["there is no store for ftp://", "a path"]),
        (["--outptu", "x"], ["--outptu"]),
    ],
    ids=lambda value: " ".join(value[:2]) if value and value[0].startswith("-") else "",
)
def test_a_wrong_option_is_refused_before_anything_is_written(
    job: Path, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    output = tmp_path / "out"
    given = arguments if arguments[0] == "--output" else ["--output", str(output), *arguments]
    assert_refused(voxmill("build", job, *given), *words)
    assert not output.exists()


def test_an_empty_section_takes_what_the_command_line_says(job: Path, tmp_path: Path) -> None:
    empty = tmp_path / "job.yaml"
    text = job.read_text(encoding="utf-8").replace("rows.jsonl", str(job.parent / "rows.jsonl"))
    empty.write_text(f"{text}output:\n", encoding="utf-8")
    done = voxmill("plan", empty, "--output", tmp_path / "out")
    assert done.code == 0, done.err


def test_no_output_is_refused(job: Path) -> None:
    assert_refused(voxmill("build", job), "no output", "--output", "output.uri")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["wanted keys and values"]),
        ("- a\n- b\n", ["list", "wanted keys and values"]),
        ("name: a\n  b: [\n", ["not YAML", "line 2"]),
        ("source: {path: x, adapter: alpaca}\nvoices: {bank: b}\n", ["'name'", "'source.name'"]),
        ("name: x\n1: 2\n", ["'1'", "string"]),
        ("name: x\ndedup:\n", ["'dedup'", "None"]),
        ("[" * 2000 + "]" * 2000, ["nested too deep"]),
    ],
)
def test_a_job_file_that_means_nothing_is_refused(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    assert_refused(voxmill("build", path, "--output", tmp_path / "out"), str(path), *words)


def test_a_job_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    for data in (b"\xff\xfe\x00", b"name: x\n\x00"):
        path.write_bytes(data)
        done = voxmill("build", path, "--output", tmp_path / "out")
        assert_refused(done, str(path), "not YAML", "save the file as UTF-8 text")


def test_what_set_was_given_is_not_repeated_since_it_may_be_a_secret(
    job: Path, tmp_path: Path
) -> None:
    given = ("--set", "schedule.env={API_KEY: s3cret}", "--output", tmp_path / "out")
    done = voxmill("plan", job, *given)
    assert_refused(done, "with --set schedule.env=*** --set output.uri=", "schedule.secret_env")
    assert "s3cret" not in done.err


@pytest.mark.parametrize("name", ["nowhere.yaml", "."])
def test_a_job_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    done = voxmill("build", tmp_path / name, "--output", tmp_path / "out")
    assert_refused(done, f"job {tmp_path / name}", "give the path of a job file")


def test_a_job_file_that_says_a_key_twice_is_refused(job: Path, tmp_path: Path) -> None:
    """YAML's last one wins in silence, so a section written twice would lose settings."""
    twice = tmp_path / "job.yaml"
    twice.write_text(
        job.read_text(encoding="utf-8").replace("rows.jsonl", str(job.parent / "rows.jsonl"))
        + "units: {clusters: 8}\n",
        encoding="utf-8",
    )
    assert_refused(voxmill("build", twice, "--output", tmp_path / "out"), "units", "twice")


def test_a_bank_with_an_unknown_backend_is_refused(job: Path, tmp_path: Path) -> None:
    bank = tmp_path / "bank.yaml"
    bank.write_text(
        "voices:\n  - {id: a, speaker_id: s, gender: f, lang: en, backend: cosyvoice, name: x, "
        "license: MIT}\n",
        encoding="utf-8",
    )
    done = voxmill("build", job, "--output", tmp_path / "out", "--set", f"voices.bank={bank}")
    assert_refused(done, "'cosyvoice'", "'a'", "flite", "espeak")


def test_json_is_one_last_line_with_the_documented_keys(built: tuple[Path, Done]) -> None:
    output, done = built
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 1
    assert set(done.last_json) == KEYS
    assert done.last_json["identity"] == manifest_of(output)["identity"]
    assert done.last_json["snapshot"] == "snapshots/v000001.json"
    assert (done.last_json["rows"], done.last_json["accepted"]) == (6, 6)
    assert "snapshot v000001" in done.err, "the table goes to stderr"


def test_without_json_the_table_goes_to_stdout(built: tuple[Path, Done], job: Path) -> None:
    done = voxmill("build", job, "--output", built[0], "--workers", "0", "--quiet")
    assert done.code == 0
    assert done.err == ""
    assert manifest_of(built[0])["identity"] in done.out


def test_the_same_command_again_does_nothing(built: tuple[Path, Done], job: Path) -> None:
    again = build_here(job, built[0])
    assert again.code == 0
    assert again.last_json["identity"] == built[1].last_json["identity"]
    assert set(again.last_json["computed_rows"].values()) == {0}


def test_verify_gives_json_too(built: tuple[Path, Done]) -> None:
    done = voxmill("verify", built[0], "--json")
    assert done.code == 0
    assert done.last_json == {"damaged": [], "identity": built[1].last_json["identity"]}


def test_a_terminal_that_cannot_show_a_letter_is_shown_its_code() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", "import sys; from jobs import cli; cli._doctor = lambda o: "]
    command[-1] += "print(o.job) or 0; sys.exit(cli.main(['doctor', sys.argv[1]]))"
    done = subprocess.run([*command, "语"], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, rb"\u8bed"), done.stderr


def test_plan_gives_json_and_writes_nothing(job: Path, tmp_path: Path) -> None:
    done = voxmill("plan", job, "--output", tmp_path / "out", "--json")
    assert done.code == 0
    assert len(done.out.splitlines()) == 1
    assert isinstance(done.last_json, dict)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["verify", "inspect", "replay"])
def test_a_place_without_a_corpus_is_named(tmp_path: Path, command: str) -> None:
    more = ["0" * 24 + "-0"] if command == "replay" else []
    done = voxmill(command, tmp_path / "nowhere", *more)
    assert_refused(done, str(tmp_path / "nowhere"), "no snapshot there", "voxmill build")


def test_clean_names_a_place_without_a_corpus_and_makes_none(tmp_path: Path) -> None:
    done = voxmill("clean", tmp_path / "nowhere")
    assert_refused(done, str(tmp_path / "nowhere"), "no corpus there")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("version", ["9", "0", "-1"])
def test_a_version_that_is_not_there_is_refused_with_those_that_are(
    built: tuple[Path, Done], version: str
) -> None:
    done = voxmill("verify", built[0], "--version", version)
    assert_refused(done, str(built[0]))
    assert re.search(r"there (is|are)\b.*\b1\b|v000001", done.err), done.err


def test_a_fault_of_ours_is_no_gate_that_was_missed(
    built: tuple[Path, Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object, **more: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("pipelines.damage.all_damage", broken)
    done = voxmill("verify", built[0])
    assert done.code == 70
    assert "RuntimeError: a fault" in done.err
    assert "a fault of Voxmill, with the trace above; please report it" in done.err


def test_too_many_failed_rows_are_exit_code_3(tmp_path: Path) -> None:
    job = write_job(tmp_path, [*rows(3), {"id": "bad"}], limits={"max_failed_fraction": 0.1})
    done = build_here(job, tmp_path / "out")
    assert done.code == 3
    assert "1 of 4 rows failed" in done.err
    assert "limits.max_failed_fraction (0.1)" in done.err
    assert "correct them in the source and run the same command" in done.err
    assert done.last_json["failed"] == 1
    assert voxmill("verify", tmp_path / "out").code == 0, "the snapshot stands all the same"
    assert build_here(job, tmp_path / "out").code == 3, "and the same again says the same"


def test_too_few_accepted_rows_are_exit_code_1(tmp_path: Path) -> None:
    job = write_job(
        tmp_path,
        [row("river"), row("castle", answer="?!"), row("garden", "...")],
        limits={"min_accepted_fraction": 0.5},
    )
    done = build_here(job, tmp_path / "out")
    assert done.code == 1
    assert "only 1 of 3 rows were accepted" in done.err
    assert "limits.min_accepted_fraction (0.5)" in done.err


def test_no_row_accepted_is_still_a_whole_snapshot(tmp_path: Path) -> None:
    job = write_job(tmp_path, [row("river", "..."), row("castle", answer="?!")])
    done = build_here(job, tmp_path / "out")
    assert done.code == 0, done.err
    assert {place.state for place in ended(tmp_path / "out").values()} == {"rejected"}
    assert voxmill("verify", tmp_path / "out").code == 0


@pytest.mark.parametrize("name", ["with space", "größe", "😀", "a'b\"c", "100%", "semi;colon#x"])
def test_an_output_of_any_name_works(job: Path, tmp_path: Path, name: str) -> None:
    done = build_here(job, tmp_path / name)
    assert done.code == 0, done.err
    assert (tmp_path / name / "snapshots" / "v000001.json").exists()
    assert voxmill("verify", tmp_path / name).code == 0
    shown = next(line for line in done.err.splitlines() if line.startswith("Check every byte:"))
    assert shlex.split(shown)[3:] == ["voxmill", "verify", str(tmp_path / name)]


def test_a_file_address_is_an_output(job: Path, tmp_path: Path) -> None:
    done = voxmill("build", job, "--output", f"file://{tmp_path}/out", "--workers", "0", "--json")
    assert done.code == 0
    assert (tmp_path / "out" / "latest.json").exists()


def test_limit_reads_the_first_rows_and_the_whole_builds_on_it(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    few = build_here(job, tmp_path / "out", "--limit", "2")
    assert few.last_json["rows"] == 2
    whole = build_here(job, tmp_path / "out")
    assert whole.last_json["rows"] == 6
    assert whole.last_json["snapshot"] == "snapshots/v000002.json"
    assert whole.last_json["carried_rows"] == 2
    assert whole.last_json["computed_rows"]["synthesize"] == 8


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_says_how_to_go_on_and_goes_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    job = write_job(tmp_path, rows(64 * 3))
    output = tmp_path / "out"
    command = ("build", job, "--output", output, "--workers", "1", "--json")
    process = start(*command)
    deadline = time.monotonic() + 40
    while not list(output.glob("work/memo/synthesize-*/p000001/*.pack")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    stopped = finish(process)
    assert stopped.code == 130
    assert stopped.out == ""
    assert "interrupted" in stopped.err
    assert "run the same command to go on" in stopped.err
    assert "Traceback" not in stopped.err
    assert not (output / "snapshots").exists()
    if number == signal.SIGTERM:
        return
    resumed = voxmill(*command[:-2], "0", "--json")
    assert resumed.code == 0
    assert resumed.last_json["reused_rows"]["synthesize"] > 0
    assert 0 < resumed.last_json["computed_rows"]["synthesize"] < 2 * 64 * 3
    alone = build_here(job, tmp_path / "alone")
    assert resumed.last_json["identity"] == alone.last_json["identity"]


def test_run_json_keeps_what_was_printed(built: tuple[Path, Done]) -> None:
    record = json.loads((built[0] / "run.json").read_text(encoding="utf-8"))
    assert set(record) >= KEYS
    assert record["identity"] == built[1].last_json["identity"]
