"""One accepted row as a sample: its KEY.json, its members and its index row."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.evaluate import Tables, live
from pipelines.graph import CONVERSATIONS, UTTERANCES
from schemas.canonical import canonical_json
from schemas.shard import (
    FORMAT,
    Member,
    Placed,
    durations_suffix,
    flac_suffix,
    npy,
    units_suffix,
)
from schemas.unitset import UnitSet
from schemas.utterance import TAKEN, Attempt

TURN_COLUMNS = (
    "turn",
    "role",
    "text",
    "spoken_text",
    "voice",
    "speaker_id",
    "flac",
    "sample_rate_hz",
    "num_samples",
    "audio_provenance",
    "attempts",
    "words",
    "augmentation",
    "heard_text",
    "measures",
    "codes",
    "durations",
    "num_frames",
    "num_units",
)
SMALL, WIDE = np.int16, np.int32


@dataclass(frozen=True)
class Sample:
    """What ships of one row: ``record`` is KEY.json, ``turns`` the utterances behind it."""

    key: str
    record: dict[str, Any]
    turns: list[dict[str, Any]]
    unit_set: UnitSet

    def members(self) -> list[Member]:
        """The files in the order in which they stand in the tar."""
        found = [Member("json", canonical_json(self.record))]
        for turn in self.turns:
            number, role = turn["turn"], turn["role"]
            found.append(Member(flac_suffix(number, role), turn["flac"]))
            if turn["codes"] is not None:
                name = self.unit_set.name
                dtype = SMALL if self.unit_set.codebook_size <= np.iinfo(SMALL).max else WIDE
                codes = np.asarray([turn["codes"]], dtype)
                found.append(Member(units_suffix(number, role, name), npy(codes)))
                if turn["durations"] is not None:
                    lengths = np.asarray(turn["durations"], WIDE)
                    found.append(Member(durations_suffix(number, role, name), npy(lengths)))
        return found

    def index_row(self, placed: Placed, shard: str) -> dict[str, Any]:
        """The sample's row of the index."""
        return {
            "key": self.key,
            "shard": shard,
            "offset": placed.offset,
            "length": placed.length,
            "crc32c": placed.crc32c,
            "members": [
                {"suffix": suffix, "offset": offset, "size": size}
                for suffix, offset, size in placed.members
            ],
            **{name: self.record[name] for name in ("split", "lang", "source", "source_id")},
            "license": self.record["license"],
            "duration_s": sum(_duration_s(turn) for turn in self.turns),
            "turns": [
                {
                    **{
                        name: turn[name]
                        for name in (
                            "turn",
                            "role",
                            "text",
                            "spoken_text",
                            "voice",
                            "speaker_id",
                            "num_frames",
                            "num_units",
                            "measures",
                            "augmentation",
                        )
                    },
                    "duration_s": _duration_s(turn),
                }
                for turn in self.turns
            ],
            "num_dropped": len({item["turn"] for item in self.record["dropped"]}),
            "lineage": canonical_json(self.record["lineage"]).decode("ascii"),
        }


def samples(
    tables: Tables, split: str, unit_set: UnitSet, lineage: Mapping[str, str]
) -> Iterator[Sample]:
    """The accepted rows of a split, in the order of the partition.

    ``lineage`` maps the memo steps to their fingerprints.
    """
    conversations = tables[CONVERSATIONS]
    accepted = conversations.filter(
        pa.compute.and_(live(conversations), pa.compute.equal(conversations.column("split"), split))
    )
    wanted = [
        "id",
        "source",
        "source_id",
        "license",
        "lang",
        "image",
        "split",
        "turns",
        "kept_turns",
        "dropped",
    ]
    spans = _spans(tables[UTTERANCES].column("id").to_pylist())
    utterances = tables[UTTERANCES].select(TURN_COLUMNS)
    for row in accepted.select(wanted).to_pylist():
        start, length = spans[row["id"]]
        kept = set(row["kept_turns"])
        turns = [
            turn for turn in utterances.slice(start, length).to_pylist() if turn["turn"] in kept
        ]
        yield Sample(row["id"], _record(row, turns, unit_set, lineage), turns, unit_set)


def _spans(ids: list[str]) -> dict[str, tuple[int, int]]:
    spans: dict[str, tuple[int, int]] = {}
    for row, key in enumerate(ids):
        start, length = spans.get(key, (row, 0))
        spans[key] = (start, length + 1)
    return spans


def _record(
    row: dict[str, Any], turns: list[dict[str, Any]], unit_set: UnitSet, lineage: Mapping[str, str]
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "schema": FORMAT,
        **{name: row[name] for name in ("id", "source", "source_id", "license", "lang", "split")},
        "turns": [_turn(row, turn, unit_set) for turn in turns],
        "dropped": row["dropped"],
        "lineage": dict(lineage),
    }
    system = [item["text"] for item in row["turns"] if item["role"] == "system"]
    if system:
        record["system"] = "\n".join(system)
    if row["image"] is not None:
        record["image"] = row["image"]
    return record


def _turn(row: dict[str, Any], turn: dict[str, Any], unit_set: UnitSet) -> dict[str, Any]:
    shown: dict[str, Any] = {
        name: turn[name] for name in ("turn", "role", "text", "spoken_text", "voice", "speaker_id")
    }
    source = row["turns"][turn["turn"]]
    if source["input"]:
        shown["input"] = source["input"]
    shown["duration_s"] = round(_duration_s(turn), 6)
    shown["provenance"] = turn["audio_provenance"]
    shown["measures"] = {
        item["name"]: round(item["value"], 6)
        for item in turn["measures"]
        if item["status"] == TAKEN
    }
    shown["measures_not_taken"] = {
        item["name"]: item["status"] for item in turn["measures"] if item["status"] != TAKEN
    }
    shown |= _heard(turn)
    if turn["codes"] is not None:
        shown["units"] = {unit_set.name: {"frames": turn["num_frames"], "units": turn["num_units"]}}
    return shown


def _heard(turn: dict[str, Any]) -> dict[str, Any]:
    """What checks and augmentation leave in KEY.json, where there is any of it."""
    shown: dict[str, Any] = {}
    if len(turn["attempts"]) > 1:  # of one alone, the turn's own measures tell all
        shown["attempts"] = [_attempt(item) for item in turn["attempts"]]
    if turn["words"]:
        shown["words"] = [[item["word"], item["start_s"], item["end_s"]] for item in turn["words"]]
    if turn["augmentation"]:
        shown["augmentation"] = json.loads(turn["augmentation"])
    if turn["heard_text"]:
        shown["heard_text"] = turn["heard_text"]
    return shown


def _attempt(attempt: Attempt) -> dict[str, Any]:
    """An attempt without what says nothing."""
    shown = {name: attempt[name] for name in ("number", "rate", "seed", "score", "kept")}
    measures = {
        item["name"]: round(item["value"], 6)
        for item in attempt["measures"]
        if item["value"] is not None
    }
    texts = {name: attempt[name] for name in ("said", "error") if attempt[name]}
    return {**shown, **texts, "measures": measures}


def _duration_s(turn: dict[str, Any]) -> float:
    return float(turn["num_samples"] / turn["sample_rate_hz"])
