"""The utterances that the report lets one hear: text, audio, waveform, measures and units."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from jobs.report.extras import KNOWN
from jobs.report.judged import Rules
from jobs.report.reading import IndexRow, read_sample
from jobs.report.turns import MAX_TURNS, Budget, ShownTurn, shown_turns
from jobs.report.words import clipped, fact, reason_words
from pipelines.outcome import Outcome
from schemas.shard import durations_suffix, flac_suffix, read_npy, units_suffix
from schemas.snapshot import Manifest
from schemas.store import Store

Group: TypeAlias = Literal["random", "worst", "rejected", "failed"]
MAX_REASONS: Final = 20
SHOWN: Final = KNOWN - {"heard_text"}


@dataclass(frozen=True, kw_only=True)
class ShownSample:
    """A row as it ended, with what it says; ``facts`` are its small print."""

    key: str
    state: str
    lang: str
    facts: Sequence[str]
    turns: Sequence[ShownTurn]
    codes: Sequence[str] = ()  # of its reasons, or its error's class
    reasons: Sequence[str] = ()
    group: Group = "random"
    odd: Sequence[str] = ()  # of an accepted row: why it may be worth hearing
    duration_s: float | None = None
    more_turns: int = 0

    @property
    def voices(self) -> list[str]:
        """Every voice that is heard in it."""
        return sorted({turn.voice for turn in self.turns if turn.voice})


def shown_sample(
    store: Store,
    manifest: Manifest,
    row: IndexRow,
    rules: Rules,
    budget: Budget,
    *,
    group: Group = "random",
    odd: Sequence[str] = (),
) -> ShownSample:
    """An accepted sample, read and checked. Raises DamageError."""
    members = read_sample(store, row)
    record = json.loads(members["json"])
    records = {turn["turn"]: turn for turn in record["turns"]}
    turns = [
        {
            **turn,
            "input": records[turn["turn"]].get("input", ""),
            "flac": members[flac_suffix(turn["turn"], turn["role"])],
            "record": records[turn["turn"]],
            **turn_units(manifest, members, turn),
        }
        for turn in row["turns"]
    ]
    facts = [row["split"], row["lang"], row["source"], row["source_id"], row["license"]]
    facts += [f"{row['num_dropped']} turns left out"] if row["num_dropped"] else []
    return ShownSample(
        key=row["key"],
        state="accepted",
        group=group,
        odd=odd,
        lang=row["lang"],
        facts=[fact(item) for item in facts if item],
        turns=shown_turns(turns, row["lang"], rules, manifest, budget),
        codes=sorted({item["code"] for item in record["dropped"]}),
        duration_s=row["duration_s"],
        reasons=[f"left out: {reason_words(item)}" for item in record["dropped"][:MAX_REASONS]],
        more_turns=max(0, len(turns) - MAX_TURNS),
    )


def shown_outcome(
    row: Outcome,
    spoken: Mapping[int, Mapping[str, Any]],
    rules: Rules,
    manifest: Manifest,
    budget: Budget,
) -> ShownSample:
    """A rejected or failed row; ``spoken`` has the exhibits of its turns, by turn, if heard."""
    turns: list[dict[str, Any]] = [
        {**turn, "turn": number, "record": {}, **_exhibit(spoken.get(number), row["turns"][number])}
        for number, turn in enumerate(row["turns"])
    ]
    words = list(dict.fromkeys(reason_words(item) for item in row["reasons"]))[:MAX_REASONS]
    codes = {item["code"] for item in row["reasons"]}
    error = row["error"]
    if error is not None:
        again = "; it may pass another time" if error["retryable"] else ""
        words = [
            clipped(f"{error['step']}, {error['error_class']}: {error['message']}{again}", 600)
        ]
        codes = {error["error_class"]}
    return ShownSample(
        key=row["id"],
        state=row["state"],
        group="failed" if row["state"] == "failed" else "rejected",
        lang=row["lang"],
        facts=[fact(item) for item in (row["lang"], row["origin"], row["source_id"]) if item],
        turns=shown_turns(turns, row["lang"], rules, manifest, budget, row["reasons"]),
        codes=sorted(codes),
        reasons=words,
        more_turns=max(0, len(turns) - MAX_TURNS),
    )


def _exhibit(exhibit: Mapping[str, Any] | None, turn: Mapping[str, Any]) -> dict[str, Any]:
    if exhibit is None:
        return {"spoken_text": turn["spoken_text"] or ""}
    codes = exhibit["codes"] or []
    told = {name: exhibit[name] for name in exhibit if name not in SHOWN and exhibit[name]}
    return {**exhibit, "codes": codes, "num_units": len(codes), "record": told}


def turn_units(
    manifest: Manifest, members: Mapping[str, bytes], turn: Mapping[str, Any]
) -> dict[str, Any]:
    """The codes of a turn (of several codebooks the first) with their lengths and counts.

    Of several unit sets the last one that the turn has: the set that the index counts.
    """
    for value in reversed(manifest["unit_sets"]):
        place = (turn["turn"], turn["role"], str(value["name"]))
        data = members.get(units_suffix(*place))
        if data is None:
            continue
        codes = read_npy(data)[0].tolist()
        runs = members.get(durations_suffix(*place))
        lengths = None if runs is None else read_npy(runs).tolist()
        found = {"codes": codes, "durations": lengths, "num_units": len(codes)}
        return found if lengths is None else {**found, "num_frames": sum(lengths)}
    return {}
