"""Hugging Face datasets: Parquet with Audio columns, a row per pair of turns.

The columns are those of InstructS2S's Parquet mirror (id, round, question, question_audio,
answer, answer_audio, speech_token) and more; rows of one conversation stand together.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.export.corpus import Corpus, Sample, Turn

FOR_WHOM = "Hugging Face datasets"
OPENED_BY = """\
import datasets
datasets.load_dataset("FOLDER", split="train")"""
LOST = (
    "attempts, word times and what was dropped, which KEY.json has; the split eval is called test; "
    "of several unit sets the first"
)
SPLITS: Final = {"train": "train", "eval": "test"}
AUDIO: Final = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
UNITS: Final = pa.list_(pa.int32())
TARGET_BYTES: Final = 400_000_000  # of a file
GROUP_BYTES: Final = 30_000_000  # of a row group, which is in memory at once


def write(corpus: Corpus, folder: Path) -> int:
    """data/SPLIT-NNNNN.parquet, and a README.md with the header that ``load_dataset`` reads."""
    (folder / "data").mkdir()
    wide = any(item.num_codebooks > 1 for item in corpus.unit_sets[:1])
    schema = _schema(wide)
    names = [item.name for item in corpus.unit_sets][:1]
    count = 0
    for split in corpus.splits:
        rows = (row for sample in corpus.samples(split) for row in _rows(sample, names, wide))
        count += _write_split(folder / "data", SPLITS.get(split, split), rows, schema)
    (folder / "README.md").write_text(_header(corpus), encoding="utf-8")
    return count


def _schema(wide: bool) -> pa.Schema:
    units = pa.list_(UNITS) if wide else UNITS
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("round", pa.int32()),
            ("question", pa.string()),
            ("question_audio", AUDIO),
            ("answer", pa.string()),
            ("answer_audio", AUDIO),
            ("speech_token", units),
            ("speech_token_durations", UNITS),
            ("question_text", pa.string()),
            ("answer_text", pa.string()),
            ("question_voice", pa.string()),
            ("answer_voice", pa.string()),
            ("system", pa.string()),
            ("source", pa.string()),
            ("source_id", pa.string()),
            ("license", pa.string()),
            ("lang", pa.string()),
            ("measures", pa.string()),
            ("lineage", pa.string()),
        ]
    )
    return schema.with_metadata(
        {"huggingface": json.dumps({"info": {"features": _features(wide)}})}
    )


def _features(wide: bool) -> dict[str, Any]:
    """What ``datasets`` itself writes into a Parquet file's metadata."""

    def value(kind: str) -> dict[str, Any]:
        return {"dtype": kind, "_type": "Value"}

    tokens: Any = {"feature": value("int32"), "_type": "List"}
    texts = (
        "question_text answer_text question_voice answer_voice system source source_id license "
        "lang measures lineage"
    )
    return {
        "id": value("string"),
        "round": value("int32"),
        "question": value("string"),
        "question_audio": {"_type": "Audio"},
        "answer": value("string"),
        "answer_audio": {"_type": "Audio"},
        "speech_token": {"feature": tokens, "_type": "List"} if wide else tokens,
        "speech_token_durations": tokens,
        **{name: value("string") for name in texts.split()},
    }


def _rows(sample: Sample, names: list[str], wide: bool) -> Iterator[dict[str, Any]]:
    record = sample.record
    for number, (asked, told) in enumerate(sample.pairs(), start=1):
        carrier = next((turn for turn in (told, asked) if turn and turn.units), None)
        units = carrier.units.get(names[0]) if carrier is not None and names else None
        turns = [turn for turn in (asked, told) if turn is not None]
        measured = {turn.name: turn.said["measures"] for turn in turns}
        codes = None if units is None else units.codes.tolist()
        yield {
            "id": sample.key,
            "round": number,
            "question": asked.said["spoken_text"],
            "question_audio": _audio(sample.key, asked),
            "answer": None if told is None else told.said["spoken_text"],
            "answer_audio": None if told is None else _audio(sample.key, told),
            "speech_token": codes if wide or codes is None else codes[0],
            "speech_token_durations": None
            if units is None or units.durations is None
            else units.durations.tolist(),
            "question_text": asked.said["text"],
            "answer_text": None if told is None else told.said["text"],
            "question_voice": asked.said["voice"],
            "answer_voice": None if told is None else told.said["voice"],
            "system": record.get("system"),
            **{name: record[name] for name in ("source", "source_id", "license", "lang")},
            "measures": json.dumps(measured, sort_keys=True),
            "lineage": json.dumps(record["lineage"], sort_keys=True),
        }


def _audio(key: str, turn: Turn) -> dict[str, Any]:
    return {"bytes": turn.flac, "path": f"{key}.{turn.name}.flac"}


def _write_split(
    folder: Path, split: str, rows: Iterator[dict[str, Any]], schema: pa.Schema
) -> int:
    count, number = 0, 0
    writer: pq.ParquetWriter | None = None
    path = folder
    try:
        for group in _groups(rows):
            if writer is not None and path.stat().st_size > TARGET_BYTES:
                writer.close()
                writer, number = None, number + 1
            if writer is None:
                path = folder / f"{split}-{number:05d}.parquet"
                writer = pq.ParquetWriter(path, schema)
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    finally:
        if writer is not None:
            writer.close()
    return count


def _groups(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(
            len(row[name]["bytes"]) for name in ("question_audio", "answer_audio") if row[name]
        )
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _header(corpus: Corpus) -> str:
    files = "\n".join(
        f"  - split: {name}\n    path: data/{name}-*.parquet"
        for name in (SPLITS.get(split, split) for split in corpus.splits)
    )
    return f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}\n---\n\n"
