"""One accepted row as a sample: its KEY.json, its members and its index row."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from pipelines.graph import CONVERSATIONS, UTTERANCES
from pipelines.tables import Tables, live
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
from schemas.utterance import MANNER, TAKEN, Attempt

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
    "codes",
    "durations",
    "num_frames",
    "num_units",
)
SMALL, WIDE = np.int16, np.int32


class Shipped(Protocol):
    """What a shard is assembled from: a row that was made here, or one copied from a parent."""

    @property
    def key(self) -> str:
        """The sample's key."""

    def members(self) -> list[Member]:
        """The files in the order in which they stand in the tar."""

    def index_row(self, placed: Placed, shard: str) -> dict[str, Any]:
        """The sample's row of the index."""


@dataclass(frozen=True)
class Sample:
    """What ships of one row: ``record`` is KEY.json, ``turns`` the utterances behind it.

    ``kept`` are the units that the source brought, of ``kept_sets``.
    """

    key: str
    record: dict[str, Any]
    turns: list[dict[str, Any]]
    unit_set: UnitSet | None
    kept: list[dict[str, Any]]
    kept_sets: tuple[UnitSet, ...]

    def members(self) -> list[Member]:
        """The files in the order in which they stand in the tar."""
        found = [Member("json", canonical_json(self.record))]
        for turn in self.turns:
            number, role = turn["turn"], turn["role"]
            found.append(Member(flac_suffix(number, role), turn["flac"]))
            for unit_set in self.kept_sets:
                for units in self.kept:
                    if (units["turn"], units["set"]) == (number, unit_set.name):
                        found += _unit_members(number, role, unit_set, units)
            if turn["codes"] is not None and self.unit_set is not None:
                found += _unit_members(number, role, self.unit_set, turn)
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
                        )
                    },
                    "augmentation": self._augmentation(turn["turn"]),
                    "duration_s": _duration_s(turn),
                }
                for turn in self.turns
            ],
            "num_dropped": len({item["turn"] for item in self.record["dropped"]}),
            "lineage": canonical_json(self.record["lineage"]).decode("ascii"),
        }

    def _augmentation(self, turn: int) -> str:
        """What KEY.json says of a turn, made here or in the corpus before; empty for nothing."""
        shown = next(item for item in self.record["turns"] if item["turn"] == turn)
        applied = shown.get("augmentation")
        return canonical_json(applied).decode("ascii") if applied else ""


def _unit_members(
    number: int, role: str, unit_set: UnitSet, units: Mapping[str, Any]
) -> list[Member]:
    dtype = SMALL if unit_set.codebook_size <= np.iinfo(SMALL).max else WIDE
    codes = np.asarray(units["codes"], dtype).reshape(unit_set.num_codebooks, -1)
    found = [Member(units_suffix(number, role, unit_set.name), npy(codes))]
    if units["durations"] is not None:
        lengths = np.asarray(units["durations"], WIDE)
        found.append(Member(durations_suffix(number, role, unit_set.name), npy(lengths)))
    return found


def samples(
    tables: Tables,
    split: str,
    unit_set: UnitSet | None,
    kept_sets: tuple[UnitSet, ...],
    lineage: Mapping[str, str],
) -> Iterator[Sample]:
    """The accepted rows of a split, in the order of the partition.

    ``unit_set`` is extracted here, ``kept_sets`` came with the source. ``lineage`` maps the memo
    steps to their fingerprints.
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
        "utterances",
    ]
    spans = _spans(tables[UTTERANCES].column("id").to_pylist())
    table = tables[UTTERANCES]
    manner = [name for name in MANNER.names if name in table.column_names]  # of what was cast
    utterances = table.select([*TURN_COLUMNS, *manner])
    wanted += [name for name in ("record", "kept_units") if name in accepted.column_names]
    for row in accepted.select(wanted).to_pylist():
        start, length = spans[row["id"]]
        kept = set(row["kept_turns"])
        turns = [
            turn for turn in utterances.slice(start, length).to_pylist() if turn["turn"] in kept
        ]
        measured = {item["turn"]: item["measures"] for item in row["utterances"]}
        for turn in turns:  # as gathered: those of the pair are among them
            turn["measures"] = measured[turn["turn"]]
        record = _record(row, turns, unit_set, lineage)
        units = row.get("kept_units") or []
        books = {item.name: item.num_codebooks for item in kept_sets}
        for shown in record["turns"]:
            for item in units:
                if item["turn"] == shown["turn"]:
                    sizes = {
                        "frames": item["num_frames"],
                        "units": len(item["codes"]) // books[item["set"]],
                    }
                    shown.setdefault("units", {})[item["set"]] = sizes
        before = row.get("record")
        if before is not None:
            record = _continued(json.loads(before), record, unit_set)
        yield Sample(row["id"], record, turns, unit_set, units, kept_sets)


def _continued(
    before: dict[str, Any], record: dict[str, Any], unit_set: UnitSet | None
) -> dict[str, Any]:
    """KEY.json of a sample that was one before: all that it said, and what is new.

    The lineage of its audio and older units stays; the new set's is under "units:" and its name.
    """
    lineage = dict(record["lineage"])
    if unit_set is not None and "units" in lineage:
        lineage[f"units:{unit_set.name}"] = lineage.pop("units")
    dropped = [item for item in record["dropped"] if item not in before["dropped"]]
    said = {turn["turn"]: turn for turn in before["turns"]}
    return {
        **before,
        **record,
        "turns": [{**said.get(turn["turn"], {}), **turn} for turn in record["turns"]],
        "dropped": [*before["dropped"], *dropped],
        "lineage": {**before["lineage"], **lineage},
    }


def _spans(ids: list[str]) -> dict[str, tuple[int, int]]:
    spans: dict[str, tuple[int, int]] = {}
    for row, key in enumerate(ids):
        start, length = spans.get(key, (row, 0))
        spans[key] = (start, length + 1)
    return spans


def _record(
    row: dict[str, Any],
    turns: list[dict[str, Any]],
    unit_set: UnitSet | None,
    lineage: Mapping[str, str],
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


def _turn(row: dict[str, Any], turn: dict[str, Any], unit_set: UnitSet | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        name: turn[name] for name in ("turn", "role", "text", "spoken_text", "voice", "speaker_id")
    }
    shown |= {name: turn[name] for name in MANNER.names if turn.get(name)}
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
    if turn["codes"] is not None and unit_set is not None:
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
