"""What the product's own checks find of damage that was planted at known places.

    python -m benchmarks.defects [--rows ROWS.json --adapter alpaca] [--limit 300] [--quick]

A clean corpus is built with the shipped job. Its rows are parted by their users' voices: damage is
planted in one half, in some rows at a time; the other half is for setting thresholds, which
examples/audit.yaml has (docs/defects.md says how). Each planted corpus is built with that job:
caught is what it rejects or fails. What was heard once is not heard again, as the passes share a
memo. ``--half first`` plants in the half for thresholds, to set them. The last line is JSON.
"""

import argparse
import json
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.planted import KINDS, UNSEEN, Planting, Spoken, Wave
from jobs.commands.build import build_job
from pipelines.outcome import read_outcomes
from schemas.canonical import canonical_json, pretty_json, sha256_hex
from schemas.index import INDEX
from schemas.parquet import iterate
from schemas.shard import Member, ShardWriter, split_sample
from schemas.snapshot import (
    LATEST,
    Manifest,
    current_version,
    pointer_to,
    read_snapshot,
    read_verified,
    sealed,
    snapshot_path,
)
from schemas.store import FileStore
from transforms.backends.flite import Flite
from transforms.voice_file import load_bank

EXAMPLES = Path(__file__).parents[1] / "examples"
UNIT_KINDS = (
    "empty units",
    "units out of range",
    "units shifted by half",
    "units of half the frames",
)
SHARE = 0.5  # of the reported rows that are damaged at a time: the others must pass beside them
PASSES = 8
SEED = 2026
Say = Callable[[str, str], tuple[Wave, int]]


def main() -> None:
    """Build, plant, build again; print the table and one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default=str(EXAMPLES / "sample_instructions.jsonl"))
    parser.add_argument("--adapter", default="messages")
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--passes", type=int, default=PASSES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--half", choices=("first", "second"), default="second")
    parser.add_argument("--quick", action="store_true", help="40 rows, two passes")
    parser.add_argument(
        "--keep",
        type=Path,
        help="work in this folder, and keep it: its clean corpus is taken again",
    )
    args = parser.parse_args()
    if args.quick:
        args.limit, args.passes = 40, 2
    with ExitStack() as stack:
        folder = args.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="voxmill-defects-"))
        )
        clean = folder / "clean"
        if not (clean / LATEST).exists():  # of an earlier run with --keep
            build_job(
                EXAMPLES / "instruct_s2s.yaml",
                [f"source.adapter={args.adapter}", "splits.eval_fraction=0", "source.lang=en"],
                source=args.rows, output=str(clean), limit=args.limit, workers=args.workers,
                quiet=True,
            )  # fmt: skip
        say = stack.enter_context(_sayer())
        print(json.dumps(_report(clean, folder, args, say)))


@contextmanager
def _sayer() -> Iterator[Say]:
    """A voice for any text that is not the one to avoid."""
    bank = load_bank(EXAMPLES / "voices.yaml")
    speakers = {voice.id: voice.speaker_id for voice in bank.voices}
    english = [voice for voice in bank.voices if voice.lang == "en" and voice.backend == "flite"]

    with Flite().open() as speaker:

        def say(text: str, avoid: str) -> tuple[Wave, int]:
            others = [item for item in english if item.speaker_id != speakers[avoid]]
            voice = others[sum(text.encode()) % len(others)]
            speech = speaker.speak(text, voice.spec)
            return speech.samples / 32768.0, speech.sample_rate_hz

        yield say


def _report(
    clean: Path,
    folder: Path,
    args: argparse.Namespace,
    say: Say,
) -> dict[str, Any]:
    samples, manifest = read_samples(clean)
    second = {item.key for item in _second_half(samples)}
    reported = [item for item in samples if (item.key in second) == (args.half == "second")]
    print(
        f"{len(samples)} clean rows; damage in the {len(reported)} of the {args.half} half of the "
        f"voices, the others are {'for thresholds' if args.half == 'second' else 'not looked at'}"
    )
    passes = args.passes
    caught: dict[str, list[bool]] = defaultdict(list)
    by: dict[str, Counter[str]] = defaultdict(Counter)
    alarms: dict[str, list[bool]] = defaultdict(list)
    alarm_codes: Counter[str] = Counter()
    kinds = [kind for kind in KINDS if kind not in UNIT_KINDS]
    for number in range(passes + 1):
        units = number == passes  # its damage needs the unit set, which would tell on the others'
        chosen = list(UNIT_KINDS) if units else kinds
        chance = np.random.default_rng([SEED, number])
        order = chance.permutation(len(reported))
        count = int(SHARE * len(reported))
        damaged = {
            reported[at].key: chosen[(place + number * count) % len(chosen)]
            for place, at in enumerate(order[:count])
        }
        whole = [item for item in reported if item.key not in damaged]
        unit_set = str(manifest["unit_sets"][0]["name"])
        planting = Planting(samples, whole, say, unit_set, chance)
        made = [
            KINDS[damaged[item.key]](item, place % 2, planting) if item.key in damaged else item
            for place, item in enumerate(samples)
        ]
        source, output = folder / f"planted{number}", folder / f"audited{number}"
        write_samples(source, made, manifest, units=units)
        build_job(
            EXAMPLES / "audit.yaml", [f"output.work={folder / 'heard'}"],
            source=str(source), output=str(output), workers=args.workers, quiet=True,
        )  # fmt: skip
        found = reasons(output)
        partners = {item.partner: item.key for item in made if item.partner}
        for key, kind in damaged.items():
            codes = found.get(key, set())
            for partner, twin in partners.items():
                if twin == key:
                    codes = codes | (found.get(partner, set()) & {"duplicate"})
            caught[kind].append(bool(codes))
            by[kind].update(codes)
        for item in reported:
            if item.key not in damaged and item.key not in partners:
                alarms[item.key].append(item.key in found)
                alarm_codes.update(found.get(item.key, set()))
        shutil.rmtree(source)
        shutil.rmtree(output / "shards")
    return _table(caught, by, alarms, alarm_codes)


def _table(
    caught: dict[str, list[bool]],
    by: dict[str, Counter[str]],
    alarms_of: dict[str, list[bool]],
    alarm_codes: Counter[str],
) -> dict[str, Any]:
    alarms = [alarm for row in alarms_of.values() for alarm in row]
    print("\n| damage | caught | by |\n|---|---|---|")
    for kind in KINDS:
        hits = caught[kind]
        told = ", ".join(f"{code} {count}" for code, count in by[kind].most_common(4))
        note = f" ({UNSEEN[kind]})" if kind in UNSEEN else ""
        print(f"| {kind} | {sum(hits)} of {len(hits)} | {told or '-'}{note} |")
    print(f"| none: false alarms | {sum(alarms)} of {len(alarms)} | {dict(alarm_codes) or '-'} |")
    visible = [hit for kind, hits in caught.items() if kind not in UNSEEN for hit in hits]
    everything = [hit for hits in caught.values() for hit in hits]
    return {
        "kinds": len(KINDS),
        "planted": len(everything),
        "caught_percent": _percent(everything),
        "visible_caught_percent": _percent(visible),
        "clean_rows_judged": len(alarms),
        "clean_rows": len(alarms_of),
        "clean_rows_ever_rejected": sum(map(any, alarms_of.values())),
        "false_alarm_percent": _percent(alarms),
        "by_kind": {kind: _percent(caught[kind]) for kind in KINDS},
    }


def _percent(hits: Sequence[bool]) -> float:
    return round(100 * sum(hits) / max(len(hits), 1), 2)


def _second_half(samples: Sequence[Spoken]) -> list[Spoken]:
    """The rows of half of the users' voices: about half of the rows, none of the first's voices."""
    voices = Counter(item.record["turns"][0]["voice"] for item in samples)
    chosen: set[str] = set()
    for voice, _ in sorted(voices.items(), key=lambda item: (-item[1], item[0]))[1::2]:
        chosen.add(voice)
    return [item for item in samples if item.record["turns"][0]["voice"] in chosen]


def read_samples(corpus: Path) -> tuple[list[Spoken], Manifest]:
    """Every sample of a corpus's current snapshot, by key."""
    store = FileStore(corpus)
    version = current_version(store)
    assert version is not None
    manifest = read_snapshot(store, version)
    found = []
    for shard in manifest["shards"]:
        name = f"index/{shard['index']}"
        data = read_verified(store, {"name": name, "sha256": shard["index_sha256"]})
        for row in iterate(data, INDEX, name, 64):
            tar = store.get_range(f"shards/{shard['name']}", row["offset"], row["length"])
            members = split_sample(tar, row["key"])
            found.append(Spoken(row, json.loads(members["json"]), members))
    return sorted(found, key=lambda item: item.key), manifest


