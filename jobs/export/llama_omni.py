"""LLaMA-Omni's published layout: items of id and conversation, with paths of audio and units."""

import json
from pathlib import Path
from typing import Any

from jobs.export.corpus import Corpus, Sample

FOR_WHOM = "LLaMA-Omni 2 and what reads its data"
OPENED_BY = """\
import json
json.load(open("FOLDER/train.json"))  # {id, conversation: [{from, text, speech, unit}]}"""
LOST = (
    "voices, measures, run lengths and lineage; of several unit sets the first; of several "
    "codebooks the first; system turns"
)
FROM = {"user": "human", "assistant": "gpt"}


def write(corpus: Corpus, folder: Path) -> int:
    """SPLIT.json and speech/KEY.NN.ROLE.flac; ``speech`` is relative to the folder."""
    (folder / "speech").mkdir()
    names = [item.name for item in corpus.unit_sets]
    count = 0
    for split in corpus.splits:
        with open(folder / f"{split}.json", "w", encoding="utf-8") as stream:
            stream.write("[")
            for number, sample in enumerate(corpus.samples(split)):
                stream.write("\n" if number == 0 else ",\n")
                stream.write(json.dumps(_item(sample, folder, names), ensure_ascii=False))
                count += 1
            stream.write("\n]\n")
    return count


def _item(sample: Sample, folder: Path, names: list[str]) -> dict[str, Any]:
    said = []
    for turn in sample.turns:
        path = f"speech/{sample.key}.{turn.name}.flac"
        (folder / path).write_bytes(turn.flac)
        entry: dict[str, Any] = {
            "from": FROM[turn.said["role"]],
            "text": turn.said["spoken_text"],
            "speech": path,
        }
        units = next((turn.units[name] for name in names if name in turn.units), None)
        if units is not None:
            entry["unit"] = units.codes[0].tolist()
        said.append(entry)
    return {"id": sample.key, "conversation": said}
