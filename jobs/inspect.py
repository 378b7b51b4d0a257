"""`voxmill inspect`: a snapshot at a glance, or one of its rows for eyes and ears."""

import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jobs.report.reading import IndexRow, index_rows, outcome_rows, read_sample
from jobs.report.render import duration
from jobs.report.samples import measure_words, reason_words
from jobs.report.waveform import blocks, loudest
from pipelines.outcome import Outcome
from schemas.errors import DamageError, SettingsError
from schemas.shard import flac_suffix, read_npy, units_suffix
from schemas.snapshot import Manifest, chosen_snapshot
from schemas.store import Store, StoreAddress, open_store
from transforms.audio import decode_flac

FIRST_KEYS: Final = 10
COLUMNS: Final = 72  # of a waveform
UNITS: Final = 24
NEAREST: Final = 3
# C0 and C1 except the newline, and what turns the direction of text
CONTROLS: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def inspect(
    uri: str | StoreAddress,
    key: str | None,
    *,
    version: int | None = None,
    save_to: Path | None = None,
) -> str:
    """What there is to know of a snapshot, or of the row ``key``, as text for a terminal.

    ``key`` is an id, the unique beginning of one, or the row's own id in its source. ``save_to`` is
    a folder for an accepted row's files. Raises SettingsError for what is not there, DamageError.
    """
    store = open_store(uri)
    manifest = chosen_snapshot(store, version)
    if key is None:
        return _terminal(_overview(store, manifest))
    state, name = _find(store, manifest, key)
    if state == "accepted":
        (row,) = (row for row in index_rows(store, manifest) if row["key"] == name)
        return _terminal(_sample(store, manifest, row, save_to))
    entry = manifest["rejected"] if state == "rejected" else manifest["failed"]
    (outcome,) = (row for row in outcome_rows(store, entry) if row["id"] == name)
    return _terminal(_outcome(outcome))


def _overview(store: Store, manifest: Manifest) -> str:
    counts = manifest["counts"]
    lines = [
        f"{manifest['settings']['name']} v{manifest['version']}, pipeline {manifest['pipeline']}",
        f"identity  {manifest['identity']}",
        f"parent    {'none' if manifest['parent'] is None else manifest['parent']['version']}",
        f"rows      {counts['rows']:,}: {counts['accepted']:,} accepted, "
        f"{counts['rejected']:,} rejected, {counts['failed']:,} failed",
    ]
    for split in sorted({shard["split"] for shard in manifest["shards"]}, reverse=True):
        shards = [shard for shard in manifest["shards"] if shard["split"] == split]
        samples = sum(shard["samples"] for shard in shards)
        seconds = sum(shard["seconds"] for shard in shards)
        lines.append(f"{split:<9} {samples:,} samples, {duration(seconds)}, {len(shards)} shards")
    units = ", ".join(str(item["name"]) for item in manifest["unit_sets"])
    lines += [f"units     {units or 'none'}", "", f"first {FIRST_KEYS} keys"]
    for row in itertools.islice(index_rows(store, manifest, ["key", "lang", "turns"]), FIRST_KEYS):
        asked = row["turns"][0]["spoken_text"] if row["turns"] else ""
        lines.append(f"  {row['key']}  {row['lang']}  {_cut(asked)}")
    return "\n".join(lines)


def _find(store: Store, manifest: Manifest, key: str) -> tuple[str, str]:
    """The state and the id of the one row that ``key`` means."""
    exact: list[tuple[str, str]] = []
    begins: list[tuple[str, str]] = []
    by_source: list[tuple[str, str]] = []
    near: list[tuple[int, str, str]] = []
    for state, name, source_id in _names(store, manifest):
        if name == key:
            exact.append((state, name))
        if name.startswith(key):
            begins = [*begins[: NEAREST + 1], (state, name)]
        if source_id and source_id == key:
            by_source = [*by_source[: NEAREST + 1], (state, name)]
        near = sorted([*near, (-_likeness(key, name), name, state)])[:NEAREST]
    for found in (exact, begins, by_source):
        if len(found) == 1:
            return found[0]
        if found:
            some = ", ".join(name for _, name in found[:NEAREST])
            raise SettingsError(f"'{key}' could be several rows ({some}, ...); give more of the id")
    hint = ", ".join(f"{name} ({state})" for _, name, state in near) or "none, it has no rows"
    raise SettingsError(
        f"{store.uri} v{manifest['version']} has no row '{key}'; the nearest: {hint}. "
        f"`voxmill inspect {store.uri}` lists the first keys"
    )


