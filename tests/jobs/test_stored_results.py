"""What other steps store beside a snapshot, as the page reads it: expectations and estimates."""

import json
from typing import Any

import pytest

from jobs.report.expected import expected_of, read_expected
from jobs.report.guessed import guesses_of, read_guesses
from jobs.report.render import render_report
from schemas.snapshot import expectations_path
from schemas.store import FileStore
from tests.jobs.conftest import IMAGE, SCRIPT, TinyCorpus

RESULTS: list[Any] = [
    {
        "table": "samples",
        "type": "expect_column_values_to_be_unique",
        "kwargs": {"column": "key"},
        "because": "keys are ids",
        "success": True,
        "unexpected_count": 0,
        "element_count": 9,
        "examples": [],
    },
    {
        "table": "samples",
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": IMAGE, "min_value": 0, "max_value": 4},
        "because": SCRIPT,
        "success": False,
        "unexpected_count": 2,
        "element_count": 9,
        "examples": [SCRIPT],
    },
    "not a result",
]
FIGURES = {
    "figures": [
        {"name": "wall_time", "unit": "s", "estimate": 90.0, "truth": 120.0, "basis": "rates"},
        {"name": "money", "unit": "USD", "estimate": None, "truth": None, "basis": IMAGE},
        {"name": "speech", "unit": "core h", "estimate": 0.01, "truth": 0.02, "basis": ""},
        {"name": "rows", "unit": "", "estimate": 12345.0, "truth": 0.0, "basis": ""},
        None,
    ],
    "not_known": ["no price file", SCRIPT],
    "complete": False,
}


def test_failed_expectations_come_first_with_what_was_seen() -> None:
    expected = expected_of({"results": RESULTS})
    assert (expected.total, expected.failed) == (2, 1)
    first, second = expected.results
    assert first.wanted == "min_value 0, max_value 4"
    assert first.seen.startswith("2 of 9 unexpected, such as")
    assert (second.on, second.name) == ("key", "column values to be unique")


def test_a_guess_stands_beside_the_truth() -> None:
    found = guesses_of(FIGURES)
    assert [(row.name, row.guess, row.truth, row.off) for row in found.rows] == [
        ("wall time", "90", "120", "-25%"),
        ("money", "", "", ""),
        ("speech", "36", "72", "-50%"),
        ("rows", "12,345", "0", ""),
    ]
    assert [row.unit for row in found.rows] == ["s", "USD", "core s", ""]
    assert not found.complete


@pytest.mark.parametrize("text", ["", "[]", "{", '{"figures": 3, "not_known": {}, "results": "x"}'])
def test_what_cannot_be_read_is_as_if_it_were_not_there(
    tiny_corpus: TinyCorpus, tmp_path: Any, text: str
) -> None:
    store = FileStore(tmp_path)
    store.put("estimate.json", text.encode())
    store.put(expectations_path(1), text.encode())
    assert read_expected(store, tiny_corpus.manifest) is None
    found = read_guesses(store)
    assert found is None or not found.rows


def test_results_of_another_snapshot_are_not_shown(tiny_corpus: TinyCorpus, tmp_path: Any) -> None:
    store = FileStore(tmp_path)
    for identity, shown in (("another", False), (tiny_corpus.manifest["identity"], True)):
        value = {"identity": identity, "results": RESULTS}
        store.put(expectations_path(1), json.dumps(value).encode())
        assert (read_expected(store, tiny_corpus.manifest) is not None) == shown


def test_both_are_on_the_page_and_their_texts_stay_texts(tiny_corpus: TinyCorpus) -> None:
    t = tiny_corpus
    value = {"identity": t.manifest["identity"], "results": RESULTS}
    written = {"estimate.json": FIGURES, expectations_path(t.manifest["version"]): value}
    assert isinstance(t.store, FileStore)
    before = {name: t.store.get(name) if t.store.size(name) else None for name in written}
    try:
        for name, document in written.items():
            t.store.put(name, json.dumps(document).encode())
        html = render_report(
            t.store, t.manifest, {"build_id": t.manifest["build_id"]}, [], t.corpus
        )
    finally:
        for name, data in before.items():
            if data is None:
                (t.store.root / name).unlink()
            else:
                t.store.put(name, data)
    assert "1 of 2 expectations failed." in html
    assert "Not fit to train on as it is" in html
    assert "-25%" in html
    assert "no price file" in html
    assert html.count("<script>") == 1
    assert IMAGE not in html
