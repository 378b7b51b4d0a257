"""The tables that expectations are about, written from a snapshot into an SQLite file.

A file, since an index of millions of rows fits no memory; rows pass through it a few at a time.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from pipelines.outcome import all_codes, each_outcome, main_code
from schemas.index import INDEX
from schemas.measures import CATALOGUE
from schemas.parquet import iterate
from schemas.snapshot import Manifest, read_verified
from schemas.store import Store
from schemas.utterance import value_of
from transforms.quotas import excess, quota_from

TEXT, WHOLE, REAL = "TEXT", "INTEGER", "FLOAT"
MEASURES: Final = tuple(item.name for item in CATALOGUE if item.name != "duration_s")
COLUMNS: Final[dict[str, dict[str, str]]] = {
    "corpus": {
        **dict.fromkeys(("rows", "accepted", "rejected", "failed", "turns", "voices"), WHOLE),
        **dict.fromkeys(("acceptance_rate", "failure_rate", "hours", "eval_fraction"), REAL),
        "keys_in_both_splits": WHOLE,
        "questions_in_both_splits": WHOLE,
        "largest_user_voice_share": REAL,
        "largest_assistant_voice_share": REAL,
    },
    "samples": {
        **dict.fromkeys(("key", "shard", "split", "lang", "source", "source_id"), TEXT),
        "license": TEXT,
        "duration_s": REAL,
        "length": WHOLE,
        "num_turns": WHOLE,
        "num_dropped": WHOLE,
    },
    "turns": {
        **dict.fromkeys(("key", "split", "lang", "source", "role", "voice", "speaker_id"), TEXT),
        "turn": WHOLE,
        "text": TEXT,
        "spoken_text": TEXT,
        "augmentation": TEXT,
        "num_frames": WHOLE,
        "num_units": WHOLE,
        "duration_s": REAL,
        **dict.fromkeys(MEASURES, REAL),
    },
    "quotas": {
        **dict.fromkeys(("role", "lang", "split", "attribute", "value"), TEXT),
        "asked": REAL,
        "share": REAL,
        "num_samples": WHOLE,
        "excess": REAL,
    },
    "rejected": {
        **dict.fromkeys(("id", "source_id", "lang", "code", "codes"), TEXT),
        "num_reasons": WHOLE,
        "spoken": WHOLE,
    },
    "failed": {
        **dict.fromkeys(("id", "source_id", "lang", "step", "error_class"), TEXT),
        "retryable": WHOLE,
    },
}


def write_tables(path: Path, store: Store, manifest: Manifest) -> None:
    """Fill ``path``, a new SQLite file, with every table of COLUMNS."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = OFF")
        for table, columns in COLUMNS.items():
            declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            connection.execute(f'CREATE TABLE "{table}" ({declared})')
        for shard in manifest["shards"]:
            name = f"index/{shard['index']}"
            data = read_verified(store, {"name": name, "sha256": shard["index_sha256"]})
            for row in iterate(data, INDEX, name, 64):
                _insert(connection, "samples", [_sample(row)])
                _insert(connection, "turns", list(_turns(row)))
        _insert(connection, "rejected", map(_rejected, each_outcome(store, manifest["rejected"])))
        _insert(connection, "failed", map(_failed, each_outcome(store, manifest["failed"])))
        _insert(connection, "quotas", list(_quotas(connection, manifest)))
        _insert(connection, "corpus", [_corpus(connection, manifest)])
        connection.commit()
    finally:
        connection.close()


def _insert(connection: sqlite3.Connection, table: str, rows: Iterable[dict[str, Any]]) -> None:
    names = list(COLUMNS[table])
    quoted = ", ".join(f'"{name}"' for name in names)
    places = ", ".join("?" * len(names))
    connection.executemany(
        f'INSERT INTO "{table}" ({quoted}) VALUES ({places})',
        (tuple(row[name] for name in names) for row in rows),
    )