def _names(store: Store, manifest: Manifest) -> "itertools.chain[tuple[str, str, str]]":
    accepted = (
        ("accepted", row["key"], row["source_id"])
        for row in index_rows(store, manifest, ["key", "source_id"])
    )
    others = (
        (state, row["id"], row["source_id"])
        for state, entry in (("rejected", manifest["rejected"]), ("failed", manifest["failed"]))
        for row in outcome_rows(store, entry, ["id", "source_id"])
    )
    return itertools.chain(accepted, others)


def _likeness(one: str, other: str) -> int:
    """Characters that the two share at their beginning and at their end."""
    pairs = (zip(one, other, strict=False), zip(one[::-1], other[::-1], strict=False))
    return sum(len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], p))) for p in pairs)


def _sample(store: Store, manifest: Manifest, row: IndexRow, save_to: Path | None) -> str:
    members = read_sample(store, row)
    record = json.loads(members["json"])
    lines = [
        f"{row['key']}: accepted, {row['split']}, {row['lang']}, {duration(row['duration_s'])}",
        f"shards/{row['shard']} at {row['offset']:,}, {row['length']:,} bytes, crc32c holds",
        "",
        *(f"  {row['key']}.{suffix}  {len(data):,} bytes" for suffix, data in members.items()),
    ]
    sounds = {
        turn["turn"]: decode_flac(members[flac_suffix(turn["turn"], turn["role"])])[0]
        for turn in row["turns"]
    }
    full_scale = max(map(loudest, sounds.values()), default=1)
    inputs = {turn["turn"]: turn.get("input", "") for turn in record["turns"]}
    for turn in row["turns"]:
        said = {**turn, "input": inputs[turn["turn"]]}
        lines += ["", *_texts(turn["turn"], said)]
        lines.append(
            f"  voice   {turn['voice'] or 'of the source'} ({turn['speaker_id'] or 'unknown'}), "
            f"{turn['duration_s']:.3f} s"
        )
        lines.append(f"  wave    {blocks(sounds[turn['turn']], COLUMNS, full_scale)}")
        lines.append("  measure " + ", ".join(map(" ".join, measure_words(turn["measures"]))))
        lines += _units(manifest, members, turn)
    lines += [f"left out: {reason_words(item)}" for item in record["dropped"]]
    lines += ["", "KEY.json", json.dumps(record, ensure_ascii=False, indent=2)]
    if save_to is not None:
        lines += ["", *_saved(str(row["key"]), members, save_to)]
    return "\n".join(lines)


def _units(manifest: Manifest, members: Mapping[str, bytes], turn: Mapping[str, Any]) -> list[str]:
    lines = []
    for value in manifest["unit_sets"]:
        suffix = units_suffix(turn["turn"], turn["role"], str(value["name"]))
        if suffix in members:
            codes = read_npy(members[suffix])[0].tolist()
            more = " ..." if len(codes) > UNITS else ""
            head = " ".join(map(str, codes[:UNITS]))
            lines.append(f"  units   {value['name']}, {len(codes)}: {head}{more}")
    return lines


def _saved(key: str, members: Mapping[str, bytes], folder: Path) -> list[str]:
    files = {folder / f"{key}.{suffix}": data for suffix, data in members.items()}
    if any(path.parent != folder for path in files):
        raise DamageError(f"sample {key}: {list(members)} are not all file names; nothing is saved")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            path.write_bytes(data)
    except OSError as error:
        raise SettingsError(f"cannot save to {folder}: {error.strerror}; give another") from error
    return [f"saved {path}" for path in files]


def _outcome(row: Outcome) -> str:
    origin = f"{row['origin']}" + (f", its id there {row['source_id']}" if row["source_id"] else "")
    lines = [f"{row['id']}: {row['state']}, {row['lang'] or 'language unknown'}", f"from {origin}"]
    error = row["error"]
    if error is not None:
        lines += [
            f"failed in {error['step']}: {error['error_class']}: {error['message']}",
            "it may pass another time: build with --retry-failed"
            if error["retryable"]
            else "it would fail again: correct the row in the source",
        ]
    lines += list(dict.fromkeys(f"rejected: {reason_words(item)}" for item in row["reasons"]))
    for number, turn in enumerate(row["turns"]):
        lines += ["", *_texts(number, turn)]
    return "\n".join(lines)


def _texts(number: int, turn: Mapping[str, Any]) -> list[str]:
    lines = [f"turn {number}, {turn['role']}", f"  text    {_indented(turn['text'])}"]
    lines += [f"  input   {_indented(turn['input'])}"] if turn["input"] else []
    spoken = turn["spoken_text"]
    return [*lines, f"  spoken  {_indented(spoken) if spoken else '(it never got that far)'}"]


def _indented(text: str) -> str:
    return text.replace("\n", "\n          ")


def _cut(text: str, most: int = 60) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def _terminal(text: str) -> str:
    """Without control characters, which could drive the terminal: shown as escapes instead."""
    return CONTROLS.sub(lambda match: repr(match[0])[1:-1], text)
