"""Duplicates, exact after normalization and near: the oldest row stays, then the lowest id."""

import hashlib
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import Reason, field, reason, reasons_field
from schemas.conversation import CONVERSATION, Turn
from transforms.minhash import signatures, similarity
from transforms.near import find_like, roots
from transforms.step import Artifacts, BatchFn, Fit, Identity, Step, TableName

Ignored = Literal["case", "punctuation", "spacing"]
Scope = Literal["conversation", "instruction"]
TEXTS: Final = ("text", "input")
Rows = npt.NDArray[np.int64]
ENTRY = pa.schema([("key", pa.string()), ("born", pa.int32()), ("id", pa.string())])
NO_ROWS: Final = np.zeros(0, np.int64)
SMALL_BYTES: Final = 1_000_000  # partials under this are copied together


@dataclass(frozen=True, kw_only=True)
class Near:
    """When two rows are near duplicates: at least ``threshold`` of their shingles are shared.

    The share is the Jaccard similarity, estimated from ``num_perm`` MinHash values. A shingle is
    ``shingle`` consecutive words, or letters of Chinese and of what else has no spaces.
    """

    threshold: float = 0.8
    num_perm: int = 256
    shingle: int = 3


@dataclass(frozen=True, kw_only=True)
class FindDuplicates(Fit):
    """Which rows repeat another. The artifact is an Arrow stream of (id, repeats).

    Rows that an earlier snapshot held come first (``born``), so a child never turns an accepted
    row of its parent into a duplicate. It is fitted anew for each snapshot. With ``near`` the
    artifact also has (similarity, root): see docs/dedup.md, and docs/adr/0027 for what decides.
    """

    enabled: bool = True
    scope: Scope = "conversation"
    ignore: tuple[Ignored, ...] = ("case", "punctuation", "spacing")
    near: Near | None = None

    name: ClassVar[str] = "duplicates"
    version: ClassVar[int] = 1
    pinned: ClassVar[bool] = False
    table: ClassVar[TableName] = "conversations"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            CONVERSATION.field("id"),
            CONVERSATION.field("turns"),
            field("born", pa.int32(), "the snapshot in which the row entered the corpus"),
        ]
    )

    def identity(self) -> Identity:
        near = {} if self.near is None else {"near": asdict(self.near)}
        return {
            "enabled": self.enabled,
            "scope": self.scope,
            "ignore": sorted(self.ignore),
            **near,
        }

    def partial(self, batch: pa.RecordBatch, num_partitions: int) -> pa.Table:
        turns = batch.column("turns").to_pylist()
        keys = [self._key(row) for row in turns]
        table = pa.table(
            [pa.array(keys, pa.string()), batch.column("born"), batch.column("id")], schema=ENTRY
        )
        if self.near is None:
            return table
        texts = [
            [turn[name] for turn in row if self._counts(turn) for name in TEXTS] for row in turns
        ]
        made = signatures(texts, self.near.num_perm, self.near.shingle)
        signed = [None if item is None else item.tobytes() for item in made]
        return table.append_column(
            "group", pa.array(map(_group, turns), pa.uint64())
        ).append_column("signature", pa.array(signed, pa.binary(self.near.num_perm)))

    def merge(self, parts: list[pa.Table]) -> pa.Table:
        small = [part for part in parts if part.nbytes < SMALL_BYTES]
        large = [part for part in parts if part.nbytes >= SMALL_BYTES]
        together = [pa.concat_tables(small).combine_chunks()] if small else []
        return pa.concat_tables([*large, *together]) if parts else self._no_rows()

    def finalize(self, merged: pa.Table) -> bytes:
        repeated, kept = _equal(merged) if self.enabled else (NO_ROWS, NO_ROWS)
        ids = merged.column("id")
        table = pa.table({"id": ids.take(repeated), "repeats": ids.take(kept)})
        if self.near is not None:
            exact = pa.nulls(len(repeated), pa.float64())
            table = table.append_column("similarity", exact).append_column("root", ids.take(kept))
            table = pa.concat_tables([table, _alike(merged, repeated, kept, self.near)])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.sort_by("id").combine_chunks())
        data: bytes = sink.getvalue().to_pybytes()
        return data

    def _no_rows(self) -> pa.Table:
        names = [*ENTRY]
        if self.near is not None:
            names += [
                pa.field("group", pa.uint64()),
                pa.field("signature", pa.binary(self.near.num_perm)),
            ]
        return pa.schema(names).empty_table()

    def _counts(self, turn: Turn) -> bool:
        """Whether the turn's words count for near duplicates: a system prompt's never do."""
        return turn["role"] == "user" or (self.scope == "conversation" and turn["role"] != "system")

    def _key(self, turns: list[Turn]) -> str:
        shown = [turn for turn in turns if self.scope == "conversation" or turn["role"] == "user"]
        parts = [
            [
                turn["role"],
                self._normal(turn["text"]),
                self._normal(turn["input"]),
                hashlib.sha256(turn["audio"] or b"").hexdigest(),
            ]
            for turn in shown
        ]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _normal(self, text: str) -> str:
        text = unicodedata.normalize("NFKC", text)
        if "case" in self.ignore:
            text = text.casefold()
        if "punctuation" in self.ignore:
            text = "".join(
                " " if unicodedata.category(letter).startswith(("P", "Z", "C")) else letter
                for letter in text
            )
        if "spacing" in self.ignore:
            text = " ".join(text.split())
        return text


