"""Exports: what the real libraries read back is what the corpus holds."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from jobs.export.corpus import Corpus, Sample
from jobs.export.formats import FORMATS
from jobs.sources.read import read_source
from jobs.sources.settings import SourceSettings
from schemas.snapshot import read_snapshot
from schemas.store import StoreAddress, open_store
from tests.jobs.small import build_here, row, rows, voxmill, write_job

pytestmark = pytest.mark.filterwarnings("ignore")  # of seven libraries, none of them ours
DIALOGUE = {
    "id": "dialogue",
    "conversations": [
        {"from": "human", "value": "Tell me about the river please."},
        {"from": "gpt", "value": "A river is water on its way to the sea."},
        {"from": "human", "value": "And tell me about the garden."},
        {"from": "gpt", "value": "A garden is a place where things grow."},
    ],
}


def as_dialogue(single: dict[str, Any]) -> dict[str, Any]:
    said = [("human", single["instruction"]), ("gpt", single["output"])]
    return {
        "id": single["id"],
        "conversations": [{"from": who, "value": text} for who, text in said],
    }


def built(folder: Path, lines: list[dict[str, Any]]) -> Path:
    source = {"path": "rows.jsonl", "adapter": "sharegpt", "name": "s", "license": "CC0-1.0"}
    job = write_job(
        folder, lines, source={**source, "lang": "en"}, splits={"eval_fraction": 0.4}, seed=3
    )
    done = build_here(job, folder / "out")
    assert done.code == 0, done.err
    return folder / "out"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Single turns and a dialogue, in both splits."""
    lines = [*map(as_dialogue, rows(6)), DIALOGUE]
    return built(tmp_path_factory.mktemp("corpus"), lines)


@pytest.fixture(scope="module")
def truth(corpus: Path) -> dict[str, Sample]:
    store = open_store(str(corpus))
    whole = Corpus(store, read_snapshot(store, 1))
    assert whole.splits == ("train", "eval")
    found = {item.key: item for split in whole.splits for item in whole.samples(split)}
    assert {len(item.turns) for item in found.values()} == {2, 4}
    return found


@pytest.fixture
def exported(corpus: Path, tmp_path: Path) -> Callable[[str], Path]:
    def run(to: str) -> Path:
        done = voxmill("export", str(corpus), "--to", to, "--output", str(tmp_path / to), "--json")
        assert done.code == 0, done.err
        assert done.last_json["identity"] in (tmp_path / to / "README.md").read_text()
        return tmp_path / to

    return run


def units_of(sample: Sample, turn: int) -> list[int]:
    (units,) = sample.turns[turn].units.values()
    return [int(code) for code in units.codes[0]]


def test_webdataset_reads_the_shards_byte_for_byte(
    exported: Callable[[str], Path], corpus: Path, truth: dict[str, Sample]
) -> None:
    import webdataset

    tars = sorted(exported("webdataset").glob("*/*.tar"))
    for tar in tars:
        assert tar.read_bytes() == (corpus / "shards" / tar.name).read_bytes()
    names = [str(tar) for tar in tars]
    read = {item["__key__"]: item for item in webdataset.WebDataset(names, shardshuffle=False)}
    assert read.keys() == truth.keys()
    for key, item in read.items():
        assert json.loads(item["json"]) == truth[key].record


def rounded(value: Any) -> Any:
    """JSON to 9 digits: the parser of ``datasets`` reads 0.82 as 0.8200000000000001."""
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 9) if isinstance(value, float) else value


def shard_features(num_turns: int) -> Any:
    """As docs/exports.md has them, but audio as bytes: ``datasets`` wants torchcodec for Audio."""
    from datasets import Features, Json, List, Value

    columns: dict[str, Any] = {"__key__": Value("string"), "__url__": Value("string")}
    columns["json"] = Json()
    for turn in range(0, num_turns, 2):
        told = f"{turn + 1:02d}.assistant"
        columns[f"{turn:02d}.user.flac"] = Value("binary")
        columns[f"{told}.flac"] = Value("binary")
        columns[f"{told}.mfcc4.npy"] = List(List(Value("int16")))
        columns[f"{told}.mfcc4.durations.npy"] = List(Value("int32"))
    return Features(columns)


