"""What the page says of unit sets: each one's own contract, and counts where they belong."""

import re
from typing import Any

import numpy as np
import pytest

from jobs.report.codes import CodeUse
from jobs.report.corpus import Corpus, UnitUse
from jobs.report.render import environment
from jobs.report.samples import turn_units
from schemas.shard import durations_suffix, npy, units_suffix
from schemas.unitset import UnitSet
from transforms.voices import VoiceBank


def unit_set(name: str, **changes: object) -> UnitSet:
    plain: dict[str, object] = {
        "name": name,
        "sample_rate_hz": 16000,
        "window_samples": 400,
        "hop_samples": 320,
        "num_codebooks": 1,
        "codebook_size": 100,
        "collapse": "run_length",
        "roles": ["assistant"],
        "model": "some",
        "model_sha256": "ab" * 32,
        "centroids_sha256": "cd" * 32,
    }
    return UnitSet.from_json({**plain, **changes})


def section(*sets: UnitSet) -> str:
    corpus = Corpus(VoiceBank(()), [])
    corpus.units = UnitUse(utterances=12, units=4321, frames=9000, seconds=180.0)
    use = CodeUse(samples=3, counts=np.array([5, 0, 5]))
    page = environment().get_template("units.html.j2")
    text = page.render(units=[(item, use) for item in sets], corpus=corpus)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


@pytest.mark.parametrize(
    ("changes", "formula"),
    [
        ({}, "(n - 400) // 320 + 1"),
        ({"grid": "ceil", "hop_samples": 1920, "model_rate_hz": 24000}, "ceil(n / 1920), n at 24"),
        ({"grid": "mel", "window_samples": 160, "hop_samples": 640}, "ceil((n // 160) / 4)"),
    ],
)
def test_the_formula_of_frames_is_that_of_the_grid(
    changes: dict[str, object], formula: str
) -> None:
    assert formula in section(unit_set("one", **changes))


def test_what_the_index_counts_stands_at_the_set_that_it_counts() -> None:
    text = section(unit_set("old"), unit_set("new"))
    assert text.count("4,321") == 1
    assert text.index("new") < text.index("4,321")


@pytest.mark.parametrize(
    ("collapse", "words"),
    [
        ("run_length", "runs are one unit, with durations"),
        ("run_length_lost", "runs are one unit, and nobody kept their durations"),
        ("none", "none: a unit per frame"),
    ],
)
def test_the_collapse_is_told(collapse: str, words: str) -> None:
    assert words in section(unit_set("one", collapse=collapse))


def test_a_set_without_centroids_says_so_and_codes_of_one_codebook_are_told_as_such() -> None:
    text = section(unit_set("codec", num_codebooks=8, centroids_sha256="", collapse="none"))
    assert "centroids none" in text
    assert "first of 8 codebooks" in text


def test_a_rows_codes_are_of_the_set_whose_count_stands_beside_them() -> None:
    manifest: Any = {"unit_sets": [{"name": "old"}, {"name": "new"}]}
    place = (1, "assistant")
    members = {
        units_suffix(*place, "old"): npy(np.array([[9, 8, 7]], np.int16)),
        units_suffix(*place, "new"): npy(np.array([[4, 2], [0, 1]], np.int16)),
        durations_suffix(*place, "new"): npy(np.array([3, 5], np.int32)),
    }
    turn = {"turn": 1, "role": "assistant", "num_units": 2, "num_frames": 8}
    assert turn_units(manifest, members, turn) == {
        "codes": [4, 2],
        "durations": [3, 5],
        "num_units": 2,
        "num_frames": 8,
    }
