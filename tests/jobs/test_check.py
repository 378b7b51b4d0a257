"""check: others' audio measured and judged; what conforms is kept as it came."""

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import webdataset

from schemas.index import INDEX
from schemas.parquet import read_table
from schemas.store import FileStore
from tests.jobs.small import (
    ROOT,
    Done,
    build_here,
    ended,
    files,
    manifest_of,
    rows,
    voxmill,
    write_job,
)
from tests.jobs.sources.heard import (
    CLIP,
    REPLY,
    pair,
    round_of,
    samples_tar,
    units_member,
    write,
    write_rounds,
)
from tests.sound import pcm16, sine, tone_flac, wav
from transforms.audio import encode_flac

JOB = ROOT / "examples" / "check.yaml"
SPEECH = ROOT.parent / "shared" / "data" / "speech"
LOOSE = (
    "--set",
    "gates=[{measure: duration_s, min: 0.2, max: 40}]",
    "--set",
    "limits.max_failed_fraction=1",
)


def check(source: Path | str, output: Path, adapter: str = "webdataset", *more: str) -> Done:
    options = ("--set", f"source.adapter={adapter}", *LOOSE, *more)
    return build_here(JOB, output, "--input", source, *options)


def members(corpus: Path, source_id: str) -> dict[str, bytes]:
    """The members of one sample by suffix."""
    key = ended(corpus)[source_id].key
    found = {}
    for shard in manifest_of(corpus)["shards"]:
        with tarfile.open(corpus / "shards" / shard["name"]) as tar:
            for item in tar:
                file = tar.extractfile(item)
                if file is not None and item.name.startswith(f"{key}."):
                    found[item.name.removeprefix(f"{key}.")] = file.read()
    return found


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tar with every fate: kept, encoded anew, rejected, failed."""
    folder = tmp_path_factory.mktemp("checked")
    stereo = np.stack([sine(220, 0.5, 44100), sine(220, 0.5, 44100)], axis=1)
    samples: dict[str, dict[str, bytes]] = {
        "kept": {**pair(1), "01.assistant.flac": fast_flac()},
        "stereo": {**pair(2), "00.user.wav": wav(stereo, 44100)},
        "short": {**pair(3), "01.assistant.flac": tone_flac(200, 0.1)},
        "dumb": {k: v for k, v in pair(4).items() if k != "00.user.txt"},
        "deaf": {k: v for k, v in pair(5).items() if k != "01.assistant.flac"},
        "noise": {**pair(6), "00.user.wav": b"RIFF, but no audio"},
        "silent": {**pair(7), "00.user.wav": wav(np.zeros(8000))},
        "torn": {**pair(8), "01.assistant.flac": REPLY[: len(REPLY) // 2]},
        "empty": {**pair(9), "00.user.wav": b""},
        "wide": {**pair(10), "01.assistant.flac": _flac24()},
    }
    write(folder / "tars" / "a.tar", samples_tar(samples))
    done = check(folder / "tars", folder / "out")
    assert done.code == 0, done.err
    return folder / "out"


def fast_flac() -> bytes:
    """A FLAC file of another encoder's settings: encoded anew its bytes would be others."""
    sink = io.BytesIO()
    soundfile.write(sink, pcm16(sine(200, 0.5)), 16000, format="FLAC", compression_level=0.0)
    assert sink.getvalue() != encode_flac(pcm16(sine(200, 0.5)), 16000)
    return sink.getvalue()


def _flac24() -> bytes:
    sink = io.BytesIO()
    soundfile.write(sink, sine(200, 0.5), 16000, format="FLAC", subtype="PCM_24")
    return sink.getvalue()


def test_every_row_ends_with_its_reason(checked: Path) -> None:
    ends = ended(checked)
    states = {name: (row.state, row.why) for name, row in ends.items()}
    assert states == {
        "kept": ("accepted", ""),
        "stereo": ("accepted", ""),
        "wide": ("accepted", ""),
        "short": ("rejected", "duration_s"),
        "dumb": ("rejected", "no_text"),
        "deaf": ("rejected", "no_audio"),
        "noise": ("failed", "RowError"),
        "torn": ("failed", "RowError"),
        "silent": ("failed", "SynthesisError"),
        "a.tar:empty": ("failed", "MalformedRow"),
    }
    assert "member 00.user.wav: audio of 0 bytes" in ends["a.tar:empty"].message
    assert voxmill("verify", checked).code == 0


def test_audio_that_conforms_is_kept_byte_for_byte_and_other_audio_is_said_in_int16(
    checked: Path,
) -> None:
    kept = members(checked, "kept")
    assert kept["01.assistant.flac"] == fast_flac()
    before, _ = soundfile.read(io.BytesIO(CLIP), dtype="int16")
    after, rate = soundfile.read(io.BytesIO(kept["00.user.flac"]), dtype="int16")
    assert rate == 16000
    assert np.array_equal(before, after)  # from WAV to FLAC nothing is lost
    for name in ("stereo", "wide"):
        for data in (v for k, v in members(checked, name).items() if k.endswith("flac")):
            info = soundfile.info(io.BytesIO(data))
            assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")