def _sample(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "num_turns": len(row["turns"])}


def _turns(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    shared = {name: row[name] for name in ("key", "split", "lang", "source")}
    for turn in row["turns"]:
        values = {name: value_of(turn["measures"], name) for name in MEASURES}
        yield {**shared, **turn, **values}


def _rejected(row: Any) -> dict[str, Any]:  # noqa: ANN401 - an Outcome, read as a row
    return {
        **row,
        "code": main_code(row),
        "codes": ",".join(sorted(all_codes(row))),
        "num_reasons": len(row["reasons"]),
    }


def _failed(row: Any) -> dict[str, Any]:  # noqa: ANN401 - an Outcome, read as a row
    return {**row, **row["error"]}


def _quotas(connection: sqlite3.Connection, manifest: Manifest) -> Iterator[dict[str, Any]]:
    """A row for each share of a quota in each place that has samples with a voice of the bank."""
    settings: dict[str, Any] = dict(manifest["settings"])
    quotas = [quota_from(item) for item in settings.get("quotas", ())]
    voices = {item["id"]: item for item in settings["voices"]} if quotas else {}
    places: dict[tuple[str, str, str], dict[str, int]] = {}
    counted = connection.execute(
        "SELECT role, lang, split, voice, count(DISTINCT key) FROM turns WHERE voice <> '' "
        "GROUP BY role, lang, split, voice ORDER BY role, lang, split, voice"
    )
    for role, lang, split, voice, num in counted if quotas else ():
        if voice in voices:
            places.setdefault((role, lang, split), {})[voice] = num
    for place, samples in places.items():
        total = sum(samples.values())
        for quota in quotas:
            for value, asked in quota.shares if quota.covers(*place) else ():
                num = sum(n for v, n in samples.items() if voices[v].get(quota.by, "") == value)
                yield {
                    **dict(zip(("role", "lang", "split"), place, strict=True)),
                    "attribute": quota.by,
                    "value": value,
                    "asked": asked,
                    "share": num / total,
                    "num_samples": total,
                    "excess": excess(num / total, asked, total),
                }


def _corpus(connection: sqlite3.Connection, manifest: Manifest) -> dict[str, Any]:
    def ask(query: str, *values: str) -> Any:  # noqa: ANN401 - one number of any kind
        return connection.execute(query, values).fetchone()[0]

    def largest(role: str) -> float | None:
        most = ask(
            "SELECT max(n) FROM (SELECT count(*) AS n FROM turns WHERE role = ? AND voice <> '' "
            "GROUP BY voice)",
            role,
        )
        spoken = ask("SELECT count(*) FROM turns WHERE role = ? AND voice <> ''", role)
        return most / spoken if spoken else None

    counts = manifest["counts"]
    rows = max(counts["rows"], 1)
    evals = ask("SELECT count(*) FROM samples WHERE split = 'eval'")
    return {
        **counts,
        "turns": ask("SELECT count(*) FROM turns"),
        "voices": ask("SELECT count(DISTINCT voice) FROM turns WHERE voice <> ''"),
        "acceptance_rate": counts["accepted"] / rows,
        "failure_rate": counts["failed"] / rows,
        "hours": ask("SELECT coalesce(sum(duration_s), 0.0) FROM turns") / 3600,
        "eval_fraction": evals / counts["accepted"] if counts["accepted"] else 0.0,
        "keys_in_both_splits": ask(
            "SELECT count(*) FROM (SELECT key FROM samples GROUP BY key "
            "HAVING count(DISTINCT split) > 1)"
        ),
        "questions_in_both_splits": ask(
            "SELECT count(*) FROM (SELECT text FROM turns WHERE role = 'user' AND turn <= 1 "
            "GROUP BY text HAVING count(DISTINCT split) > 1)"
        ),
        "largest_user_voice_share": largest("user"),
        "largest_assistant_voice_share": largest("assistant"),
    }
