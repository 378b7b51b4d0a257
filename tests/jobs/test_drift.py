"""Drift: found where it is, silent where only chance is at work, the same in every order."""

import io
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import scipy.stats
from rich.console import Console

from jobs.commands.diff import as_json, print_diff
from jobs.report.corpus import Corpus
from jobs.report.counting import see
from jobs.report.distance import divergence, of_shares, of_values
from jobs.report.drift import Drift, drift_of
from jobs.report.histogram import Histogram
from schemas.snapshot import Manifest
from tests.jobs.conftest import TinyCorpus
from tests.jobs.indexed import flat_of, indexed
from tests.jobs.small import build_here, row, rows, voxmill, write_job
from transforms.voices import VoiceBank


def filled(values: Any) -> Histogram:
    histogram = Histogram()
    histogram.add_all(np.asarray(values, np.float64))
    return histogram


def test_ks_is_scipys() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(0, 1, 3000), rng.normal(0.3, 1.2, 2000)
    wanted = scipy.stats.ks_2samp(one, other).statistic
    assert of_values(filled(one), filled(other)).ks == pytest.approx(wanted, abs=0.01)


def test_psi_of_known_shares() -> None:
    found = of_shares({"a": 5000, "b": 5000}, {"a": 8000, "b": 2000})
    wanted = 0.3 * np.log(0.8 / 0.5) + -0.3 * np.log(0.2 / 0.5)
    assert found.psi == pytest.approx(wanted, abs=1e-3)
    assert found.level == "large"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("sizes", [(60, 40), (5000, 3000)])