def write_samples(folder: Path, samples: Sequence[Spoken], like: Manifest, *, units: bool) -> None:
    """A corpus of one shard whose checksums all hold; without its units unless asked."""
    store = FileStore(folder)
    for name in ("shards", "index"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shard, index = "train-000000-000000000000.tar", "train-000000-000000000000.parquet"
    rows = []
    with ShardWriter(folder / "shards" / shard) as writer:
        for item in samples:
            members = {**item.members, "json": canonical_json(item.record)}
            kept = [
                Member(suffix, data)
                for suffix, data in members.items()
                if units or not suffix.endswith(".npy")
            ]
            placed = writer.add(item.key, kept)
            rows.append(
                {
                    **item.row,
                    "shard": shard,
                    "offset": placed.offset,
                    "length": placed.length,
                    "crc32c": placed.crc32c,
                    "members": [
                        {"suffix": suffix, "offset": offset, "size": size}
                        for suffix, offset, size in placed.members
                    ],
                }
            )
        digest, size = writer.finish(), writer.bytes
    pq.write_table(pa.Table.from_pylist(rows, schema=INDEX), folder / "index" / index)
    manifest: Manifest = {
        **like,
        "version": 1,
        "parent": None,
        "unit_sets": like["unit_sets"] if units else [],
        "shards": [
            {
                **like["shards"][0],
                "name": shard,
                "bytes": size,
                "sha256": digest,
                "samples": len(rows),
                "index": index,
                "index_sha256": sha256_hex((folder / "index" / index).read_bytes()),
            }
        ],
    }
    manifest = sealed(manifest)
    store.put(snapshot_path(1), pretty_json(manifest))
    store.put(LATEST, pretty_json(pointer_to(manifest)))


def reasons(corpus: Path) -> dict[str, set[str]]:
    """The codes of every row that was rejected or failed."""
    store = FileStore(corpus)
    manifest = read_snapshot(store, 1)
    found: dict[str, set[str]] = {}
    for row in read_outcomes(store, manifest["rejected"]):
        found[row["id"]] = {item["code"] for item in row["reasons"]}
    for row in read_outcomes(store, manifest["failed"]):
        assert row["error"] is not None
        found[row["id"]] = {row["error"]["step"]}
    return found


if __name__ == "__main__":
    main()