def _group(turns: list[Turn]) -> int:
    """Near duplicates are sought among rows of equal system prompts and equal audio only."""
    parts = [
        [turn["text"] if turn["role"] == "system" else "", turn["audio"] or b""] for turn in turns
    ]
    told = [part for part in parts if any(part)]
    digest = hashlib.sha256(repr(told).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "little")


def _equal(merged: pa.Table) -> tuple[Rows, Rows]:
    """The rows whose key an older row has, and that row."""
    order = pc.sort_indices(
        merged, sort_keys=[("key", "ascending"), ("born", "ascending"), ("id", "ascending")]
    ).to_numpy()
    keys = merged.column("key").take(order)
    same = np.zeros(len(order), np.bool_)
    same[1:] = pc.equal(keys.slice(1), keys.slice(0, max(len(keys) - 1, 0))).to_numpy()
    firsts = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
    return order[same].astype(np.int64), order[firsts[same]].astype(np.int64)


def _alike(merged: pa.Table, repeated: Rows, kept: Rows, near: Near) -> pa.Table:
    """(id, repeats, similarity, root) of the rows that are like an older one, and equal to none.

    Rows that are ``repeated`` are older rows too: without them, the removal of the row that is
    ``kept`` for one could put it before rows that had nothing like it before them.
    """
    age = pc.sort_indices(merged, sort_keys=[("born", "ascending"), ("id", "ascending")]).to_numpy()
    signed = merged.column("signature").is_valid().to_numpy()
    rows = age[signed[age]]  # by age
    places = np.full(len(age), -1, np.int64)
    places[rows] = np.arange(len(rows))
    data = _matrix(merged.column("signature"), places, len(rows), near.num_perm)
    groups = merged.column("group").to_numpy()
    like = find_like(data, groups[rows], near.threshold)
    equal = signed[repeated]
    older, exact = like.older.copy(), places[repeated[equal]]
    older[exact] = places[kept[equal]]
    is_near = like.older >= 0
    is_near[exact] = False
    found = np.flatnonzero(is_near)
    ids = merged.column("id").take(rows)
    shown = [similarity(matches, near.num_perm) for matches in like.matches[found].tolist()]
    return pa.table(
        {
            "id": ids.take(found),
            "repeats": ids.take(like.older[found]),
            "similarity": pa.array(shown, pa.float64()),
            "root": ids.take(roots(older)[found]),
        }
    )


def _matrix(
    column: pa.ChunkedArray, places: Rows, count: int, num_perm: int
) -> npt.NDArray[np.uint8]:
    """The signatures [M, P], each at its place of ``count`` unless that is -1.

    Without a second copy of all of them on the way.
    """
    matrix = np.empty((count, num_perm), np.uint8)
    start = 0
    for chunk in column.chunks:
        here = places[start : start + len(chunk)]
        raw = np.frombuffer(chunk.buffers()[1] or b"", np.uint8).reshape(-1, num_perm)
        matrix[here[here >= 0]] = raw[chunk.offset : chunk.offset + len(chunk)][here >= 0]
        start += len(chunk)
    return matrix


@dataclass(frozen=True, kw_only=True)
class Dedup(Step):
    """Rejects the rows that repeat another, naming it."""

    name: ClassVar[str] = "dedup"
    table: ClassVar[TableName] = "conversations"
    uses: ClassVar[tuple[str, ...]] = (FindDuplicates.name,)
    reads: ClassVar[pa.Schema] = pa.schema([CONVERSATION.field("id")])
    writes: ClassVar[pa.Schema] = pa.schema([reasons_field("dedup")])

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        table = pa.ipc.open_stream(artifacts[FindDuplicates.name]).read_all()
        found = {row["id"]: _reason(row) for row in table.to_pylist()}

        def verdicts(batch: pa.RecordBatch) -> pa.RecordBatch:
            reasons = [
                [found[row]] if row in found else [] for row in batch.column("id").to_pylist()
            ]
            return pa.RecordBatch.from_arrays(
                [pa.array(reasons, self.writes.field(0).type)], schema=self.writes
            )

        yield verdicts


def _reason(row: dict[str, Any]) -> Reason:
    """Why a row of the artifact is rejected, naming the row that it repeats."""
    if row.get("similarity") is None:
        return reason("dedup", "duplicate", f"repeats {row['repeats']}")
    chain = "" if row["root"] == row["repeats"] else f", which repeats {row['root']}"
    alike = f"repeats {row['repeats']}, similarity {row['similarity']:.2f}{chain}"
    return reason("dedup", "near_duplicate", alike)
