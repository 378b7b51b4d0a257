"""The estimate: what it is made of, what it says it does not know, and the truth beside it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.prices import read_prices
from jobs.rates import EMBEDDED, MIN_ROWS, is_embedded, rate_of
from schemas.errors import SettingsError
from tests.builders import BANK, pipeline, voice
from tests.jobs.small import build_here, rows, voxmill, write_job
from transforms.synthesize import Synthesize
from transforms.voices import VoiceBank


def figures(value: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in value["figures"]}


def test_a_rate_is_stated_measured_or_known_and_else_not_told() -> None:
    run = {"computed_rows": {"synthesize": MIN_ROWS}, "busy_s": {"synthesize": 5.0 * MIN_ROWS}}
    few = {"computed_rows": {"synthesize": MIN_ROWS - 1}, "busy_s": {"synthesize": 99.0}}
    assert rate_of("synthesize", False, {"synthesize": 0.5}, run).seconds_per_row == 0.5
    assert rate_of("synthesize", False, {}, run).seconds_per_row == 5.0
    assert rate_of("synthesize", True, {}, few).seconds_per_row == EMBEDDED["synthesize"]
    unknown = rate_of("synthesize", False, {}, few)
    assert unknown.seconds_per_row is None
    assert "estimate.rates" in unknown.basis


def test_a_step_on_a_backend_that_does_not_ship_has_no_rate_of_the_table() -> None:
    shipped = VoiceBank((voice("a", "en", "slt", backend="flite"),))
    other = VoiceBank((*shipped.voices, voice("b", "en", "low", backend="tone")))
    for bank, wanted in ((shipped, True), (other, False)):
        step = pipeline(bank=BANK).node("synthesize")
        assert isinstance(step, Synthesize)
        assert is_embedded(replace(step, bank=bank)) is wanted


def test_the_plan_tells_figures_and_what_has_no_price(tmp_path: Path) -> None:
    job = write_job(tmp_path, rows(40))
    done = voxmill("plan", str(job), "--output", str(tmp_path / "out"), "--json")
    assert done.code == 0, done.err
    told = done.last_json["estimate"]
    found = figures(told)
    assert found["rows"]["estimate"] == 40
    seconds = 40 * 2 * EMBEDDED["synthesize"]
    assert found["synthesize: time"]["estimate"] == pytest.approx(seconds / 3600)
    assert found["money"]["estimate"] is None
    assert any("cpu_hour" in line for line in told["not_known"])
    assert "not known: core hours" in done.err


def test_prices_make_money_and_a_missing_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text("currency: EUR\ncpu_hour: 3600\n")
    stated = dict.fromkeys(EMBEDDED, 1.0)
    job = write_job(tmp_path, rows(10), estimate={"prices": "prices.yaml", "rates": stated})
    done = voxmill("plan", str(job), "--output", str(tmp_path / "out"), "--json")
    told = done.last_json["estimate"]
    money = figures(told)["money"]
    core_s = sum(
        item["estimate"] * 3600 for name, item in figures(told).items() if name.endswith(": time")
    )
    assert core_s == pytest.approx(10 * 2 + 20 * 5)  # two steps over rows, five over utterances
    assert (money["estimate"], money["unit"]) == (pytest.approx(core_s), "EUR")
    assert money["basis"] == "what has a price"
    assert ["storage" in line for line in told["not_known"]] == [True]


@pytest.mark.parametrize("text", ["gpu_hours: 3", "cpu_hour: -1", "- 3", "a: b: c"])
def test_a_price_file_that_means_nothing_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(SettingsError, match="storage_gb_month"):
        read_prices(tmp_path / "prices.yaml")
    with pytest.raises(SettingsError, match=r"missing\.yaml"):
        read_prices(tmp_path / "missing.yaml")


def test_the_truth_stands_beside_the_estimate_after_a_build(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text("cpu_hour: 3600\nstorage_gb_month: 1000\n")
    job = write_job(tmp_path, rows(6), estimate={"prices": "prices.yaml"})
    done = build_here(job, tmp_path / "out")
    assert done.code == 0, done.err
    value = json.loads((tmp_path / "out" / "estimate.json").read_text())
    found = figures(value)
    assert value["complete"]
    assert found["rows"]["truth"] == 6
    assert found["speech"]["truth"] == pytest.approx(done.last_json["hours"], abs=1e-4)
    assert found["wall time"]["truth"] > 0
    assert found["synthesize: time"]["truth"] > 0
    times = [item["truth"] for name, item in found.items() if name.endswith(": time")]
    assert found["CPU"]["truth"] == pytest.approx(sum(times))
    assert found["money: core hours"]["truth"] == pytest.approx(3600 * sum(times))
    stored = found["money: storage, a month"]["truth"]
    assert stored == pytest.approx(found["shards"]["truth"])  # 1,000 a GB is one a MB
    assert found["money"]["truth"] == pytest.approx(3600 * sum(times) + stored)
    told = voxmill("inspect", str(tmp_path / "out"))
    assert "estimate: the whole corpus" in told.out
    assert "was" in told.out
    again = build_here(job, tmp_path / "out", "--set", "units.clusters=3")
    assert again.code == 0, again.err
    value = json.loads((tmp_path / "out" / "estimate.json").read_text())
    assert not value["complete"]
