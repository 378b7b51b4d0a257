"""The report: complete in itself, safe with hostile text, and true to the snapshot."""

import base64
import dataclasses
import hashlib
import io
import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from jobs.report.chosen import SHOWN_SAMPLES, Chosen
from jobs.report.histogram import MAX_BINS, Histogram, Smallest, shared_level
from jobs.report.reading import index_rows, read_sample
from jobs.report.render import render_report
from jobs.report.samples import Budget
from jobs.report.views import reason_bars, stages, voice_tables
from jobs.report.waveform import blocks, peaks, waveform_path
from schemas.errors import DamageError
from tests.jobs.conftest import IMAGE, SCRIPT, TinyCorpus
from tests.jobs.indexed import flat_of, indexed

RUN = {
    "computed": {"rewrite": 22, SCRIPT: 1},
    "busy_s": {"rewrite": 0.25},
    "stage_s": {"rows to verdicts": 1.5},
    "engine": IMAGE,
    "unheard_of": [1, 2],
}
ADDRESSES = ("src", "href", "srcset", "poster", "action", "data", "formaction", "background")
Attributes = list[tuple[str, str | None]]


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.by_id: dict[str, str] = {}
        self._id = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._id = dict(attrs).get("id") or ""

    @property
    def pictures(self) -> int:
        """Images that are spectrograms inside the page."""
        sources = [value for tag, name, value in self.attributes if (tag, name) == ("img", "src")]
        return sum(value.startswith("data:image/png;base64,") for value in sources)

    def handle_data(self, data: str) -> None:
        if self._id:
            self.by_id.setdefault(self._id, data)


@pytest.fixture(scope="module")
def html(tiny_corpus: TinyCorpus) -> str:
    t = tiny_corpus
    return render_report(t.store, t.manifest, RUN, t.exhibits, t.corpus)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_page_asks_for_nothing_from_elsewhere(html: str, page: Page) -> None:
    for tag, name, value in page.attributes:
        if name in ADDRESSES:
            assert value.startswith(("#", "data:")), (tag, name, value[:80])
    assert not page.tags.keys() & {"iframe", "object", "embed", "base", "form"}
    styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert len(styles) == page.tags["style"] == 1
    assert "url(" not in styles[0]
    assert "@import" not in styles[0]


def test_hostile_text_stays_text(tiny_corpus: TinyCorpus, html: str, page: Page) -> None:
    hostile = tiny_corpus.rejected("code")
    assert any(SCRIPT in turn["text"] for turn in hostile["turns"])  # so the page does show it
    assert hostile["id"] in html
    assert "&lt;script&gt;" in html
    assert page.tags["script"] == 1
    assert page.pictures == page.tags["img"]
    assert not [item for item in page.attributes if item[1].startswith("on")]


def test_no_value_of_a_row_can_leave_its_place(tiny_corpus: TinyCorpus) -> None:
    """Every text of the corpus made hostile, also those that stand in attributes."""
    t = tiny_corpus
    corpus = dataclasses.replace(t.corpus)
    hostile = {("eval", IMAGE): next(iter(corpus.places.values()))}
    corpus.places = {**corpus.places, **hostile}
    corpus.voices = {
        **corpus.voices,
        ("eval", "en", "user", IMAGE, SCRIPT): next(iter(corpus.voices.values())),
    }
    corpus.failed_classes = Counter({(IMAGE, SCRIPT): 1})
    settings = {**t.manifest["settings"], "name": f"</title>{SCRIPT}", "note": f"</pre>{IMAGE}"}
    manifest = {**t.manifest, "settings": settings}
    exhibits = [{**item, "voice": IMAGE, "spoken_text": SCRIPT} for item in t.exhibits]
    page = Page(render_report(t.store, manifest, RUN, exhibits, corpus))  # type: ignore[arg-type]
    assert page.tags["script"] == 1
    assert page.pictures == page.tags["img"]
    assert not [item for item in page.attributes if item[1].startswith("on")]


