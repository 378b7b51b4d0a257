"""The report in a real browser: it plays, filters, asks for nothing, and runs no row's script."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.report.data import gather
from jobs.report.render import render_report
from pipelines.outcome import OUTCOME
from schemas.canonical import sha256_hex
from schemas.snapshot import latest_snapshot
from schemas.store import FileStore
from tests.jobs.browser import Tab, browser, chromium
from tests.jobs.conftest import IMAGE, SCRIPT, TinyCorpus
from tests.jobs.small import build_here, manifest_of, row, rows, write_job

PROGRAM = chromium()
needs_chromium = pytest.mark.skipif(
    PROGRAM is None, reason="no Chromium here: apt-get install -y chromium"
)
SHOWN = "[...document.querySelectorAll('article.sample')].filter(card => !card.hidden)"
PLAY = """(async () => {
  const heard = [];
  for (const audio of document.querySelectorAll('audio')) {
    await new Promise((done, failed) => {
      audio.onloadedmetadata = done;
      audio.onerror = () => failed(new Error('cannot be decoded'));
      audio.load();
    });
    heard.push(audio.duration);
  }
  return heard;
})()"""
PLAY_TWO = """(async () => {
  const [one, other] = document.querySelectorAll('audio');
  await one.play();
  await new Promise(done => { one.ontimeupdate = () => one.currentTime > 0.05 && done(); });
  const line = one.closest('.said').querySelector('.now');
  const ran = !line.hidden && parseFloat(line.style.left) > 0;
  await other.play();
  await new Promise(done => setTimeout(done, 50));
  const stopped = one.paused && !other.paused;
  other.pause();
  return [ran, stopped];
})()"""
CLICK = """async (number) => {
  const audio = document.querySelectorAll('audio')[number];
  const heard = new Promise(done => {
    audio.onplaying = () => { done(audio.currentTime / audio.duration); audio.pause(); };
  });
  const track = audio.closest('.said').querySelector('.tracks');
  const box = track.getBoundingClientRect();
  const place = {bubbles: true, clientX: box.left + box.width / 2};
  track.dispatchEvent(new MouseEvent('click', place));
  return await heard;
}"""
RTL = "قل \u202emoc.live\u202c \u200bشيئا"
HOSTILE: list[Any] = [
    row("script", f"Say {SCRIPT} twice.", f"{SCRIPT} and {IMAGE} are text."),
    row("controls", "What is \x1b[31m\x00\x07 a bell?", "A bell is a thing that rings."),
    row("direction", RTL, RTL),
    row("megabyte", "Tell me more. " * 75_000, "No."),
    row("word", "a" * 5000, "b" * 5000),
    {**row("id", "What is an id?", "An id is a name."), "id": IMAGE * 4000},
    row("markup", "</script></style></article><h1>What now?", "Nothing at all is to be seen."),
    '{"instruction": "half a pair \\ud800 of letters", "output": "It is \\udfff broken."}',
    "<b onclick=alert(1)>this is no JSON",
    *rows(4),
]


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    assert PROGRAM is not None
    with browser(PROGRAM) as opened:
        yield opened


@pytest.fixture(scope="module")
def tiny_page(tiny_corpus: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    t = tiny_corpus
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(render_report(t.store, t.manifest, {}, t.exhibits, t.corpus), "utf-8")
    return path


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    done = build_here(write_job(folder, HOSTILE, name=f"</title>{SCRIPT}"), folder / "corpus")
    assert done.code == 0, done.err
    return folder / "corpus" / "report" / "index.html"


@needs_chromium
@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_fits_its_width_and_asks_for_nothing(
    tab: Tab, tiny_page: Path, width: int, dark: bool
) -> None:
    tab.open(tiny_page, width, dark=dark)
    assert tab.run("document.documentElement.scrollWidth <= innerWidth")
    ground = tab.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == dark
    assert tab.complaints == []
    assert tab.requests == []


@needs_chromium
def test_every_sound_loads_and_one_plays_at_a_time(
    tab: Tab, tiny_page: Path, tiny_corpus: TinyCorpus
) -> None:
    tab.open(tiny_page)
    heard = tab.run(PLAY)
    chosen = tiny_corpus.corpus.chosen
    rows = {row["key"]: row for row in chosen.samples()}
    rows |= {item.row["key"]: item.row for item in chosen.odd_ones()}
    turns = [turn for row in rows.values() for turn in row["turns"]]
    assert len(heard) == len(turns) + len(tiny_corpus.exhibits)
    for turn in turns:
        assert any(abs(turn["duration_s"] - seconds) < 0.01 for seconds in heard)
    assert tab.run(PLAY_TWO) == [True, True]
    assert tab.complaints == []
    assert tab.requests == []


@needs_chromium
def test_a_click_on_a_waveform_plays_from_there(tab: Tab, tiny_page: Path) -> None:
    tab.open(tiny_page)
    places = [tab.run(f"({CLICK})({number})") for number in range(6)]
    # from the middle, or from the start where Chromium cannot seek
    assert all(place < 0.1 or 0.4 < place < 0.7 for place in places), places
    assert sum(place > 0.4 for place in places) >= 3
    assert tab.complaints == []


@needs_chromium
def test_filters_show_what_is_asked_for(tab: Tab, tiny_page: Path, tiny_corpus: TinyCorpus) -> None:
    tab.open(tiny_page)
    every = tab.run(f"{SHOWN}.length")
    choose = """(label, value) => {
      const box = [...document.querySelectorAll('#filters label')]
        .find(item => item.textContent.trim().startsWith(label)).querySelector('select,input');
      box.value = box.options ? [...box.options].find(o => o.text.startsWith(value)).value : value;
      box.dispatchEvent(new Event('input', {bubbles: true}));
    }"""
    tab.run(f"({choose})('state', 'rejected')")
    states = tab.run(f"{SHOWN}.map(card => card.className)")
    assert 0 < len(states) < every
    assert set(states) == {"sample rejected"}
    tab.run(f"({choose})('reason', 'duration_s')")
    words = tab.run(f"{SHOWN}.map(card => card.querySelector('.why').textContent)")
    assert words
    assert all("duration_s" in text for text in words)
    assert tab.run("document.getElementById('filtered').textContent") == (
        f"{len(words)} of {every} shown"
    )
    tab.run(f"({choose})('words', 'no such words anywhere')")
    assert tab.run(f"{SHOWN}.length") == 0
    tab.run("document.querySelector('#filters button').click()")
    assert tab.run(f"{SHOWN}.length") == every
    key = next(row["key"] for row in tiny_corpus.corpus.chosen.samples())
    tab.run(f"({choose})('words', '{key}')")
    assert tab.run(f"{SHOWN}.length") == 1


@needs_chromium
def test_spectrograms_and_words_stand_under_the_waveforms(tab: Tab, tiny_page: Path) -> None:
    tab.open(tiny_page)
    tab.run("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    loaded = tab.run("""(async () => {
      const pictures = [...document.querySelectorAll('img.mel')];
      await Promise.all(pictures.map(picture => picture.decode()));
      return pictures.map(picture => picture.naturalWidth);
    })()""")
    assert len(loaded) == tab.run("document.querySelectorAll('.wave').length")
    assert all(width > 50 for width in loaded)
    inside = tab.run("""[...document.querySelectorAll('.aligned span')].every(word => {
      const track = word.closest('.tracks').getBoundingClientRect();
      const box = word.getBoundingClientRect();
      return box.left >= track.left - 1 && box.right <= track.right + 1 && box.width > 0;
    })""")
    assert inside
    assert tab.run("document.querySelectorAll('.aligned span').length") > 20
    assert tab.complaints == []


@needs_chromium
def test_a_filter_opens_what_is_folded_and_clearing_folds_it_again(
    tab: Tab, tiny_page: Path
) -> None:
    tab.open(tiny_page)
    folds = "[...document.querySelectorAll('details.more')].map(fold => fold.open)"
    assert not any(tab.run(folds))
    tab.run("document.querySelector('#filters input').focus()")
    for letter in "the":
        tab.press(letter, ord(letter.upper()), letter)
    assert all(tab.run(folds))
    seen = tab.run(f"{SHOWN}.every(card => card.getBoundingClientRect().height > 0)")
    assert seen
    tab.press("Tab", 9)
    tab.press("Enter", 13, "\r")
    assert tab.run("document.querySelector('#filters input').value") == ""
    assert not any(tab.run(folds))


@needs_chromium
def test_the_keyboard_alone_opens_plays_and_jumps(tab: Tab, tiny_page: Path) -> None:
    tab.open(tiny_page)
    tab.press("Tab", 9)
    tab.press("Enter", 13, "\r")  # the link that skips to the report
    assert tab.run("location.hash") == "#main"
    tab.run("document.querySelector('nav a[href=\"#listen\"]').focus()")
    tab.press("Enter", 13, "\r")
    top = tab.run("document.getElementById('listen').getBoundingClientRect().top")
    assert 0 <= top < 200
    tab.run("document.querySelector('details.more summary').focus()")
    tab.press("Enter", 13, "\r")
    assert tab.run("document.querySelector('details.more').open")
    tab.run("document.querySelector('audio').focus()")
    tab.press(" ", 32, " ")
    assert tab.run("""(async () => {
      const audio = document.querySelector('audio');
      if (audio.paused) await new Promise(done => { audio.onplaying = done; });
      audio.pause();
      return true;
    })()""")
    tab.run("document.querySelector('.scroll').focus()")
    assert tab.run("document.activeElement.className") == "scroll"
    assert tab.complaints == []


@needs_chromium
def test_every_part_that_scrolls_can_be_focused_and_every_link_leads_somewhere(
    tab: Tab, tiny_page: Path
) -> None:
    tab.open(tiny_page, 375)
    lost = tab.run("""[...document.querySelectorAll('main *')].filter(item =>
      ['auto', 'scroll'].includes(getComputedStyle(item).overflowX)
      && item.scrollWidth > item.clientWidth + 1 && item.tabIndex < 0).map(i => i.className)""")
    assert lost == []
    dead = tab.run("""[...document.querySelectorAll('a[href^="#"]')]
      .filter(link => !document.querySelector(link.getAttribute('href'))).map(l => l.href)""")
    assert dead == []


@needs_chromium
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_an_edge_behind_which_a_table_goes_on_is_in_shadow_on_a_phone(
    tab: Tab, tiny_page: Path, dark: bool
) -> None:
    tab.open(tiny_page, 375, dark=dark)
    box = tab.run("""(() => {
      const box = [...document.querySelectorAll('.scroll')].find(item =>
        item.offsetParent && item.scrollWidth > item.clientWidth + 60);
      window.box = box;
      for (const item of box.querySelectorAll('*')) item.style.visibility = 'hidden';
      const at = box.getBoundingClientRect();
      return {x: at.left, y: at.top + scrollY, width: box.clientWidth};
    })()""")

    def looks(x: float) -> str:
        """Three pixels of what lies under the table, as the browser draws them."""
        clip = {"x": round(x), "y": round(box["y"]) + 8, "width": 3, "height": 3, "scale": 1}
        return str(tab.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip))

    left, right = box["x"] + 1, box["x"] + box["width"] - 4
    plain = looks(box["x"] + box["width"] / 2)
    assert looks(left) == plain != looks(right)
    tab.run("box.scrollLeft = 30")
    assert plain not in (looks(left), looks(right))
    tab.run("box.scrollLeft = box.scrollWidth")
    assert looks(left) != plain == looks(right)


@needs_chromium
def test_the_keyboard_reaches_filters_and_sounds(tab: Tab, tiny_page: Path) -> None:
    tab.open(tiny_page)
    reached = []
    for _ in range(60):
        tab.press("Tab", 9)
        reached.append(tab.run("document.activeElement.tagName"))
        if reached[-1] == "AUDIO":
            break
    assert reached[0] == "A"
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert {"SELECT", "INPUT", "BUTTON", "AUDIO"} <= set(reached)


@needs_chromium
@pytest.mark.parametrize("width", [1280, 375])
def test_hostile_rows_neither_run_nor_break_the_page(
    tab: Tab, hostile_page: Path, width: int
) -> None:
    tab.open(hostile_page, width)
    assert tab.run("document.scripts.length") == 1
    assert tab.run("[...document.images].every(i => i.src.startsWith('data:image/png;base64,'))")
    assert tab.run("document.querySelectorAll('h1').length") == 1
    assert tab.run("document.querySelectorAll('[onclick],[onerror]').length") == 0
    assert tab.run("document.documentElement.scrollWidth <= innerWidth")
    assert tab.run("document.title").startswith(f"</title>{SCRIPT}")
    assert SCRIPT in tab.run("document.querySelector('main').textContent")
    assert tab.complaints == []
    assert tab.requests == []


@needs_chromium
def test_no_other_script_would_run_even_if_it_got_into_the_page(
    tab: Tab, tiny_page: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.html"
    extra = "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'><main"
    broken.write_text(tiny_page.read_text("utf-8").replace("<main", extra, 1), "utf-8")
    tab.open(broken)
    assert tab.run("window.ran === undefined")
    assert any("Content Security Policy" in text for text in tab.complaints)
    assert tab.run(f"{SHOWN}.length") > 0


def test_what_is_huge_or_unseen_is_clipped_or_shown(hostile_page: Path) -> None:
    html = hostile_page.read_text("utf-8")
    assert len(html) < 3_000_000
    assert "Tell me more. Tell me" in html
    assert "Tell me more. " * 200 not in html
    assert "more characters)" in html
    assert "‹U+202E›" in html
    assert "‹U+0000›" in html
    assert "\u202e" not in html
    assert IMAGE not in html


def test_a_long_dialogue_is_shown_in_part(tmp_path: Path) -> None:
    texts = ("What came next?", "Then the tall man walked on to the river.")
    turns = [{"role": r, "content": f"{texts[n]} {r}"} for n, r in enumerate(("user", "assistant"))]
    job = write_job(
        tmp_path,
        [json.dumps({"messages": turns * 9})],
        source={"path": "rows.jsonl", "adapter": "messages", "name": "x", "lang": "en"},
    )
    assert build_here(job, tmp_path / "corpus").code == 0
    html = (tmp_path / "corpus" / "report" / "index.html").read_text("utf-8")
    assert html.count("<audio") == 12
    assert "6 more turns" in html


@pytest.mark.parametrize("lines", [[row("a", answer="`x = 1`" * 9)], [row("b", "", " ")] * 3])
def test_a_corpus_without_an_accepted_row_has_a_page(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    job = write_job(tmp_path, [*lines, "{broken"], limits={"max_failed_fraction": 1.0})
    build_here(job, tmp_path / "corpus")
    manifest = manifest_of(tmp_path / "corpus")
    assert manifest["counts"]["accepted"] == 0
    html = (tmp_path / "corpus" / "report" / "index.html").read_text("utf-8")
    assert "Not fit to train on as it is" in html
    assert "No row was accepted: there is nothing to train on." in html
    assert html.count('<article class="sample rejected"') == manifest["counts"]["rejected"]
    assert html.count('<article class="sample failed"') == 1
    if PROGRAM is not None:
        with browser(PROGRAM) as tab:
            tab.open(tmp_path / "corpus" / "report" / "index.html", 375)
            assert tab.complaints == []
            assert tab.run("document.documentElement.scrollWidth <= innerWidth")


def test_a_snapshot_without_any_row_has_a_page(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    sink = pa.BufferOutputStream()
    pq.write_table(OUTCOME.empty_table(), sink)
    data = sink.getvalue().to_pybytes()
    store.put("none.parquet", data)
    nothing: Any = {"name": "none.parquet", "sha256": sha256_hex(data)}
    manifest: Any = {
        **tiny_corpus.manifest,
        "shards": [],
        "counts": {"rows": 0, "accepted": 0, "rejected": 0, "failed": 0},
        "rejected": nothing,
        "failed": nothing,
    }
    page = tmp_path / "page.html"
    page.write_text(render_report(store, manifest, {}, []), "utf-8")
    assert "This snapshot has no rows." in page.read_text("utf-8")
    if PROGRAM is not None:
        with browser(PROGRAM) as tab:
            tab.open(page, 375)
            assert tab.complaints == []
            assert tab.run("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_of_a_store_is_the_same_again(hostile_page: Path) -> None:
    store = FileStore(hostile_page.parents[1])
    manifest = latest_snapshot(store)
    assert manifest is not None
    pages = {render_report(store, manifest, {}, [], gather(store, manifest)) for _ in range(2)}
    assert len(pages) == 1
