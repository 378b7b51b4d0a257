"""A suite of expectations stands between a snapshot and its readers."""

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.settings.job import JobSettings
from jobs.settings.jobfile import load_job
from pipelines.damage import all_damage
from pipelines.expectations.great import run_suite
from pipelines.expectations.judge import read_results
from pipelines.expectations.suite import FORMAT, parse_suite
from pipelines.expectations.tables import COLUMNS
from schemas.errors import SettingsError
from schemas.measures import BY_NAME
from schemas.snapshot import current_version, expectations_path, read_snapshot
from schemas.store import FileStore
from tests.jobs.small import build_here, files, row, rows, voxmill, write_job

BETWEEN = "expect_column_values_to_be_between"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("something wants the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def suite(**tables: Any) -> dict[str, Any]:
    return {"format": FORMAT, "tables": tables}


def expect(column: str, what: str = BETWEEN, **kwargs: Any) -> dict[str, Any]:
    return {"type": what, "kwargs": {"column": column, **kwargs}}


def job_with(folder: Path, document: Any, **sections: Any) -> Path:
    """A job whose suite is ``document``; a string stands as it is."""
    job = write_job(folder, **sections, expectations={"suite": "suite.yaml"})
    write(folder, document)
    return job


def write(folder: Path, document: Any) -> None:
    text = document if isinstance(document, str) else yaml.safe_dump(document)
    (folder / "suite.yaml").write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_latest_waits_for_the_suite_and_a_mended_one_publishes_without_computing(
    tmp_path: Path,
) -> None:
    wanted = suite(
        corpus=[expect("hours", min_value=100), expect("accepted", min_value=1)],
        turns=[expect("loudness_lufs", min_value=-60, max_value=0), expect("snr_db", min_value=99)],
    )
    lines = [*rows(4), row("punctuation", "?!"), "this line is not JSON"]
    job, output = job_with(tmp_path, wanted, lines=lines), tmp_path / "out"
    done = build_here(job, output)
    store = FileStore(output)
    assert done.code == 1
    assert "2 expectations are not met" in done.err
    assert "corpus: hours" in done.err
    assert "turns: snr_db" in done.err
    assert not (output / "latest.json").exists()
    manifest = read_snapshot(store, 1)
    assert manifest["counts"]["accepted"] == 4
    assert current_version(store) is None  # a reader who finds no pointer is told, too
    assert list(all_damage(store, manifest)) == []
    results = read_results(store, 1)
    assert results is not None
    assert (results["success"], results["failed"]) == (False, 2)
    assert [item["success"] for item in results["results"]] == [False, True, True, False]
    assert results["results"][3]["unexpected_count"] == 8
    assert results["results"][3]["examples"]

    before = files(output, "shards") | files(output, "snapshots")
    write(tmp_path, suite(corpus=[expect("hours", min_value=0.0001)]))
    again = build_here(job, output, "--json")
    assert again.code == 0, again.err
    assert sum(json.loads(again.out.splitlines()[-1])["computed_rows"].values()) == 0
    assert json.loads((output / "latest.json").read_text())["version"] == 1
    assert files(output, "shards") | files(output, "snapshots") == before
    assert current_version(store) == 1

    (output / "latest.json").unlink()  # the results say that readers may have it
    assert current_version(store) == 1
    (output / expectations_path(1)).unlink()
    assert current_version(store) is None


@pytest.mark.slow
def test_the_generated_suite_holds_for_its_own_job_and_its_file_can_be_edited(
    tmp_path: Path,
) -> None:
    gates = [
        {"measure": "loudness_lufs", "min": -50, "langs": ["en"]},
        {"measure": "snr_db", "outlier_mad": 9},
    ]
    lines = [*rows(4), row("punctuation", "?!")]
    job, output = write_job(tmp_path, lines, gates=gates, expectations=True), tmp_path / "out"
    assert build_here(job, output).code == 0
    results = read_results(FileStore(output), 1)
    assert results is not None
    assert results["success"]
    assert not any(item["error"] for item in results["results"])
    assert {item["table"] for item in results["results"]} == set(COLUMNS)
    gated = [item for item in results["results"] if item["because"] == "a gate of the job"]
    assert [item["kwargs"]["row_condition"] for item in gated] == ['col("lang")=="en"']
    text = voxmill("expectations", job).out
    assert parse_suite(text, "x").digest == results["suite"]


@pytest.mark.slow
def test_what_cannot_be_asked_has_failed_with_its_error_and_data_docs_are_kept(
    tmp_path: Path,
) -> None:
    job, output = write_job(tmp_path, rows(2)), tmp_path / "out"
    assert build_here(job, output).code == 0
    store = FileStore(output)
    odd = expect("accepted", "expect_column_values_to_match_strftime_format", strftime_format="%Y")
    asked = parse_suite(yaml.safe_dump(suite(corpus=[expect("rows", min_value=2), odd])), "x")
    ran = run_suite(asked, store, read_snapshot(store, 1), docs=True)
    assert [item["success"] for item in ran.results] == [True, False]
    assert ran.results[1]["error"]
    assert "index.html" in ran.docs


BAD = [
    ("[", "neither YAML nor JSON"),
    ("just words", "wanted 'voxmill-expectations-1'"),
    ({"format": "other"}, "got format 'other'"),
    ({**suite(turns=[]), "more": 1}, "unknown keys ['more']"),
    (suite(), "wanted 'tables', some of"),
    (suite(turn=[]), "no table 'turn'"),
    (suite(turns={}), "wanted a list"),
    (suite(turns=["x"]), "wanted type and kwargs"),
    (suite(turns=[{"type": BETWEEN, "kwarg": {}}]), "unknown keys ['kwarg']"),
    (suite(turns=[expect("loudness", min_value=1)]), "did you mean 'loudness_lufs'"),
    (
        suite(
            turns=[
                {
                    "type": "expect_compound_columns_to_be_unique",
                    "kwargs": {"column_list": ["key", "trun"]},
                }
            ]
        ),
        "no column 'trun'",
    ),
    (suite(turns=[expect("voice", "expect_nonsense")]), "tables.turns[0] (expect_nonsense)"),
    (suite(turns=[expect("voice", lowest=1)]), "lowest"),
]


@pytest.mark.parametrize(("document", "told"), BAD)
def test_a_suite_that_cannot_be_asked_is_an_error_before_the_build(
    document: Any, told: str, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    done = build_here(job_with(tmp_path, document), output)
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err
    assert not output.exists()


def test_a_suite_that_is_not_there_is_told_with_how_to_get_one(tmp_path: Path) -> None:
    job = write_job(tmp_path, expectations={"suite": "nowhere.yaml"})
    done = build_here(job, tmp_path / "out")
    assert done.code == 2
    assert "voxmill expectations" in done.err


def test_where_the_library_is_missing_only_a_job_that_asks_for_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "great_expectations", None)
    done = build_here(write_job(tmp_path / "asks", expectations=True), tmp_path / "out")
    assert done.code == 2
    assert "voxmill[expectations]" in done.err
    job = load_job(write_job(tmp_path / "off", expectations="off"))
    assert isinstance(job, JobSettings)
    assert job.expectations is None
    assert build_here(tmp_path / "off" / "job.yaml", tmp_path / "out").code == 0


def test_the_turns_have_a_column_for_every_measure_of_the_catalogue() -> None:
    assert set(BY_NAME) <= set(COLUMNS["turns"])


def test_a_suite_is_the_same_in_json(tmp_path: Path) -> None:
    wanted = suite(turns=[expect("snr_db", min_value=3)])
    assert (
        parse_suite(json.dumps(wanted), "x").digest
        == parse_suite(yaml.safe_dump(wanted), "y").digest
    )
    with pytest.raises(SettingsError):
        parse_suite("{", "x")
