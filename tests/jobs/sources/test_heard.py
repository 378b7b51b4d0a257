"""Each kind of source with audio: what is carried, in which layouts, and what is refused how."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.sources.parts import units_of
from jobs.sources.stored import expand_braces
from schemas.errors import MalformedRow, SourceError
from tests.jobs.sources.heard import (
    CLIP,
    KM1000,
    REPLY,
    audios,
    message,
    pair,
    read,
    round_of,
    samples_tar,
    units_member,
    write,
    write_rounds,
)


def texts(row: Any) -> list[str]:
    return [turn["text"] for turn in row.conversation["turns"]]


def test_braces_stand_for_many_files(tmp_path: Path) -> None:
    assert expand_braces("a-{08..11}.{x,y}") == [
        f"a-{n}.{e}" for n in ("08", "09", "10", "11") for e in "xy"
    ]
    for n in range(3):
        write(tmp_path / f"t-{n:02d}.tar", samples_tar({f"s{n}": pair(n)}))
    rows = read(f"{tmp_path}/t-{{00..01}}.tar", "webdataset")
    assert [row.origin for row in rows] == ["t-00.tar:s0", "t-01.tar:s1"]
    with pytest.raises(SourceError, match=r"t-03\.tar: no such file"):
        read(f"{tmp_path}/t-{{02..03}}.tar", "webdataset")
    with pytest.raises(SourceError, match="no file of a known kind"):
        read(write(tmp_path / "other" / "a.txt", b"x").parent, "webdataset")


def test_members_can_be_named_and_texts_found_in_json(tmp_path: Path) -> None:
    sample = {
        "json": json.dumps({"q": {"said": "Why?"}, "id": "own"}).encode(),
        "ask.wav": CLIP,
        "reply.flac": REPLY,
        "reply.txt": b"So.",
    }
    names = {
        "question_audio": "ask.wav",
        "question_text": "json:q.said",
        "answer_audio": "reply.flac",
        "answer_text": "reply.txt",
    }
    bad = {key: value for key, value in sample.items() if key != "ask.wav"}
    path = write(tmp_path / "a.tar", samples_tar({"one": sample, "two": bad}))
    good, failed = read(path, "webdataset", members=names)
    assert texts(good) == ["Why?", "So."]
    assert audios(good) == [CLIP, REPLY]
    assert good.conversation is not None
    assert good.conversation["source_id"] == "own"
    assert "member ask.wav: it is not among json, reply.flac, reply.txt" in message(failed)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"json": b"{"}, "member json: not JSON"),
        ({"json": b'{"turns": 5}'}, "member json: 'turns' is the number 5"),
        ({"00.user.txt": b"\xff"}, "member 00.user.txt: not UTF-8"),
        ({"01.assistant.km1000.npy": b"\x93NUMPYx"}, "member 01.assistant.km1000.npy: not a .npy"),
        ({"01.assistant.km1000.npy": units_member([-1])}, "a list of numbers from 0"),
    ],
)
def test_a_broken_member_fails_its_row_and_is_named(
    tmp_path: Path, changes: dict[str, bytes], said: str
) -> None:
    files = samples_tar({"good": pair(), "bad": {**pair(), **changes}})
    good, bad = read(write(tmp_path / "a.tar", files), "webdataset", unit_set=KM1000)
    assert good.error is None
    assert bad.origin == "a.tar:bad"
    assert said in message(bad)


def test_units_of_a_tar_are_carried_under_the_jobs_contract(tmp_path: Path) -> None:
    files = {**pair(), "01.assistant.km1000.npy": units_member([3, 4])}
    path = write(tmp_path / "a.tar", samples_tar({"a": files}))
    (row,) = read(path, "webdataset", unit_set=KM1000)
    assert row.conversation is not None
    assert row.conversation["imported"] == [
        {"turn": 1, "set": "km1000", "codes": [3, 4], "durations": None}
    ]
    (row,) = read(path, "webdataset")
    assert row.conversation is not None
    assert "imported" not in row.conversation


def test_rounds_of_one_id_are_one_conversation(tmp_path: Path) -> None:
    rows = [round_of("a", 1), round_of("a", 2), round_of("b", 0, question_audio=None)]
    path = write_rounds(tmp_path / "a.parquet", rows)
    first, second = read(path, "s2s_parquet", unit_set=KM1000)
    assert texts(first) == ["Question 1?", "Answer 1.", "Question 2?", "Answer 2."]
    assert audios(first) == [CLIP, REPLY, CLIP, REPLY]
    assert first.conversation is not None
    assert [item["turn"] for item in first.conversation["imported"]] == [1, 3]
    assert audios(second) == [None, REPLY]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([round_of("x", 1), round_of("x", 3)], "'round' is the number 1, the number 3"),
        ([round_of("x", 2)], "'round' is the number 2; wanted 0, 1, 2"),
        ([round_of("x", 0, answer_audio={"bytes": b"", "path": None})], "audio of 0 bytes"),
        (
            [round_of("x", 0, answer_audio={"bytes": None, "path": "../../secret"})],
            'round 1, answer_audio: the audio path "../../secret"; wanted a path inside',
        ),
        (
            [round_of("x", 0, answer_audio={"bytes": None, "path": "/etc/passwd"})],
            'the audio path "/etc/passwd"',
        ),
        ([round_of("x", 0, speech_token=[-4])], "speech_token: units are"),
    ],
)
def test_a_broken_round_fails_its_row(tmp_path: Path, rows: list[Any], said: str) -> None:
    path = write_rounds(tmp_path / "a.parquet", [round_of("good", 0), *rows])
    good, bad = read(path, "s2s_parquet", unit_set=KM1000)
    assert good.error is None
    assert said in message(bad)


def test_columns_can_have_other_names_and_audio_lie_beside_the_table(tmp_path: Path) -> None:
    write(tmp_path / "wavs" / "a.wav", CLIP)
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"audio": "wavs/a.wav", "said": "Hm?", "answer": "Ha."}) + "\n"
    )
    columns = {"question_audio": "audio", "question": "said"}
    (row,) = read(tmp_path / "a.jsonl", "s2s_parquet", columns=columns)
    assert (texts(row), audios(row)) == (["Hm?", "Ha."], [CLIP, None])
    with pytest.raises(SourceError, match=r"name your columns under source\.columns"):
        read(write(tmp_path / "b.jsonl", b'{"x": 1}\n'), "s2s_parquet")


def omni(**changes: Any) -> dict[str, Any]:
    turns = [
        {"from": "human", "text": "Why?", "speech": "wav/q.wav"},
        {"from": "gpt", "text": "So.", "speech": "wav/a.flac", "unit": "5 7 5"},
    ]
    return {"id": "helpful_1", "conversation": turns, **changes}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "data" / "wav" / "q.wav", CLIP)
    write(tmp_path / "data" / "wav" / "a.flac", REPLY)
    write(tmp_path / "secret.wav", CLIP)
    return tmp_path / "data"


def test_llama_omnis_published_json_with_paths_and_units(folder: Path) -> None:
    (folder / "a.json").write_text(json.dumps([omni()]))
    (row,) = read(folder / "a.json", "llama_omni", unit_set=KM1000)
    assert (texts(row), audios(row)) == (["Why?", "So."], [CLIP, REPLY])
    assert row.conversation is not None
    assert row.conversation["source_id"] == "helpful_1"
    assert row.conversation["imported"][0]["codes"] == [5, 7, 5]
    (folder.parent / "a.json").write_text(json.dumps([omni()]))
    (row,) = read(folder.parent / "a.json", "llama_omni", audio_folder=str(folder))
    assert audios(row) == [CLIP, REPLY]


def test_llama_omnis_inference_input(folder: Path) -> None:
    asked = [{"from": "human", "value": "<speech>\nAnswer the question in the speech."}]
    (folder / "a.json").write_text(
        json.dumps([{"id": "h", "speech": "wav/q.wav", "conversations": asked}])
    )
    (row,) = read(folder / "a.json", "llama_omni")
    assert (texts(row), audios(row)) == ([""], [CLIP])  # the prompt is not what is heard


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("../secret.wav", 'turn 1: the audio path "../secret.wav"'),
        ("/etc/passwd", 'the audio path "/etc/passwd"'),
        ("wav/none.wav", 'no file at the audio path "wav/none.wav"'),
        ("wav\\q.wav", "with '/'"),
        (5, "audio is the number 5"),
    ],
)
def test_a_path_that_leaves_its_folder_or_leads_nowhere_fails_its_row(
    folder: Path, path: object, said: str
) -> None:
    bad = omni(id="bad")
    bad["conversation"][0]["speech"] = path
    (folder / "a.json").write_text(json.dumps([omni(), bad]))
    good, failed = read(folder / "a.json", "llama_omni")
    assert good.error is None
    assert said in message(failed)


@pytest.mark.parametrize(
    "text", ["12 0 7", "12,0,7", "<12><0><7>", "[12, 0, 7]", "<|12|><|0|><|7|>"]
)
def test_units_are_read_in_the_ways_in_which_they_are_published(text: str) -> None:
    assert units_of(text, "row") == units_of([12, 0, 7], "row") == [12, 0, 7]


@pytest.mark.parametrize("value", ["12 x", "-3", [1, True], [1.5], {"a": 1}, [2**40]])
def test_what_is_no_unit_sequence_is_refused(value: object) -> None:
    with pytest.raises(MalformedRow, match="row: units are"):
        units_of(value, "row")
