"""Qwen2-Audio's messages: what its processor's chat template turns into ChatML."""

import json
from pathlib import Path
from typing import Any

from jobs.export.corpus import Corpus, Sample

FOR_WHOM = "Qwen2-Audio and trainers that take its messages (voice chat: the question is audio)"
OPENED_BY = """\
import json
items = [json.loads(line) for line in open("FOLDER/train.jsonl")]
# processor.apply_chat_template(items[0]["messages"], tokenize=False)"""
LOST = "spoken answers and all units (the model answers in text), voices, measures, lineage"


def write(corpus: Corpus, folder: Path) -> int:
    """SPLIT.jsonl and audio/KEY.NN.user.flac; ``audio_url`` is relative to the folder.

    The text of an answer is what was spoken, so that it is what a voice would say.
    """
    (folder / "audio").mkdir()
    count = 0
    for split in corpus.splits:
        with open(folder / f"{split}.jsonl", "w", encoding="utf-8") as stream:
            for sample in corpus.samples(split):
                stream.write(json.dumps(_item(sample, folder), ensure_ascii=False) + "\n")
                count += 1
    return count


def _item(sample: Sample, folder: Path) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    if "system" in sample.record:
        messages.append({"role": "system", "content": sample.record["system"]})
    for turn in sample.turns:
        if turn.said["role"] == "assistant":
            messages.append({"role": "assistant", "content": turn.said["spoken_text"]})
            continue
        path = f"audio/{sample.key}.{turn.name}.flac"
        (folder / path).write_bytes(turn.flac)
        messages.append({"role": "user", "content": [{"type": "audio", "audio_url": path}]})
    return {
        "id": sample.key,
        "mode": "voice_chat",
        "lang": sample.record["lang"],
        "license": sample.record["license"],
        "messages": messages,
    }