@pytest.mark.parametrize("num_turns", [2, 4], ids=["single turns", "a dialogue among them"])
def test_datasets_opens_the_shards_as_they_are_with_given_features(
    num_turns: int, corpus: Path, truth: dict[str, Sample], tmp_path: Path
) -> None:
    import datasets

    wanted = truth
    if num_turns == 2:
        corpus = built(tmp_path, [*map(as_dialogue, rows(4))])
        store = open_store(str(corpus))
        whole = Corpus(store, read_snapshot(store, 1))
        wanted = {item.key: item for split in whole.splits for item in whole.samples(split)}
    read = datasets.load_dataset(
        "webdataset",
        data_files={"train": sorted(map(str, (corpus / "shards").glob("*.tar")))},
        split="train",
        features=shard_features(num_turns),
        cache_dir=str(tmp_path / "cache"),
    )
    assert set(read["__key__"]) == wanted.keys()
    for item in read:
        sample = wanted[item["__key__"]]
        assert rounded(item["json"]) == rounded(sample.record)
        assert item["01.assistant.flac"] == sample.turns[1].flac
        assert item["01.assistant.mfcc4.npy"] == [units_of(sample, 1)]
        if num_turns == 4:
            later = item["03.assistant.flac"]
            assert later == (sample.turns[3].flac if len(sample.turns) == 4 else None)


def test_datasets_opens_the_parquet_with_audio_columns(
    exported: Callable[[str], Path], truth: dict[str, Sample], tmp_path: Path
) -> None:
    import datasets

    read = datasets.load_dataset(str(exported("huggingface")), cache_dir=str(tmp_path / "cache"))
    assert set(read) == {"train", "test"}
    assert isinstance(read["train"].features["question_audio"], datasets.Audio)
    pairs = 0
    for split, part in read.items():
        for column in ("question_audio", "answer_audio"):
            part = part.cast_column(column, datasets.Audio(decode=False))
        for item in part:
            sample, first = truth[item["id"]], 2 * (item["round"] - 1)
            asked, told = sample.turns[first : first + 2]
            assert sample.record["split"] == {"train": "train", "test": "eval"}[split]
            assert item["question"] == asked.said["spoken_text"]
            assert item["answer_text"] == told.said["text"]
            assert item["question_audio"]["bytes"] == asked.flac
            assert item["answer_audio"]["bytes"] == told.flac
            assert item["speech_token"] == units_of(sample, first + 1)
            assert sum(item["speech_token_durations"]) == told.said["units"]["mfcc4"]["frames"]
            assert item["license"] == "CC0-1.0"
            pairs += 1
    assert pairs == sum(len(item.turns) for item in truth.values()) // 2


@pytest.mark.parametrize("to", ["lhotse", "lhotse_shar"])
def test_lhotse_opens_cuts_and_shar(
    to: str, exported: Callable[[str], Path], truth: dict[str, Sample]
) -> None:
    import lhotse

    folder = exported(to)
    cuts = []
    for split in ("train", "eval"):
        if to == "lhotse":
            found = lhotse.CutSet.from_file(folder / split / "cuts.jsonl.gz")
            cuts += list(found.with_recording_path_prefix(folder))
        else:
            cuts += list(lhotse.CutSet.from_shar(in_dir=folder / split))
    assert len(cuts) == sum(len(item.turns) for item in truth.values())
    for cut in cuts:
        (said,) = cut.supervisions
        turn = truth[said.custom["key"]].turns[said.custom["turn"]]
        audio, rate_hz = soundfile.read(io.BytesIO(turn.flac), dtype="float32")
        assert cut.sampling_rate == rate_hz
        np.testing.assert_array_equal(cut.load_audio()[0], audio)
        assert (said.text, said.language) == (turn.said["spoken_text"], "en")
        assert said.speaker == turn.said["speaker_id"]
        for name, units in turn.units.items():
            assert said.custom["units"][name]["codes"] == units.codes.tolist()


