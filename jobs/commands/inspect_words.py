"""The lines that `voxmill inspect` has for one turn, and for where a row comes from."""

from collections.abc import Mapping
from typing import Any, Final

from jobs.report.diff import changes
from jobs.report.extras import extras
from jobs.report.judged import Rules, judged
from jobs.report.waveform import blocks
from pipelines.replay import source_row
from schemas.errors import DamageError
from schemas.shard import durations_suffix, read_npy, units_suffix
from schemas.snapshot import Manifest
from schemas.store import Store
from transforms.backends.tts import Samples

COLUMNS: Final = 72  # of a waveform
UNITS: Final = 24
CHANGES: Final = 12
INDENT: Final = "\n          "
MARKS: Final = {"passes": "passes", "fails": "FAILS ", "unchecked": "unchecked", "": ""}


def origin_lines(
    store: Store, manifest: Manifest, key: str, origin: str = "", source_id: str = ""
) -> list[str]:
    """Where the row stands in its source, and in which partition and snapshot it came in."""
    try:
        rows, partition = source_row(store, manifest, key)
    except DamageError as error:
        told = [f"from {origin}"] if origin else []
        return [*told, f"its source row cannot be read: {error}"]
    (row,) = rows.select(["origin", "source", "source_id", "license"]).to_pylist()
    own = f", its id there {source_id or row['source_id']}" if row["source_id"] else ""
    return [
        f"from {row['origin']}{own}, {row['source']}, license {row['license'] or 'unknown'}",
        f"planned in {partition.name}, entered in v{partition.born}",
    ]


def turn_lines(
    turn: Mapping[str, Any],
    record: Mapping[str, Any],
    sound: tuple[Samples, int] | None,
    members: Mapping[str, bytes],
    manifest: Manifest,
    rules: Rules,
) -> list[str]:
    """Texts, voice, waveform, measures and units of a turn; ``sound`` is samples, full scale."""
    lines = [f"turn {turn['turn']}, {turn['role']}", f"  text    {_indented(turn['text'])}"]
    lines += [f"  input   {_indented(turn['input'])}"] if turn["input"] else []
    spoken = turn["spoken_text"]
    lines.append(f"  spoken  {_indented(spoken) if spoken else '(it never got that far)'}")
    lines += _changes(turn) if spoken else []
    if sound is None:
        return lines
    lines.append(
        f"  voice   {turn['voice'] or 'of the source'} ({turn['speaker_id'] or 'unknown'}), "
        f"{turn['duration_s']:.3f} s"
    )
    lines.append(f"  wave    {blocks(sound[0], COLUMNS, sound[1])}")
    lines += _units(manifest, members, turn)
    lines += _measures(turn, rules)
    if record.get("heard_text"):
        lines.append(f"  heard   {_indented(record['heard_text'])}")
    for extra in extras(record):
        lines.append(f"  {extra.name.replace('_', ' ')}")
        rows = [
            "  ".join(row) for row in ([extra.columns] if extra.columns else []) + [*extra.rows]
        ]
        lines += [f"    {row}" for row in (rows if extra.columns else [", ".join(rows)])]
        lines += [f"    and {extra.hidden} more"] if extra.hidden else []
    return lines


def _changes(turn: Mapping[str, Any]) -> list[str]:
    found = changes([turn["text"], turn["input"]], turn["spoken_text"])
    if found is None:
        return ["  changed more than half"]
    shown = [f"{gone or '(nothing)'} → {new or '(nothing)'}" for gone, new in found[:CHANGES]]
    if len(found) > CHANGES:
        shown.append(f"and {len(found) - CHANGES} more")
    return [f"  changed {_indented(chr(10).join(shown))}"] if shown else []


def _measures(turn: Mapping[str, Any], rules: Rules) -> list[str]:
    rows = judged(turn["measures"], rules, turn["role"], turn["lang"], turn["voice"] or "")
    lines = []
    for row in rows:
        verdict = f"  {MARKS[row.verdict]} {row.gate}" if row.gate else ""
        lines.append(f"  measure {row.name:<20} {row.value:>12}{verdict}".rstrip())
    return lines


def _units(manifest: Manifest, members: Mapping[str, bytes], turn: Mapping[str, Any]) -> list[str]:
    lines = []
    for value in manifest["unit_sets"]:
        place = (turn["turn"], turn["role"], str(value["name"]))
        if units_suffix(*place) in members:
            codes = read_npy(members[units_suffix(*place)])[0].tolist()
            lengths = members.get(durations_suffix(*place))
            frames = "" if lengths is None else f" of {int(read_npy(lengths).sum()):,} frames"
            more = " ..." if len(codes) > UNITS else ""
            head = " ".join(map(str, codes[:UNITS]))
            lines.append(f"  units   {value['name']}, {len(codes):,}{frames}: {head}{more}")
    return lines


def _indented(text: str) -> str:
    return text.replace("\n", INDENT)
