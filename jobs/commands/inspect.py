"""`voxmill inspect`: a snapshot at a glance, or one of its rows for eyes and ears."""

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jobs.commands.find_row import find_row
from jobs.commands.inspect_words import origin_lines, turn_lines
from jobs.guess import read_estimate, told_lines
from jobs.report.judged import rules_of
from jobs.report.reading import IndexRow, index_rows, outcome_rows, read_sample
from jobs.report.render import duration
from jobs.report.waveform import loudest
from jobs.running import running_builds, running_lines
from jobs.saving import save_files
from pipelines.outcome import Outcome
from schemas.canonical import pretty_json
from schemas.errors import SettingsError
from schemas.shard import flac_suffix
from schemas.snapshot import Manifest, chosen_snapshot, versions
from schemas.store import Store, StoreAddress, open_store
from transforms.audio import decode_flac

FIRST_KEYS: Final = 10
# C0 and C1 except the newline, and what turns the direction of text
CONTROLS: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True)
class Inspected:
    """What there is to know: as text for a terminal, and as the value of ``--json``."""

    text: str
    value: dict[str, Any]


def inspect(
    uri: str | StoreAddress,
    key: str | None,
    *,
    version: int | None = None,
    save_to: Path | None = None,
) -> Inspected:
    """A snapshot, or the row ``key`` of it: see ``find_row`` for what a key may be.

    ``save_to`` is a folder for an accepted row's files, or for the outcome of another. Raises
    SettingsError for what is not there, DamageError.
    """
    store = open_store(uri)
    running = running_builds(store) if key is None else []
    if running and not versions(store):  # a first build has no snapshot yet
        lines = [f"{store.uri}: no snapshot yet", *running_lines(running)]
        return Inspected(terminal("\n".join(lines)), {"running": running})
    manifest = chosen_snapshot(store, version)
    if key is None:
        if save_to is not None:
            raise SettingsError(
                f"--save-to {save_to}: wanted a KEY with it; `voxmill inspect {store.uri}` lists "
                "the first keys"
            )
        found = _overview(store, manifest)
        if (told := read_estimate(store)) is not None:
            text = "\n".join([found.text, "", *told_lines(told)])
            found = Inspected(text, {**found.value, "estimate": told})
        if running:
            lines = [*running_lines(running), "", found.text]
            found = Inspected("\n".join(lines), {**found.value, "running": running})
    else:
        state, name = find_row(store, manifest, key)
        if state == "accepted":
            (row,) = (row for row in index_rows(store, manifest) if row["key"] == name)
            found = _sample(store, manifest, row, save_to)
        else:
            entry = manifest["rejected"] if state == "rejected" else manifest["failed"]
            (outcome,) = (row for row in outcome_rows(store, entry) if row["id"] == name)
            found = _outcome(store, manifest, outcome, save_to)
    return Inspected(terminal(found.text), found.value)


def terminal(text: str) -> str:
    """Without control characters, which could drive the terminal: shown as escapes instead."""
    return CONTROLS.sub(lambda match: repr(match[0])[1:-1], text)


def _overview(store: Store, manifest: Manifest) -> Inspected:
    counts = manifest["counts"]
    lines = [
        f"{manifest['settings']['name']} v{manifest['version']}, pipeline {manifest['pipeline']}",
        f"identity  {manifest['identity']}",
        f"parent    {'none' if manifest['parent'] is None else manifest['parent']['version']}",
        f"rows      {counts['rows']:,}: {counts['accepted']:,} accepted, "
        f"{counts['rejected']:,} rejected, {counts['failed']:,} failed",
    ]
    splits = {}
    for split in sorted({shard["split"] for shard in manifest["shards"]}, reverse=True):
        shards = [shard for shard in manifest["shards"] if shard["split"] == split]
        samples = sum(shard["samples"] for shard in shards)
        seconds = sum(shard["seconds"] for shard in shards)
        splits[split] = {"samples": samples, "seconds": seconds, "shards": len(shards)}
        lines.append(f"{split:<9} {samples:,} samples, {duration(seconds)}, {len(shards)} shards")
    units = [str(item["name"]) for item in manifest["unit_sets"]]
    lines.append(f"units     {', '.join(units) or 'none'}")
    lines.append(f"listen    {store.uri}/report/index.html")
    keys: list[str] = []
    rows = index_rows(store, manifest, ["key", "lang", "turns"])
    for row in itertools.islice(rows, FIRST_KEYS):
        lines += ["", f"first {FIRST_KEYS} keys"] if not keys else []
        keys.append(row["key"])
        asked = row["turns"][0]["spoken_text"] if row["turns"] else ""
        lines.append(f"  {row['key']}  {row['lang']}  {_cut(asked)}")
    for state in ("rejected", "failed"):
        shown = list(itertools.islice(outcome_rows(store, manifest[state]), 3))
        lines += ["", f"first {state} rows"] if shown else []
        lines += [f"  {row['id']}  {row['lang'] or '??'}  {_why(row)}" for row in shown]
    value = {
        "name": manifest["settings"]["name"],
        "version": manifest["version"],
        "parent": manifest["parent"],
        "identity": manifest["identity"],
        "pipeline": manifest["pipeline"],
        **counts,
        "splits": splits,
        "units": units,
        "first_keys": keys,
    }
    return Inspected("\n".join(lines), value)