def test_chance_alone_is_no_drift(seed: int, sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    one, other = (rng.gamma(4.0, 1.0, size) for size in sizes)
    assert of_values(filled(one), filled(other)).level == "none"


def test_a_shift_is_small_large_or_none_by_its_size() -> None:
    rng = np.random.default_rng(3)
    one = rng.normal(10, 2, 5000)
    levels = [
        of_values(filled(one), filled(rng.normal(10 + move, 2, 5000))).level
        for move in (0.0, 0.7, 2.0)
    ]
    assert levels == ["none", "some", "large"]


def test_values_that_never_vary_and_values_of_few_kinds_are_compared() -> None:
    ones = filled(np.ones(200))
    assert of_values(ones, ones).level == "none"
    assert of_values(ones, filled(np.full(200, 7.0))).level == "large"
    assert of_values(ones, filled([0.0] * 60 + [1.0] * 140)).level == "large"


def test_what_leaves_the_most_frequent_value_is_seen_wherever_that_value_lies() -> None:
    rest = np.linspace(1.0, 90.0, 40)
    for usual in (100.0, 50.5, 0.0):
        one = filled(np.concatenate([np.full(1900, usual), rest, rest + 1.0, rest[:20]]))
        other = filled(np.concatenate([np.full(1500, usual), *[rest, rest + 1.0] * 6, rest[:20]]))
        found = of_values(one, other)
        assert found.psi > 0.25
        assert found.level == "large"


def test_words_of_two_texts_diverge_between_nothing_and_one_bit() -> None:
    assert divergence({"a": 3, "b": 3}, {"a": 1, "b": 1}) == pytest.approx(0.0, abs=1e-9)
    assert divergence({"a": 3}, {"b": 2}) == pytest.approx(1.0)


def corpus_of(lines: list[dict[str, Any]], **changes: Any) -> Corpus:
    corpus = Corpus(VoiceBank(()), [])
    for start in range(0, len(lines), 70):
        see(corpus, flat_of(lines[start : start + 70]), 1.0)
    for name, value in changes.items():
        setattr(corpus, name, value)
    return corpus


def compared(one: Corpus, other: Corpus, tiny: TinyCorpus) -> Drift:
    sides: list[tuple[str, Manifest, Corpus]] = [
        ("one", tiny.manifest, one),
        ("other", tiny.manifest, other),
    ]
    return drift_of(sides[0], sides[1])


def spoken(number: int, *, slower: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(number)
    voice = ("ann", "bob")[number % 2]
    rate = rng.normal(12, 1) - 4 * (slower and voice == "bob")
    return indexed(f"k{number}", measures={"chars_per_s": rate, "dc": 0.5}, voice=voice)


def test_the_voice_that_slowed_down_is_named(tiny_corpus: TinyCorpus) -> None:
    before = corpus_of([spoken(n) for n in range(300)])
    now = corpus_of([spoken(n, slower=True) for n in range(300, 600)])
    drift = compared(before, now, tiny_corpus)
    assert drift.drifted
    assert [(s.name, s.on) for s in drift.by_voice] == [("chars_per_s", "bob")]
    assert {s.name for s in drift.shifts if s.distance.level != "none"} == {"chars_per_s"}
    assert drift.shifts[0].name == "chars_per_s"
    assert drift.shifts[0].moved < 0


def test_equal_corpora_do_not_drift_in_any_order(tiny_corpus: TinyCorpus) -> None:
    lines = [spoken(n) for n in range(200)]
    drift = compared(corpus_of(lines), corpus_of(lines[::-1]), tiny_corpus)
    assert not drift.drifted
    assert drift.of("some") == 0
    assert all(shift.distance.ks == 0 for shift in drift.shifts)


def test_new_reasons_measures_voices_and_words_are_told(tiny_corpus: TinyCorpus) -> None:
    one = corpus_of(
        [indexed(f"a{n}", measures={"old": 1.0}, text="a cat sat") for n in range(90)],
        all_reasons=Counter({("respond", "code"): 3}),
    )
    other = corpus_of(
        [indexed(f"b{n}", measures={"new": 1.0}, text="a dog sat", voice="two") for n in range(90)],
        all_reasons=Counter({("select", "asr_wer"): 3}),
    )
    drift = compared(one, other, tiny_corpus)
    assert drift.new_reasons == ["select: asr_wer"]
    assert drift.gone_reasons == ["respond: code"]
    assert (drift.only_before, drift.only_now) == (["old"], ["new"])
    assert (drift.words[0].more, drift.words[0].fewer) == (["dog"], ["cat"])
    voices = {m.name: m.distance.level for m in drift.mixtures if m.name.startswith("voices")}
    assert set(voices.values()) == {"large"}
    assert drift.drifted


def test_a_single_rejection_that_is_gone_is_no_drift(tiny_corpus: TinyCorpus) -> None:
    lines = [spoken(n) for n in range(90)]
    once = Counter({("respond", "code"): 1})
    before = corpus_of(lines, first_reasons=once, all_reasons=once)
    drift = compared(before, corpus_of(lines), tiny_corpus)
    assert drift.gone_reasons == ["respond: code"]
    assert not drift.drifted


def test_a_median_that_moves_from_values_without_spread_has_no_number_of_ranges(
    tiny_corpus: TinyCorpus,
) -> None:
    same, moved = (
        corpus_of([indexed(f"k{n}", measures={"dc": value}) for n in range(90)])
        for value in (0.5, 7.0)
    )
    drift = compared(same, moved, tiny_corpus)
    (shift, *_) = (shift for shift in drift.shifts if shift.name == "dc")
    assert (shift.before, shift.now, shift.distance.level) == (0.5, 7.0, "large")
    assert math.isnan(shift.moved)
    assert as_json(drift)["shifts"][0]["moved"] is None
    told = io.StringIO()
    print_diff(drift, Console(file=told, width=200))
    assert "nan" not in told.getvalue()
    still = compared(same, same, tiny_corpus)
    assert {shift.moved for shift in still.shifts} == {0.0}


def test_every_gate_of_a_measure_is_compared_with_all_that_it_says(
    tiny_corpus: TinyCorpus,
) -> None:
    def job(*gates: dict[str, Any]) -> Manifest:
        return cast(Manifest, {**tiny_corpus.manifest, "settings": {"gates": list(gates)}})

    outlier = {"measure": "snr_db", "outlier_mad": 6.0, "side": "low", "min": None}
    before = job({"measure": "snr_db", "min": 5}, {**outlier, "tolerance": 8.0})
    now = job({"measure": "snr_db", "min": 9}, {**outlier, "tolerance": 3.0})
    corpus = corpus_of([spoken(1)])
    (changed,) = drift_of(("one", before, corpus), ("other", now, corpus)).settings
    assert changed[0] == "gates: snr_db"
    for words, least, tolerance in ((changed[1], "min 5", "8"), (changed[2], "min 9", "3")):
        assert least in words
        assert f"outlier_mad 6, side low, tolerance {tolerance}" in words
    quiet = {"measure": "snr_db", "min": 5}
    one = job({**quiet, "voices": ["ann"]}, quiet)
    other = job({**quiet, "voices": ["bob"]}, quiet)
    found = drift_of(("one", one, corpus), ("other", other, corpus)).settings
    assert [name for name, _, _ in found] == ["gates: snr_db ann", "gates: snr_db bob"]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of two versions: the second has more rows, and other settings."""
    folder = tmp_path_factory.mktemp("versions")
    corpus = folder / "corpus"
    assert build_here(write_job(folder, rows(4)), corpus).code == 0
    more = [*rows(6), row("code", answer="`x = 1`" * 9)]
    job = write_job(
        folder, more, splits={"eval_fraction": 0.0}, respond={"max_chars": {"default": 99}}
    )
    assert build_here(job, corpus).code == 0
    return corpus


def test_two_versions_of_a_corpus_are_compared(versions: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = voxmill("diff", f"{versions}@v000001", f"{versions}@2", "--json", "--html", page)
    value = done.last_json
    assert done.code == 1, done.err  # a reason that was not there before
    assert value["new_reasons"] == ["respond: too_long"]
    assert (value["before"]["version"], value["now"]["version"]) == (1, 2)
    assert ["respond.max_chars.default", "260", "99"] in value["settings"]
    assert 'id="drift"' in page.read_text("utf-8")
    json.dumps(value, allow_nan=False)


def test_a_corpus_beside_itself_has_not_drifted(versions: Path) -> None:
    done = voxmill("diff", versions, versions)
    assert done.code == 0, done.err
    assert "0 large differences" in done.out
    assert "new reasons" not in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["diff", "CORPUS@v000009", "CORPUS"], "no version 9; there are 1, 2"),
        (["diff", "CORPUS", "nowhere/at/all"], "no snapshot there"),
        (["report", "CORPUS@1", "--version", "2"], "two versions; give one"),
        (["report", "CORPUS", "--output", "/proc/no/page.html"], "cannot be written"),
        (["card", "CORPUS", "--license", "nothing=mit"], "nothing here is named so"),
    ],
)
def test_what_cannot_be_done_is_an_error_with_its_cure(
    versions: Path, arguments: list[str], words: str
) -> None:
    done = voxmill(*[item.replace("CORPUS", str(versions)) for item in arguments])
    assert done.code == 2
    assert words in done.err


def test_a_report_against_another_shows_its_drift(versions: Path, tmp_path: Path) -> None:
    done = voxmill("report", versions, "--against", f"{versions}@1", "--output", tmp_path, "--json")
    assert done.code == 0, done.err
    (page,) = tmp_path.glob("*.html")
    assert done.last_json["report"] == str(page)
    assert page.name == "small-v000002.html"
    text = page.read_text("utf-8")
    assert "respond: too_long" in text
    assert 'id="drift"' in text
