"""What a build would do, with nothing written: the plan and what the memo holds for it."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipelines.asking import asking_steps
from pipelines.carry import Standing
from pipelines.evaluate import Evaluator
from pipelines.increment import carry_of
from pipelines.memo import Memo
from pipelines.plan import FLAC_BYTES_PER_S, load_partition
from pipelines.request import Planned, Request, prepare, state_of
from pipelines.tables import conform_live
from pipelines.work_format import check_work
from schemas.address import ObjectMeta, Unfinished
from schemas.canonical import sha256_hex
from schemas.snapshot import FileEntry, read_verified
from schemas.store import FileStore, Store, open_store
from transforms.ask import Estimate
from transforms.step import Fit


class Overlay:
    """A store that reads from ``base`` and writes to ``top``."""

    def __init__(self, base: Store, top: Store) -> None:
        self.base, self.top, self.uri = base, top, base.uri

    def _holder(self, path: str) -> Store:
        return self.base if self.top.size(path) is None else self.top

    def get(self, path: str) -> bytes:
        return self._holder(path).get(path)

    def get_range(
        self, path: str, offset: int, length: int, *, if_match: str | None = None
    ) -> bytes:
        return self._holder(path).get_range(path, offset, length, if_match=if_match)

    def get_ranges(
        self, path: str, ranges: Sequence[tuple[int, int]], *, if_match: str | None = None
    ) -> list[bytes]:
        return self._holder(path).get_ranges(path, ranges, if_match=if_match)

    def head(self, path: str) -> ObjectMeta | None:
        return self.top.head(path) or self.base.head(path)

    def size(self, path: str) -> int | None:
        meta = self.head(path)
        return None if meta is None else meta.size

    def vouched_sha256(self, path: str) -> str | None:
        return self._holder(path).vouched_sha256(path)

    def put(self, path: str, data: bytes | memoryview, *, sha256: str | None = None) -> None:
        self.top.put(path, data, sha256=sha256)

    def put_new(self, path: str, data: bytes) -> bool:
        return self.size(path) is None and self.top.put_new(path, data)

    def put_file(self, path: str, local: Path, *, sha256: str | None = None) -> None:
        self.top.put_file(path, local, sha256=sha256)

    def list(self, prefix: str) -> list[str]:
        return sorted({meta.path for meta in self.scan(prefix)})

    def scan(self, prefix: str) -> Iterator[ObjectMeta]:
        over = {meta.path: meta for meta in self.top.scan(prefix)}
        yield from over.values()
        yield from (meta for meta in self.base.scan(prefix) if meta.path not in over)

    def delete(self, path: str) -> None:
        """Only what this overlay wrote: the base is never touched."""
        self.top.delete(path)

    def delete_many(self, paths: Iterable[str]) -> None:
        self.top.delete_many(paths)

    def unfinished(self) -> Iterator[Unfinished]:
        return iter(())

    def discard(self, item: Unfinished) -> None:
        """Nothing was found, so nothing is discarded."""


@dataclass(frozen=True)
class StepPreview:
    """Rows of one memo step: found in the memo, surely to compute, and not known before that."""

    reused: int
    missing: int
    unknown: int


@dataclass(frozen=True)
class Preview:
    """A planned build, and per memo step what would be reused. Speech and bytes are guesses."""

    planned: Planned
    steps: dict[str, StepPreview]
    unfitted: tuple[str, ...]
    speech_s: float
    shard_bytes: float
    asks: dict[str, Estimate]  # by step, for the rows that are to be computed or not known
    carried: int = 0  # rows that stand as they are in the parent


def preview(
    request: Request, look: Callable[[Planned, Store], None] = lambda planned, store: None
) -> Preview:
    """Plan a request and look up every row in the memo. Nothing is written to the output.

    ``look`` is shown the plan while its files can be read.
    """
    with tempfile.TemporaryDirectory(prefix="voxmill-preview-") as folder:
        scratch = FileStore(Path(folder))
        output = Overlay(open_store(request.output), scratch)
        work = Overlay(open_store(request.work), scratch)
        check_work(work)
        planned = prepare(request, output)
        look(planned, output)
        artifacts = dict(planned.pins)
        unfitted: list[str] = []
        for fit in request.pipeline.fits():
            if fit.name in artifacts:
                continue
            if not fit.pinned:
                artifacts[fit.name] = _fit(planned, fit, output)
            else:
                unfitted.append(fit.name)
        state = state_of(request.pipeline, artifacts)
        data = {name: read_verified(output, entry) for name, entry in artifacts.items()}
        until = unfitted[0] if unfitted else None
        carry = carry_of(planned, planned.before, output)
        standing = Standing(carry, request.pipeline, output, data)
        carried = 0
        evaluator = Evaluator(
            request.pipeline,
            Memo(work),
            state.fingerprints,
            data,
            generation=planned.generation,
            compute=False,
        )
        reused: dict[str, int] = {}
        missing: dict[str, int] = {}
        asks = {step.name: Estimate() for step in asking_steps(request.pipeline, None)}
        for partition in planned.plan.partitions:
            rows = load_partition(output, partition)
            kept = standing.rows(partition, lambda rows=rows: rows)  # type: ignore[misc]
            carried += len(kept)
            fresh = [key not in kept for key in partition.ids]
            rows = rows.filter(pa.array(fresh, pa.bool_()))
            for asking in asking_steps(request.pipeline, None):
                for row in rows.to_pylist():
                    asks[asking.name] += asking.estimate(row)
            _, stats = evaluator.evaluate(rows, partition.name, until)
            for name, item in stats.items():
                reused[name] = reused.get(name, 0) + item.rows - item.missing
                missing[name] = missing.get(name, 0) + item.missing
        evaluator.close()
        standing.close()
    steps, behind = {}, 0
    for step in request.pipeline.memo_steps():
        found = step.name in reused
        steps[step.name] = StepPreview(
            reused.get(step.name, 0),
            missing.get(step.name, 0),
            behind if found else planned.plan.rows - carried,
        )
        behind += missing.get(step.name, 0)
    for name, whole in asks.items():
        left = steps[name].missing + steps[name].unknown
        asks[name] = whole * (left / max(planned.plan.rows - carried, 1))
    speech_s = sum(partition.seconds for partition in planned.plan.partitions)
    size = speech_s * FLAC_BYTES_PER_S
    return Preview(planned, steps, tuple(unfitted), speech_s, size, asks, carried)


def _fit(planned: Planned, fit: Fit, output: Overlay) -> FileEntry:
    """Fit what no memo step stands before: it reads the source rows alone."""
    pipeline, plan = planned.request.pipeline, planned.plan
    evaluator = Evaluator(pipeline, None, {}, {})
    merged = fit.merge([])
    for partition in plan.partitions:
        tables, _ = evaluator.evaluate(load_partition(output, partition), partition.name, fit.name)
        table = tables[fit.table]
        batch = conform_live(fit, table)
        merged = fit.merge([merged, fit.partial(batch, len(plan.partitions))])
    data = fit.finalize(merged)
    entry: FileEntry = {"name": f"artifacts/{fit.name}", "sha256": sha256_hex(data)}
    output.put(entry["name"], data)
    return entry