def _sample(store: Store, manifest: Manifest, row: IndexRow, save_to: Path | None) -> Inspected:
    members = read_sample(store, row)
    record = json.loads(members["json"])
    lines = [
        f"{row['key']}: accepted, {row['split']}, {row['lang']}, {duration(row['duration_s'])}",
        f"shards/{row['shard']} at {row['offset']:,}, {row['length']:,} bytes, crc32c holds",
        *origin_lines(store, manifest, row["key"]),
        "",
        *(f"  {row['key']}.{suffix}  {len(data):,} bytes" for suffix, data in members.items()),
    ]
    files = {
        turn["turn"]: members[flac_suffix(turn["turn"], turn["role"])] for turn in row["turns"]
    }
    sounds = {turn: decode_flac(data)[0] for turn, data in files.items()}
    full_scale = max(map(loudest, sounds.values()), default=1)
    records = {turn["turn"]: turn for turn in record["turns"]}
    rules = rules_of(store, manifest)
    for turn in row["turns"]:
        said = {**turn, "input": records[turn["turn"]].get("input", ""), "lang": row["lang"]}
        sound = (sounds[turn["turn"]], full_scale)
        lines += ["", *turn_lines(said, records[turn["turn"]], sound, members, manifest, rules)]
    lines += [f"left out: {_reason(item)}" for item in record["dropped"]]
    made = ", ".join(f"{step} {digest}" for step, digest in record["lineage"].items())
    lines += ["", f"made by {made}"]
    lines += ["", "KEY.json", json.dumps(record, ensure_ascii=False, indent=2)]
    saved = _saved(row["key"], members, save_to)
    place = {name: row[name] for name in ("key", "shard", "offset", "length", "crc32c")}
    sizes = {suffix: len(data) for suffix, data in members.items()}
    value = {"state": "accepted", **place, "members": sizes, "record": record, "saved": saved}
    return Inspected("\n".join([*lines, *_saved_lines(saved)]), value)


def _saved(key: str, members: Mapping[str, bytes], folder: Path | None) -> list[str]:
    if folder is None:
        return []
    files = {f"{key}.{suffix}": data for suffix, data in members.items()}
    return [str(path) for path in save_files(folder, files)]


def _saved_lines(saved: list[str]) -> list[str]:
    return ["", *(f"saved {path}" for path in saved)] if saved else []


def _outcome(store: Store, manifest: Manifest, row: Outcome, save_to: Path | None) -> Inspected:
    lines = [
        f"{row['id']}: {row['state']}, {row['lang'] or 'language unknown'}",
        *origin_lines(store, manifest, row["id"], row["origin"], row["source_id"]),
    ]
    error = row["error"]
    if error is not None:
        lines += [
            f"failed in {error['step']}: {error['error_class']}: {error['message']}",
            "it may pass another time: build with --retry-failed"
            if error["retryable"]
            else "it would fail again: correct the row in the source",
        ]
    lines += list(dict.fromkeys(f"rejected: {_reason(item)}" for item in row["reasons"]))
    rules = rules_of(store, manifest)
    for number, turn in enumerate(row["turns"]):
        said = {**turn, "turn": number, "lang": row["lang"]}
        lines += ["", *turn_lines(said, {}, None, {}, manifest, rules)]
    if row["spoken"]:
        again = f"voxmill replay {store.uri} {row['id']} --save-to DIR"
        lines += ["", f"it was spoken before it was rejected; hear it with `{again}`"]
    saved = _saved(row["id"], {f"{row['state']}.json": pretty_json(row)}, save_to)
    return Inspected("\n".join([*lines, *_saved_lines(saved)]), {**row, "saved": saved})


def _reason(item: Mapping[str, Any]) -> str:
    """A reason in full: turn, step, code, detail."""
    where = f"turn {item['turn']}, " if item["turn"] >= 0 else ""
    detail = f": {item['detail']}" if item["detail"] else ""
    return f"{where}{item['step']}, {item['code']}{detail}"


def _why(row: Outcome) -> str:
    error = row["error"]
    if error is not None:
        return f"{error['error_class']}: {_cut(error['message'])}"
    return _cut("; ".join(dict.fromkeys(_reason(item) for item in row["reasons"])), 90)


def _cut(text: str, most: int = 60) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"