def crude(sample: Any) -> Any:
    return sample


def test_energon_prepares_and_loads_the_shards(
    exported: Callable[[str], Path], truth: dict[str, Sample]
) -> None:
    from megatron import energon

    class Encoder(energon.DefaultTaskEncoder):  # type: ignore[misc]
        decoder = None
        cookers = (energon.Cooker(energon.stateless(crude)),)

    folder = exported("energon")
    for part in ("train", "val"):
        loader = energon.get_savable_loader(
            energon.get_val_dataset(
                folder,
                split_part=part,
                batch_size=None,
                worker_config=energon.WorkerConfig(rank=0, world_size=1, num_workers=0),
                task_encoder=Encoder(),
            )
        )
        read = {item["__key__"]: item for item in loader}
        split = {"train": "train", "val": "eval"}[part]
        assert read.keys() == {k for k, item in truth.items() if item.record["split"] == split}
        for key, item in read.items():
            assert json.loads(item["json"]) == truth[key].record


def read_again(folder: Path, to: str, split: str, truth: dict[str, Sample]) -> Iterator[Any]:
    """What our own adapter of the layout makes of an export."""
    contract = next(iter(truth.values()))
    assert contract.turns
    settings = SourceSettings(
        path=folder / f"{split}.json", adapter=to, name="again", license="CC0-1.0", lang="en"
    )
    for found in read_source(settings):
        assert found.error is None, found.error
        yield found.conversation


def test_llama_omni_items_keep_texts_audio_and_units(
    exported: Callable[[str], Path], truth: dict[str, Sample]
) -> None:
    folder = exported("llama_omni")
    items = [
        item
        for split in ("train", "eval")
        for item in json.loads((folder / f"{split}.json").read_text())
    ]
    assert {item["id"] for item in items} == truth.keys()
    for item in items:
        sample = truth[item["id"]]
        assert [said["from"] for said in item["conversation"]] == ["human", "gpt"] * (
            len(sample.turns) // 2
        )
        for number, said in enumerate(item["conversation"]):
            assert (folder / said["speech"]).read_bytes() == sample.turns[number].flac
            assert said["text"] == sample.turns[number].said["spoken_text"]
            if said["from"] == "gpt":
                assert said["unit"] == units_of(sample, number)
    for split in ("train", "eval"):
        for again in read_again(folder, "llama_omni", split, truth):
            audio = [turn["audio"] for turn in again["turns"]]
            assert audio == [turn.flac for turn in truth[again["source_id"]].turns]


def test_qwen2_audio_messages_render_by_the_processors_own_template(
    exported: Callable[[str], Path], truth: dict[str, Sample]
) -> None:
    import jinja2
    from transformers import Qwen2AudioProcessor

    template = jinja2.Template(Qwen2AudioProcessor.default_chat_template.fget(None))
    folder = exported("qwen2_audio")
    lines = [
        line
        for split in ("train", "eval")
        for line in (folder / f"{split}.jsonl").read_text().splitlines()
    ]
    items = {item["id"]: item for item in map(json.loads, lines)}
    assert items.keys() == truth.keys()
    for key, item in items.items():
        asked = [turn for turn in truth[key].turns if turn.said["role"] == "user"]
        told = [turn.said["spoken_text"] for turn in truth[key].turns[1::2]]
        urls = [m["content"][0]["audio_url"] for m in item["messages"] if m["role"] == "user"]
        assert [(folder / url).read_bytes() for url in urls] == [turn.flac for turn in asked]
        text = template.render(messages=item["messages"])
        for number, answer in enumerate(told, start=1):
            marks = f"Audio {number}: <|audio_bos|><|AUDIO|><|audio_eos|>"
            assert f"{marks}\n<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>" in text


