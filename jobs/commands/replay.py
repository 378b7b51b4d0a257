"""`voxmill replay`: makes one row again and says what differs from what the snapshot holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.commands.find_row import find_row
from jobs.commands.inspect import terminal
from jobs.recipes.recipe import pipeline_from
from jobs.report.reading import index_rows, outcome_rows
from jobs.saving import save_files
from pipelines.graph import Pipeline
from pipelines.replay import Replayed, Stands, replay, stored_sample
from schemas.snapshot import Manifest, chosen_snapshot
from schemas.store import Store, StoreAddress, open_store
from transforms.backends.tts import bit_stable
from transforms.backends.tts_endpoint import SpeechEndpoint
from transforms.synthesize import Synthesize


@dataclass(frozen=True)
class Report:
    """What came of it: for a terminal, as the value of ``--json``, and whether all is equal."""

    text: str
    value: dict[str, Any]
    equal: bool


def replay_row(
    uri: str | StoreAddress,
    key: str,
    *,
    version: int | None = None,
    save_to: Path | None = None,
) -> Report:
    """Replay the row that ``key`` means. ``save_to`` gets ``stored/`` and ``made/``.

    Raises SettingsError for what is not there, DamageError for what is damaged or gone.
    """
    store = open_store(uri)
    manifest = chosen_snapshot(store, version)
    stands = _stands(store, manifest, *find_row(store, manifest, key))
    pipeline = pipeline_from(dict(manifest["settings"]))
    result = replay(store, manifest, pipeline, stands)
    saved: list[Path] = []
    if save_to is not None:
        for folder, members in (("stored", stands.members), ("made", result.made)):
            files = {f"{result.key}.{suffix}": data for suffix, data in members.items()}
            saved += save_files(save_to / folder, files) if files else []
    equal = not result.differences
    value = {
        "key": result.key,
        "state": stands.state,
        "equal": equal,
        "members": list(result.members),
        "differences": dict(result.differences),
        "environment": {name: list(pair) for name, pair in result.environment.items()},
        "fingerprints": {name: list(pair) for name, pair in result.fingerprints.items()},
        "saved": [str(path) for path in saved],
    }
    lines = [*_lines(stands, result, _unsteady(pipeline)), *(f"saved {path}" for path in saved)]
    if save_to is not None and not saved:
        lines.append("nothing to save: the row ended before it was spoken")
    return Report(terminal("\n".join(lines)), value, equal)


def _stands(store: Store, manifest: Manifest, state: str, key: str) -> Stands:
    if state == "accepted":
        (row,) = (row for row in index_rows(store, manifest) if row["key"] == key)
        return stored_sample(store, key, row, str(row["split"]))
    entry = manifest["rejected"] if state == "rejected" else manifest["failed"]
    (outcome,) = (row for row in outcome_rows(store, entry) if row["id"] == key)
    return Stands(key=key, state=state, outcome=outcome)


def _unsteady(pipeline: Pipeline) -> list[str]:
    """The backends of used voices that may give other bytes another time, and keep no reply."""
    speaking = [node for node in pipeline.nodes if isinstance(node, Synthesize)]
    return [
        backend.name
        for step in speaking
        for backend in step.backends
        if backend.name in {voice.backend for voice in step.bank.voices}
        and not (bit_stable(backend) or isinstance(backend, SpeechEndpoint))
    ]


def _lines(stands: Stands, result: Replayed, unsteady: list[str]) -> list[str]:
    lines = [
        f"differs  {result.key}.{name}: {result.differences[name]}"
        if name in result.differences
        else f"equal    {result.key}.{name}"
        for name in (result.members if stands.state == result.state == "accepted" else ())
    ]
    lines += [
        f"differs  {name}: {words}"
        for name, words in result.differences.items()
        if name not in result.members
    ]
    for name, (then, here) in result.fingerprints.items():
        lines.append(
            f"step     {name} is not what it was: fingerprint {then[:16]}, here {here[:16]}"
        )
    for name, (then, here) in result.environment.items():
        lines.append(f"package  {name} was {then}, here it is {here}")
    if not result.differences:
        what = "every byte is equal" if stands.state == "accepted" else "with the same reasons"
        lines.append(f"{result.key}: {stands.state} again, {what}")
    elif unsteady:
        lines.append(
            f"voices of {', '.join(unsteady)} are not bit-stable (a GPU, or batches): the corpus "
            "keeps what they said first, and they may say it with other bytes now (docs/adr/0061)"
        )
    elif not (result.fingerprints or result.environment):
        lines.append(
            "no package and no step differs from then, so this should not happen: check the corpus "
            "with `voxmill verify`, and this machine's memory"
        )
    return lines