def test_texts_measures_and_provenance_are_in_the_record(checked: Path) -> None:
    record = json.loads(members(checked, "kept")["json"])
    assert [turn["text"] for turn in record["turns"]] == ["Question 1?", "Reply 1."]
    assert {turn["provenance"] for turn in record["turns"]} == {"imported"}
    assert record["turns"][0]["measures"]["duration_s"] == 0.4
    assert record["license"] == "unknown"
    assert "others made" in (checked / "README.md").read_text()
    assert voxmill("inspect", checked, "short").code == 0
    assert voxmill("replay", checked, ended(checked)["stereo"].key).code == 0


def test_texts_can_be_optional(tmp_path: Path) -> None:
    dumb = {k: v for k, v in pair(4).items() if k != "00.user.txt"}
    path = write(tmp_path / "a.tar", samples_tar({"dumb": dumb}))
    done = check(path, tmp_path / "out", "webdataset", "--set", "texts=optional")
    assert done.last_json["accepted"] == 1


UNITS = "source.units={name: km1000, codebook_size: 1000, sample_rate_hz: 16000}"


def test_released_units_above_1000_in_a_km1000_corpus_are_caught_and_named(tmp_path: Path) -> None:
    tars = {
        f"s{n}": {**pair(n), "01.assistant.km1000.npy": units_member(codes)}
        for n, codes in enumerate(([5, 999, 5], [5, 1003, 5], [5, 5, 7], list(range(30))))
    }
    tars["none"] = pair(9)
    path = write(tmp_path / "a.tar", samples_tar(tars))
    done = check(path, tmp_path / "out", "webdataset", "--set", UNITS)
    assert done.code == 0, done.err
    ends = ended(tmp_path / "out")
    assert ends["s0"].state == "accepted"
    assert "units of km1000 break its contract: unit ids span 5..1003, wanted 0..999" in (
        ends["s1"].message
    )
    assert "two neighboring units are equal" in ends["s2"].message
    assert "30 units, wanted 1 to 19 for 6400 samples" in ends["s3"].message
    assert "units of km1000 are missing" in ends["none"].message
    assert members(tmp_path / "out", "s0")["01.assistant.km1000.npy"] == units_member([5, 999, 5])
    (contract,) = manifest_of(tmp_path / "out")["unit_sets"]
    assert (contract["name"], contract["provenance"]) == ("km1000", "imported")
    assert voxmill("verify", tmp_path / "out").code == 0


def test_parquet_as_datasets_writes_it(tmp_path: Path) -> None:
    path = write_rounds(
        tmp_path / "a.parquet", [round_of("a", 1), round_of("a", 2), round_of("b", 1, question="")]
    )
    done = check(path, tmp_path / "out", "s2s_parquet", "--set", UNITS)
    assert done.code == 0, done.err
    ends = ended(tmp_path / "out")
    assert {name: row.why for name, row in ends.items()} == {"a": "", "b": "no_text"}
    assert sorted(members(tmp_path / "out", "a")) == [
        "00.user.flac",
        "01.assistant.flac",
        "01.assistant.km1000.npy",
        "02.user.flac",
        "03.assistant.flac",
        "03.assistant.km1000.npy",
        "json",
    ]