@pytest.mark.parametrize("to", ["webdataset", "huggingface", "lhotse", "lhotse_shar", "llama_omni"])
def test_what_the_command_prints_opens_the_export_as_it_stands(
    corpus: Path, tmp_path: Path, to: str
) -> None:
    done = voxmill("export", corpus, "--to", to, "--output", tmp_path / "out", "--json")
    *before, opening = done.last_json["opened_by"].splitlines()
    names: dict[str, Any] = {}
    exec("\n".join(before), names)
    opened = eval(opening, names)
    assert opened.num_rows if to == "huggingface" else next(iter(opened))
    readme = (tmp_path / "out" / "README.md").read_text()
    assert opening.replace(str(tmp_path / "out"), "FOLDER") in readme


def test_every_format_says_what_it_cannot_carry_in_the_docs_too() -> None:
    page = (Path(__file__).parents[2] / "docs" / "exports.md").read_text()
    for name, known in FORMATS.items():
        assert f"| `{name}` |" in page
        assert " ".join(known.lost.split()) in " ".join(page.split())


def test_a_folder_in_use_and_an_unknown_format_are_refused(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("keep me")
    done = voxmill("export", str(corpus), "--to", "webdataset", "--output", str(tmp_path / "used"))
    assert done.code == 2
    assert "something is there already" in done.err
    assert (tmp_path / "used" / "mine.txt").read_text() == "keep me"
    done = voxmill("export", str(corpus), "--to", "lhotze", "--output", str(tmp_path / "new"))
    assert done.code == 2
    assert "did you mean 'lhotse'" in done.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("to", ["webdataset", "huggingface"])
def test_a_damaged_corpus_is_told_and_no_folder_is_left(
    to: str, corpus: Path, tmp_path: Path
) -> None:
    spoilt = Path(shutil.copytree(corpus, tmp_path / "spoilt"))
    tar = next((spoilt / "shards").glob("train-*.tar"))
    data = bytearray(tar.read_bytes())
    data[5000] ^= 1
    tar.write_bytes(bytes(data))
    done = voxmill("export", str(spoilt), "--to", to, "--output", str(tmp_path / "new"))
    assert done.code == 1
    assert tar.name in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["spoilt"]


@pytest.mark.parametrize("left", [0, 5000])
def test_a_cut_shard_is_damage_too(left: int, corpus: Path, tmp_path: Path) -> None:
    spoilt = Path(shutil.copytree(corpus, tmp_path / "spoilt"))
    tar = next((spoilt / "shards").glob("train-*.tar"))
    tar.write_bytes(tar.read_bytes()[:left])
    done = voxmill("export", str(spoilt), "--to", "llama_omni", "--output", str(tmp_path / "new"))
    assert done.code == 1
    assert f"{tar.name}: has {left} bytes" in done.err
    assert "build again with the same job" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["spoilt"]


def test_a_corpus_without_samples_has_nothing_to_export(tmp_path: Path) -> None:
    job = write_job(tmp_path, [row("river", "?!")])
    assert build_here(job, tmp_path / "out").code == 0
    place, to = str(tmp_path / "out"), str(tmp_path / "new")
    done = voxmill("export", place, "--to", "webdataset", "--output", to)
    assert done.code == 2
    assert "holds no sample" in done.err


def test_a_bucket_is_exported_too(s3: StoreAddress, corpus: Path, tmp_path: Path) -> None:
    from jobs.export.formats import export

    store = open_store(s3)
    for path in sorted(corpus.rglob("*")):
        if path.is_file() and "work" not in path.parts:
            store.put(path.relative_to(corpus).as_posix(), path.read_bytes())
    done = export(s3, "llama_omni", tmp_path / "new")
    assert done["samples"] == 7
