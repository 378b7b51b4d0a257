"""Makes one row again from the stored source row and settings, and compares it with what stands."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

import pyarrow as pa

from pipelines.compare import difference
from pipelines.evaluate import Evaluator
from pipelines.graph import CONVERSATIONS, UTTERANCES, Pipeline
from pipelines.outcome import Outcome, identity_reasons, not_accepted
from pipelines.plan import Partition, load_partition, read_plan
from pipelines.replies import read_listing, read_replies
from pipelines.request import state_of
from pipelines.sample import samples
from pipelines.tables import Tables
from pipelines.task import State
from schemas.columns import RowFailure
from schemas.errors import DamageError, StoreError
from schemas.shard import crc32c, flac_suffix, split_sample
from schemas.snapshot import Manifest, read_verified
from schemas.store import Store
from transforms.backends.chat.desk import MemoryDesk
from transforms.environment import environment

Members = Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Stands:
    """A row as the snapshot holds it: accepted with ``members``, or with its ``outcome``."""

    key: str
    state: str
    split: str = ""
    members: Members = field(default_factory=dict)
    outcome: Outcome | None = None


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What came of a replay. ``differences`` has words for each member or fact that differs.

    ``made`` are the members made here; of a row that is not accepted, the audio it came to.
    ``environment`` and ``fingerprints`` are what differs from then: name to (then, here).
    """

    key: str
    state: str
    members: tuple[str, ...]
    differences: Mapping[str, str]
    made: Members
    environment: Mapping[str, tuple[str, str]]
    fingerprints: Mapping[str, tuple[str, str]]


def stored_sample(store: Store, key: str, row: Mapping[str, object], split: str) -> Stands:
    """An accepted row from its place in the index. Raises DamageError if it is damaged."""
    offset, length = row["offset"], row["length"]
    assert isinstance(offset, int)
    assert isinstance(length, int)
    path = f"shards/{row['shard']}"
    data = store.get_range(path, offset, length)
    if crc32c(data) != row["crc32c"]:
        raise DamageError(
            f"{store.uri}/{path}: the stored sample {key} is damaged, its crc32c is not the "
            "index's, so there is nothing to compare with; build again with the same job, which "
            "mends the shard"
        )
    return Stands(key=key, state="accepted", split=split, members=split_sample(data, key))


def replay(store: Store, manifest: Manifest, pipeline: Pipeline, stands: Stands) -> Replayed:
    """Run one row through the pipeline, with no memo, and compare what comes of it.

    Raises DamageError for a source row, a plan or an artifact that is gone or damaged.
    """
    rows, partition = source_row(store, manifest, stands.key)
    state = state_of(pipeline, manifest["artifacts"])
    artifacts = _artifacts(store, manifest)
    desk = _desk(store, manifest, partition)
    with closing(
        Evaluator(pipeline, None, state.fingerprints, artifacts, desk=lambda name: desk)
    ) as evaluator:
        tables, _ = evaluator.evaluate(rows, partition.name, None)
    ended = not_accepted(tables[CONVERSATIONS], partition.name)
    now = "accepted" if not ended else ended[0]["state"]
    made = _audio(tables) if ended else _members(tables, pipeline, state)
    differences = {}
    if now != stands.state:
        why = f": {_why(ended[0])}" if ended else ""
        differences["state"] = f"{stands.state} then, {now} here{why}"
    elif stands.outcome is not None:
        differences = _outcomes(stands.outcome, ended[0])
    else:
        for name in sorted({*stands.members, *made}):
            words = difference(name, stands.members.get(name), made.get(name))
            differences |= {name: words} if words else {}
    return Replayed(
        key=stands.key,
        state=now,
        members=tuple(sorted({*stands.members, *made})),
        differences=differences,
        made=made,
        environment=_apart(manifest["environment"], environment()),
        fingerprints=_apart(
            manifest["fingerprints"],
            {name: value for name, value in state.fingerprints.items()},
            only_both=True,
        ),
    )