@pytest.mark.skipif(not SPEECH.is_dir(), reason="the real data lies outside the repository")
def test_human_speech_in_tars_of_the_webdataset_library(tmp_path: Path) -> None:
    clips = sorted(SPEECH.glob("*.*"))
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as sink:
        for number, (asked, told) in enumerate(zip(clips[::2], clips[1::2], strict=False)):
            sample: dict[str, Any] = {
                "__key__": f"real{number}",
                f"00.user{asked.suffix}": asked.read_bytes(),
                f"01.assistant{told.suffix}": told.read_bytes(),
                "json": json.dumps({"turns": [{"text": "A question, as it is heard there."}] * 2}),
            }
            sink.write(sample)
    more = ("--set", "units={clusters: 8, max_frames: 2000}")
    done = check(tmp_path / "a.tar", tmp_path / "out", "webdataset", *more)
    assert (done.code, done.last_json["accepted"]) == (0, len(clips) // 2), done.err
    assert [unit["name"] for unit in manifest_of(tmp_path / "out")["unit_sets"]] == ["mfcc8"]
    for number, clip in enumerate(clips[: 2 * (len(clips) // 2)]):
        info = soundfile.info(str(clip))
        conforms = (info.format, info.subtype, info.channels, info.samplerate) == (
            "FLAC",
            "PCM_16",
            1,
            16000,
        )
        role = "01.assistant" if number % 2 else "00.user"
        shipped = members(tmp_path / "out", f"real{number // 2}")[f"{role}.flac"]
        assert (shipped == clip.read_bytes()) == conforms
    assert voxmill("verify", tmp_path / "out").code == 0


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    assert build_here(write_job(folder, rows(6)), folder / "corpus").code == 0
    return folder / "corpus"


def test_a_corpus_is_judged_under_its_own_keys_and_its_units_stay(
    corpus: Path, tmp_path: Path
) -> None:
    done = check(corpus, tmp_path / "out", "voxmill")
    assert done.code == 0, done.err
    assert {row.key for row in ended(tmp_path / "out").values()} == {
        row.key for row in ended(corpus).values()
    }
    before, after = (members(place, "river") for place in (corpus, tmp_path / "out"))
    assert {n: d for n, d in before.items() if n != "json"} == {
        n: d for n, d in after.items() if n != "json"
    }
    strict = ("--set", "gates=[{measure: duration_s, max: 0.1}]")
    done = check(corpus, tmp_path / "out", "voxmill", *strict)
    assert (done.last_json["rejected"], done.last_json["snapshot"]) == (6, "snapshots/v000002.json")
    assert sum(done.last_json["computed_rows"].values()) == 0


def test_shards_of_a_corpus_are_plain_tars_too(corpus: Path, tmp_path: Path) -> None:
    done = check(corpus / "shards", tmp_path / "out")
    assert (done.code, done.last_json["accepted"]) == (0, 6), done.err
    for name in ("river", "castle"):
        before = members(corpus, name)
        after = members(tmp_path / "out", ended(corpus)[name].key)  # their id there
        assert {n: d for n, d in before.items() if n.endswith("flac")} == {
            n: d for n, d in after.items() if n.endswith("flac")
        }


def test_workers_kills_and_file_names_change_no_byte(corpus: Path, tmp_path: Path) -> None:
    tars = sorted((corpus / "shards").glob("*.tar"))
    one = check(tars[0], tmp_path / "one")
    (tmp_path / "tars").mkdir()
    shutil.copy(tars[0], tmp_path / "tars" / "other-name.tar")
    other = check(tmp_path / "tars", tmp_path / "other", "webdataset", "--workers", "2")
    assert one.last_json["identity"] == other.last_json["identity"]
    assert files(tmp_path / "one", "shards") == files(tmp_path / "other", "shards")
    shutil.rmtree(tmp_path / "other" / "work")
    (next((tmp_path / "other" / "shards").iterdir())).unlink()
    again = check(tmp_path / "tars", tmp_path / "other")
    assert again.last_json["identity"] == one.last_json["identity"]
    assert files(tmp_path / "one", "shards") == files(tmp_path / "other", "shards")


def test_a_gate_that_nothing_measures_and_an_adapter_of_texts_are_refused(
    corpus: Path, tmp_path: Path
) -> None:
    done = check(corpus, tmp_path / "out", "alpaca")
    assert (done.code, "pipeline check reads audio" in done.err) == (2, True)
    done = check(corpus, tmp_path / "out", "webdatset")
    assert (done.code, "webdataset" in done.err) == (2, True)
    done = check(
        corpus, tmp_path / "out", "voxmill", "--set", "gates=[{measure: nonsense, max: 1}]"
    )
    assert (done.code, "there is no measure 'nonsense'" in done.err) == (2, True)
    done = check(corpus, tmp_path / "out", "voxmill", "--set", "audio.sample_rate=8000")
    assert "did you mean 'sample_rate_hz'?" in done.err


def test_memory_holds_one_rows_audio_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a source is planned its audio lies on disk: a bucket of rows holds none of it."""
    from pipelines import planning, spool

    held: list[int] = []
    real = spool.sorted_rows

    def seen(folder: Path) -> Any:
        for row in real(folder):
            held.append(sum(isinstance(turn["audio"], bytes) for turn in row._columns["turns"]))
            yield row

    monkeypatch.setattr(planning, "sorted_rows", seen)
    path = write(tmp_path / "a.tar", samples_tar({f"s{n}": pair(n) for n in range(30)}))
    assert check(path, tmp_path / "out").last_json["rows"] == 30
    assert held == [0] * 30
    index = manifest_of(tmp_path / "out")["shards"][0]["index"]
    table = read_table(FileStore(tmp_path / "out").get(f"index/{index}"), INDEX, index)
    assert table.num_rows == 30


def test_a_row_that_repeats_another_is_rejected_and_the_same_words_said_anew_are_not(
    tmp_path: Path,
) -> None:
    """What was heard counts too: a damaged copy is told by its own measures, not as a copy."""
    again = {**pair(1), "01.assistant.flac": tone_flac(330, 0.7)}
    samples = {"first": pair(1), "second": pair(1), "anew": again, "other": pair(2)}
    write(tmp_path / "a.tar", samples_tar(samples))
    done = check(tmp_path / "a.tar", tmp_path / "out", "webdataset")
    assert done.code == 0, done.err
    states = {name: (row.state, row.why) for name, row in ended(tmp_path / "out").items()}
    twins = sorted([states.pop("first"), states.pop("second")])
    assert twins == [("accepted", ""), ("rejected", "duplicate")]
    assert {state for state, _ in states.values()} == {"accepted"}