def test_the_only_script_is_the_one_that_the_policy_allows(html: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    wanted = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{wanted}'" in html


def test_every_shown_sample_can_be_heard_at_its_indexed_length(
    tiny_corpus: TinyCorpus, page: Page
) -> None:
    t = tiny_corpus
    heard = [
        soundfile.info(io.BytesIO(base64.b64decode(value.removeprefix("data:audio/flac;base64,"))))
        for tag, name, value in page.attributes
        if (tag, name) == ("audio", "src")
    ]
    assert {info.format for info in heard} == {"FLAC"}
    rows = t.corpus.chosen.samples()
    keys = {row["key"] for row in rows}
    odd = [item.row for item in t.corpus.chosen.odd_ones()]
    rows += [row for row in odd if row["key"] not in keys]
    wanted = [turn["duration_s"] for row in rows for turn in row["turns"]]
    wanted += [
        next(m["value"] for m in item["measures"] if m["name"] == "duration_s")
        for item in t.exhibits
    ]
    lengths = sorted(info.frames / info.samplerate for info in heard)
    assert lengths == pytest.approx(sorted(wanted), abs=1e-6)


def test_the_numbers_are_the_manifests(tiny_corpus: TinyCorpus, page: Page) -> None:
    manifest = tiny_corpus.manifest
    for name in ("accepted", "rejected", "failed"):
        assert page.by_id[f"rows-{name}"] == str(manifest["counts"][name])
    assert page.by_id["rows-read"] == str(manifest["counts"]["rows"])
    seconds = sum(shard["seconds"] for shard in manifest["shards"])
    assert page.by_id["hours"] == f"{seconds / 3600:.2f}"


def test_the_funnel_ends_at_the_accepted_rows(tiny_corpus: TinyCorpus) -> None:
    counts = tiny_corpus.manifest["counts"]
    funnel = stages(tiny_corpus.manifest, tiny_corpus.corpus)
    assert funnel[0].left == counts["rows"]
    assert funnel[-1].left == counts["accepted"]
    assert sum(bar.first for bar in reason_bars(tiny_corpus.corpus)) == counts["rejected"]


def test_the_index_and_the_manifest_agree(tiny_corpus: TinyCorpus) -> None:
    corpus, manifest = tiny_corpus.corpus, tiny_corpus.manifest
    assert sum(a.samples for a in corpus.places.values()) == manifest["counts"]["accepted"]
    for table in voice_tables(corpus):
        assert sum(row.share for row in table.rows) == pytest.approx(1.0)
        assert sum(row.asked or 0.0 for row in table.rows) == pytest.approx(1.0)


def test_what_is_shown_covers_each_split_language_and_a_dialogue(tiny_corpus: TinyCorpus) -> None:
    corpus = tiny_corpus.corpus
    shown = corpus.chosen.samples()
    assert len(shown) <= SHOWN_SAMPLES
    assert {(row["split"], row["lang"]) for row in shown} == set(corpus.places)
    assert any(len(row["turns"]) > 2 for row in shown)


def test_the_rare_kinds_are_shown_among_many_rows() -> None:
    chosen = Chosen()
    rows = [
        indexed(
            f"k{number}",
            split="eval" if number in (17, 290) else "train",
            num_turns=4 if number == 123 else 2,
        )
        for number in range(400)
    ]
    for start in range(0, 400, 150):
        chosen.see(flat_of(rows[start : start + 150]))
    shown = {row["key"] for row in chosen.samples()}
    assert len(shown) == SHOWN_SAMPLES
    assert "k123" in shown
    assert shown & {"k17", "k290"}


def test_a_gate_that_judges_nothing_is_counted_so(tiny_corpus: TinyCorpus) -> None:
    length, loudness = tiny_corpus.corpus.gates
    accepted = tiny_corpus.manifest["counts"]["accepted"]
    chinese = sum(a.samples for (_, lang), a in tiny_corpus.corpus.places.items() if lang == "zh")
    assert (length.judged, length.unchecked, length.outside) == (accepted, 0, 0)
    assert (loudness.judged, loudness.outside) == (chinese, accepted - chinese)
    assert length.rejected == tiny_corpus.corpus.first_reasons["select", "duration_s"] > 0


def test_failed_rows_name_their_file_and_line(tiny_corpus: TinyCorpus, html: str) -> None:
    (failed,) = tiny_corpus.corpus.failed
    assert failed["origin"] == "rows.jsonl:3"
    assert failed["origin"] in html
    assert "MalformedRow" in html


def test_the_page_is_the_same_again_and_needs_no_run(tiny_corpus: TinyCorpus) -> None:
    t = tiny_corpus
    first = render_report(t.store, t.manifest, {}, [])
    assert first == render_report(t.store, t.manifest, {}, [])
    assert "no record of the run" in first


def test_damage_is_not_shown_as_a_sample(tiny_corpus: TinyCorpus) -> None:
    row = next(index_rows(tiny_corpus.store, tiny_corpus.manifest))
    with pytest.raises(DamageError, match="crc32c"):
        read_sample(tiny_corpus.store, {**row, "crc32c": row["crc32c"] ^ 1})


def test_audio_beyond_the_budget_is_left_out_and_counted() -> None:
    budget = Budget(100)
    assert [budget.takes(size) for size in (60, 60, 40)] == [True, False, True]
    assert budget.left_out == 1


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
def test_a_histogram_does_not_depend_on_order(values: list[float]) -> None:
    one, other = Histogram(), Histogram()
    for value in values:
        one.add(value)
    for value in sorted(values, reverse=True):
        other.add(value)
    assert one == other
    assert one.num_bins <= MAX_BINS
    level = shared_level([one], 40)
    assert sum(one.binned(level).values()) == len(values)
    exact = sorted(values)[max(0, -(-len(values) // 2) - 1)]
    assert exact - 2.0**one.level <= one.quantile(0.5) <= exact
    assert one.min <= one.quantile(0.0)
    assert one.quantile(1.0) <= one.max


@given(st.sets(st.text(max_size=8), max_size=40), st.integers(0, 10))
def test_the_sample_of_keys_does_not_depend_on_order(keys: set[str], size: int) -> None:
    one, other = Smallest[str](size), Smallest[str](size)
    for key in sorted(keys):
        one.add(key, key)
    for key in sorted(keys, reverse=True):
        other.add(key, key)
    assert one.items() == other.items()
    assert len(one.items()) == min(size, len(keys))


@given(st.lists(st.integers(-32768, 32767), max_size=300), st.integers(1, 80))
def test_peaks_hold_the_extremes_of_every_column(values: list[int], columns: int) -> None:
    samples = np.array(values, np.int16)
    found = peaks(samples, columns)
    assert len(found) == min(columns, len(values))
    if values:
        assert (found[:, 0].min(), found[:, 1].max()) == (min(values), max(values))
    path = waveform_path(samples, columns, 40)
    tops = [float(top) for top in re.findall(r"M[\d.]+ ([\d.]+)v", path)]
    assert len(tops) == len(found)
    assert all(0 <= top <= 40 for top in tops)
    assert len(blocks(samples, columns)) == len(found)
