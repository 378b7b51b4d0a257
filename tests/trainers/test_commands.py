"""The commands of trainers on a corpus that a build would write: peek, and the tokenizer."""

import hashlib
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.made_corpus import make_corpus
from schemas.errors import DamageError, SettingsError
from schemas.store import StoreAddress
from tests.trainers.streams import reader
from tests.trainers.test_buckets import upload
from tests.trainers.test_flac import encoded, noise
from trainers import peek, text, tokenizer
from trainers.byte_bpe import SPECIAL
from trainers.corpus import open_snapshot
from trainers.text import load_tokenizer
from trainers.texts import bounded, corpus_texts

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 samples whose members are real FLAC."""
    folder = tmp_path_factory.mktemp("spoken")
    make_corpus(folder, (20, 4), payload=lambda number: encoded(noise(8000 + 160 * number, number)))
    return folder


def trained(corpus: Path, out: Path, *options: str) -> str:
    assert tokenizer.main([str(corpus), "--out", str(out), "--vocab", "280", *options]) == 0
    return hashlib.sha256(out.read_bytes()).hexdigest()


def test_peek_shows_order_shapes_rates_and_state(spoken: Path, capsys: Capture) -> None:
    assert peek.main([str(spoken), "--batch-size", "4", "--features", "mel80", "codec"]) == 0
    shown = capsys.readouterr().out
    assert f"corpus  {spoken}, version 1, train: 24 samples" in shown
    assert "6 steps an epoch, 4 samples a step from 4 lanes" in shown
    first = next(iter(reader(spoken, batch_size=4, lanes=4, seed=0)))
    assert all(sample.key in shown and sample.shard[:12] in shown for sample in first)
    assert "mel                    float32  [4, 80, 3000]" in shown
    assert "codec                  float32  [4, 72000]" in shown
    assert "reading, bytes checked: " in shown
    state = json.loads(shown.splitlines()[-1])
    again = reader(spoken, batch_size=4, lanes=4, seed=0)
    again.load_state_dict(state)
    assert again.total_steps == 1


def test_a_rows_text_cannot_drive_the_terminal(
    spoken: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = peek.Sample.turns

    def hostile(sample: peek.Sample) -> Any:
        text = "clear\x1b[2J\nrow\u202e two"
        return tuple(replace(turn, spoken_text=text) for turn in whole.__get__(sample))

    monkeypatch.setattr(peek.Sample, "turns", property(hostile))
    assert peek.main([str(spoken), "--batch-size", "4", "--steps", "1"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("clear [2J row  two") == 4
    assert not {"\x1b", "\u202e"} & set(shown)


def test_peek_shows_packs_mixtures_and_evaluation_orders(spoken: Path, capsys: Capture) -> None:
    assert peek.main([str(spoken), "--pack", "100", "--steps", "1"]) == 0
    assert '"kind": "packing"' in capsys.readouterr().out
    assert peek.main([str(spoken), "--buckets", "2", "4"]) == 0
    assert '"kind": "buckets"' in capsys.readouterr().out
    assert peek.main([str(spoken), str(spoken), "--weights", "3", "1"]) == 0
    assert "a mixture without end" in capsys.readouterr().out
    assert peek.main([str(spoken), "--no-shuffle", "--batch-size", "24"]) == 0
    shown = capsys.readouterr().out
    assert "canonical: 1 steps an epoch" in shown
    assert "and 8 more" in shown
    assert "no second step to time" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--features", "tokens"], "train one with `python -m trainers.tokenizer"),
        (["--features", "units"], "without a unit set"),
        (["--features", "mel80", "mel128"], "have the same arrays; choose one"),
        (["--batch-size", "25"], "give a smaller batch_size"),
        (["--weights", "1", "2"], "give one each"),
        (["--epoch", "-1"], "epochs count from 0"),
        (["--pack", "0"], "wanted a limit of at least 1"),
        (["--buckets", "3", "2"], "wanted rising numbers"),
        (["--steps", "0"], "wanted at least 1"),
        (["--version", "7"], "asked for version 7, it has [1]"),
        (["--split", "eval"], "no split 'eval'; it has ['train']"),
        (["--tokenizer", "nowhere.json"], "nowhere.json: no such file"),
    ],
)
def test_bad_options_get_one_line_that_names_the_cure(
    spoken: Path, capsys: Capture, options: list[str], message: str
) -> None:
    assert peek.main([str(spoken), *options]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("trainers.peek: error: ")
    assert message in shown.err


def test_peek_and_the_tokenizer_read_a_bucket(
    spoken: Path, s3: StoreAddress, tmp_path: Path, capsys: Capture
) -> None:
    upload(spoken, s3)
    options = [s3.uri, "--store", f"endpoint={s3.options.endpoint}", "--store", "region=us-east-1"]
    assert peek.main([*options, "--features", "mel80"]) == 0
    assert f"corpus  {s3.uri}, version 1, train: 24 samples" in capsys.readouterr().out
    assert tokenizer.main([*options, "--out", str(tmp_path / "s3.json"), "--vocab", "280"]) == 0
    assert hashlib.sha256((tmp_path / "s3.json").read_bytes()).hexdigest() == trained(
        spoken, tmp_path / "disk.json"
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("endpont=x", "wanted KEY=VALUE with one of the keys endpoint, region"),
        ("endpoint", "wanted KEY=VALUE"),
        ("anonymous=3", "wanted a value that is bool"),
        ("timeout_s=soon", "wanted a value that is int or float"),
    ],
)
def test_store_options_that_mean_nothing_are_refused(
    spoken: Path, capsys: Capture, option: str, message: str
) -> None:
    assert peek.main([str(spoken), "--store", option]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_a_snapshot_is_said_to_be_one(tmp_path: Path, capsys: Capture) -> None:
    assert peek.main([str(tmp_path)]) == 2
    assert "no snapshot there" in capsys.readouterr().err
    assert tokenizer.main([str(tmp_path), "--out", str(tmp_path / "t.json")]) == 2
    assert "no snapshot there" in capsys.readouterr().err


def test_the_same_texts_give_the_same_tokenizer(
    spoken: Path, tmp_path: Path, capsys: Capture
) -> None:
    again = tmp_path / "again"
    shutil.copytree(spoken, again)
    sums = {trained(spoken, tmp_path / "a" / "t.json"), trained(again, tmp_path / "b" / "t.json")}
    assert len(sums) == 1
    beside = (tmp_path / "a" / "t.json.sha256").read_text(encoding="ascii")
    assert beside == f"{sums.pop()}  t.json\n"
    assert "distinct texts" in capsys.readouterr().out


def test_a_vocabulary_too_small_names_the_least(
    spoken: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "t.json"
    assert tokenizer.main([str(spoken), "--out", str(out), "--vocab", "100"]) == 2
    assert "wanted at least 263" in capsys.readouterr().err
    assert not out.exists()


def test_a_missing_library_is_named_with_its_extra(
    spoken: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    assert tokenizer.main([str(spoken), "--out", str(tmp_path / "t.json")]) == 2
    assert "pip install 'voxmill[train]'" in capsys.readouterr().err


@given(words=st.lists(st.text(max_size=12), min_size=1, max_size=20), data=st.data())
def test_training_does_not_depend_on_the_order_of_texts(
    words: list[str], data: st.DataObject
) -> None:
    from trainers.byte_bpe import train_byte_bpe

    if not any(words):
        return
    shuffled = data.draw(st.permutations(words))
    trained_once = train_byte_bpe(words, 290).to_str()
    assert train_byte_bpe(shuffled, 290).to_str() == trained_once
    assert train_byte_bpe(words + shuffled, 290).to_str() == trained_once  # texts count once


@given(written=st.text(max_size=40))
def test_any_text_comes_back_and_none_becomes_a_special_token(
    spoken: Path, tmp_path_factory: pytest.TempPathFactory, written: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "roundtrip" / "t.json"
    if not path.exists():
        trained(spoken, path)
    loaded = load_tokenizer(path)
    in_a_worker = pickle.loads(pickle.dumps(loaded))
    for value in (written, f"{written}<|im_end|>{written}", "阳光 <|AUDIO|> \x00\n é"):
        ids = loaded.encode(value)
        assert in_a_worker.encode(value).tolist() == ids.tolist()
        assert loaded.decode(ids) == value
        assert not {loaded.special(token) for token in SPECIAL} & set(ids.tolist())
        assert (ids < loaded.vocab_size).all()


def test_a_chat_turn_is_chatml(spoken: Path, tmp_path: Path) -> None:
    trained(spoken, tmp_path / "t.json")
    loaded = load_tokenizer(tmp_path / "t.json")
    ids = loaded.chat_turn("user", "Say <|im_end|> aloud")
    assert loaded.decode(ids) == "<|im_start|>user\nSay <|im_end|> aloud<|im_end|>\n"
    assert (ids == loaded.special("<|im_end|>")).sum() == 1
    with pytest.raises(SettingsError, match=r"no token '<\|none\|>'"):
        loaded.special("<|none|>")


def test_a_tokenizer_that_changed_or_is_none_is_refused(spoken: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    trained(spoken, path)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DamageError, match=r"not the one in t\.json\.sha256"):
        load_tokenizer(path)
    path.with_name("t.json.sha256").unlink()
    assert load_tokenizer(path).vocab_size == load_tokenizer(path).vocab_size
    path.write_text("{}")
    with pytest.raises(SettingsError, match="no tokenizer of the"):
        load_tokenizer(path)
    assert text.CHECKSUM_SUFFIX == ".sha256"


def test_texts_are_those_of_the_turns(spoken: Path) -> None:
    opened = open_snapshot(str(spoken))
    said = [turn.spoken_text for sample in opened.samples() for turn in sample.turns]
    assert list(corpus_texts(opened, "spoken")) == said
    assert len(list(corpus_texts(opened, "both"))) == 2 * len(said)


@given(texts=st.lists(st.text(max_size=3), max_size=40), limit=st.integers(1, 12), data=st.data())
def test_a_bounded_choice_of_texts_depends_on_the_set_alone(
    texts: list[str], limit: int, data: st.DataObject
) -> None:
    chosen = bounded(texts, limit)
    assert len(chosen) == min(limit, len(set(texts)))
    assert bounded(data.draw(st.permutations(texts)) + texts, limit) == chosen
