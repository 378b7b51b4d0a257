"""A Voxmill snapshot as a source: any version, in a folder or a bucket, by ranges of its shards."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from jobs.sources.fields import Defaults, malformed, require_object
from jobs.sources.parts import heard, plain_lists
from jobs.sources.raw import BadRow, RawRow
from schemas.conversation import Conversation, ImportedUnits, Turn, turn
from schemas.errors import DamageError, StoreError
from schemas.index import INDEX
from schemas.parquet import iterate
from schemas.shard import (
    crc32c,
    durations_suffix,
    flac_suffix,
    read_npy,
    split_sample,
    units_suffix,
)
from schemas.snapshot import Manifest, ShardEntry, read_verified
from schemas.store import Store
from schemas.unitset import UnitSet

WHO: Final = "voxmill"
KEY: Final = re.compile(r"[0-9a-f]{24}-\d+")
MAX_TURNS: Final = 1000


def read_corpus(store: Store, manifest: Manifest) -> Iterator[RawRow | BadRow]:
    """A row per sample, under the sample's own key; a damaged sample is a BadRow that names it.

    Raises DamageError for an index that is damaged.
    """
    sets = [UnitSet.from_json(value) for value in manifest["unit_sets"]]
    for shard in manifest["shards"]:
        yield from _read_shard(store, shard, sets)


def _read_shard(store: Store, shard: ShardEntry, sets: list[UnitSet]) -> Iterator[RawRow | BadRow]:
    path = f"index/{shard['index']}"
    data = read_verified(store, {"name": path, "sha256": shard["index_sha256"]})
    for row in iterate(data, INDEX, path, 64):
        origin = f"{shard['name']}:{row['key']}"
        try:
            members = read_members(store, shard["name"], row)
        except (DamageError, StoreError) as error:
            yield BadRow(
                row["key"].encode(), origin, f"{error}; run `voxmill verify` on the source"
            )
            continue
        yield RawRow({"members": members, "sets": sets, "key": row["key"]}, origin, row["key"])


def read_members(store: Store, shard: str, row: dict[str, Any]) -> dict[str, bytes]:
    """The members of the sample of an index row, by suffix; its crc32c is checked.

    Raises DamageError.
    """
    data = store.get_range(f"shards/{shard}", row["offset"], row["length"])
    name = f"{shard}, sample {row['key']}"
    if crc32c(data) != row["crc32c"]:
        raise DamageError(f"{name}: its crc32c is not the index's")
    members = split_sample(data, name)
    if list(members) != [item["suffix"] for item in row["members"]]:
        raise DamageError(f"{name}: its members are not those that the index names")
    return members


def adapt_sample(value: object, defaults: Defaults) -> Conversation:
    """A sample as a conversation that keeps its KEY.json, its units and its turns' numbers.

    Raises MalformedRow for a sample that is not what this version writes.
    """
    row = require_object(value, WHO, "a sample")
    members, sets, key = row["members"], row["sets"], row["key"]
    assert isinstance(members, dict)
    assert isinstance(sets, list)
    if not isinstance(key, str) or not KEY.fullmatch(key):
        malformed(WHO, f"the key {key}", "24 hex digits, '-' and a number", "build the source anew")
    try:
        record = json.loads(members["json"])
        if record["id"] != key or record["schema"] != 1:
            malformed(WHO, "a KEY.json of another sample or schema", f"that of {key}", "verify it")
        turns = _turns(record, members)
        units = [
            found
            for item in record["turns"]
            for contract in sets
            for found in _units(members, item["turn"], item["role"], contract)
        ]
        return {
            "source_id": record["source_id"],
            "license": record["license"],
            "lang": record["lang"],
            "turns": turns,
            "image": record.get("image"),
            "record": members["json"].decode("ascii"),
            "imported": units,
        }
    except (KeyError, TypeError, ValueError) as error:
        malformed(WHO, f"a sample that cannot be read ({error!r})", "one of this version", "verify")


def _turns(record: dict[str, Any], members: dict[str, bytes]) -> list[Turn]:
    """The turns at the numbers that they had; system turns stand before them."""
    said = record["turns"]
    first = said[0]["turn"] if said else 0
    if not 0 <= first < MAX_TURNS or [item["turn"] for item in said] != list(
        range(first, first + len(said))
    ):
        raise ValueError("its turns are not numbered in a row")
    system = [record.get("system", ""), *[""] * (first - 1)][:first]
    turns = [turn("system", text) for text in system]
    for item in said:
        audio = members[flac_suffix(item["turn"], item["role"])]
        made = heard(item["role"], item["text"], audio, WHO, item["provenance"])
        turns.append({**made, "input": item.get("input", "")})
    return turns


def _units(
    members: dict[str, bytes], number: int, role: str, contract: UnitSet
) -> Iterator[ImportedUnits]:
    data = members.get(units_suffix(number, role, contract.name))
    if data is None:
        return
    lengths = members.get(durations_suffix(number, role, contract.name))
    yield {
        "turn": number,
        "set": contract.name,
        "codes": read_npy(data).reshape(-1).tolist(),  # [nq, T], flat as in memory
        "durations": None if lengths is None else plain_lists(read_npy(lengths)),
    }