def source_row(store: Store, manifest: Manifest, key: str) -> tuple[pa.Table, Partition]:
    """The one row of PLANNED with this id, and where it stands. Raises DamageError."""
    try:
        plan = read_plan(store, manifest)
    except (DamageError, StoreError) as error:
        raise DamageError(_gone(store, manifest["plan"]["name"], "the plan", error)) from error
    partition = next((item for item in plan.partitions if key in item.ids), None)
    if partition is None:
        raise DamageError(
            f"{store.uri}: row {key} is in no partition of {manifest['plan']['name']}, so this "
            "plan is not the snapshot's; restore it from a copy"
        )
    try:
        rows = load_partition(store, partition)
    except (DamageError, StoreError) as error:
        raise DamageError(_gone(store, partition.file, "the source row's file", error)) from error
    return rows.filter(pa.compute.equal(rows.column("id"), key)), partition


def _artifacts(store: Store, manifest: Manifest) -> dict[str, bytes]:
    found = {}
    for name, entry in manifest["artifacts"].items():
        try:
            found[name] = read_verified(store, entry)
        except (DamageError, StoreError) as error:
            what = f"the artifact '{name}'"
            raise DamageError(_gone(store, entry["name"], what, error)) from error
    return found


def _desk(store: Store, manifest: Manifest, partition: Partition) -> MemoryDesk:
    """What models answered for the rows of this partition, as it was committed first."""
    desk = MemoryDesk()
    name = "inputs"
    try:
        replies = read_listing(store, manifest.get("replies")).get(partition.name)
        if replies is not None:
            name = replies["name"]
            desk.replies |= read_replies(store, replies)
    except (DamageError, StoreError) as error:
        raise DamageError(_gone(store, name, "the models' replies", error)) from error
    return desk


def _gone(store: Store, path: str, what: str, error: Exception) -> str:
    how = "damaged" if isinstance(error, DamageError) else "gone or unreadable"
    return (
        f"{store.uri}/{path}: {what} is {how}, and nothing can be replayed without it ({error}); "
        "restore it from a copy, or build again with the same job and source, which writes it anew"
    )


def _members(tables: Tables, pipeline: Pipeline, state: State) -> dict[str, bytes]:
    lineage = {step.name: state.fingerprints[step.name][:16] for step in pipeline.memo_steps()}
    (split,) = tables[CONVERSATIONS].column("split").to_pylist()
    (sample,) = samples(tables, split, state.unit_set, state.kept_sets, lineage)
    return {member.suffix: member.data for member in sample.members()}


def _audio(tables: Tables) -> dict[str, bytes]:
    """What was spoken of a row that is not accepted, by the name that it would have had."""
    table = tables.get(UTTERANCES)
    if table is None or "flac" not in table.column_names:
        return {}
    rows = table.select(["turn", "role", "flac"]).to_pylist()
    return {flac_suffix(row["turn"], row["role"]): row["flac"] for row in rows if row["flac"]}


def _outcomes(stands: Outcome, made: Outcome) -> dict[str, str]:
    """How the verdict on a row that is not accepted differs."""
    found = {}
    if identity_reasons(stands) != identity_reasons(made):
        found["reasons"] = f"then {_why(stands)}; here {_why(made)}"
    elif [item["detail"] for item in stands["reasons"]] != [
        item["detail"] for item in made["reasons"]
    ]:
        found["details"] = f"then {_why(stands)}; here {_why(made)}"
    if _class(stands["error"]) != _class(made["error"]):
        found["error"] = f"then {_why(stands)}; here {_why(made)}"
    for number, (one, other) in enumerate(zip(stands["turns"], made["turns"], strict=False)):
        if (one["spoken_text"] or "") != (other["spoken_text"] or ""):
            found[f"turns[{number}].spoken_text"] = (
                f"then {one['spoken_text']!r}; here {other['spoken_text']!r}"
            )
    return found


def _why(outcome: Outcome) -> str:
    error = outcome["error"]
    if error is not None:
        return f"{error['step']}, {error['error_class']}: {error['message']}"
    return "; ".join(
        f"{item['step']}, {item['code']}: {item['detail']}" for item in outcome["reasons"]
    )


def _class(error: RowFailure | None) -> tuple[str, str] | None:
    return None if error is None else (error["step"], error["error_class"])


def _apart(
    then: Mapping[str, str], here: Mapping[str, str], *, only_both: bool = False
) -> dict[str, tuple[str, str]]:
    names = [
        name for name in sorted({*then, *here}) if not only_both or (name in then and name in here)
    ]
    return {
        name: (then.get(name, "absent"), here.get(name, "absent"))
        for name in names
        if then.get(name) != here.get(name)
    }
