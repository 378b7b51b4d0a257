"""`voxmill clean`: what no snapshot names and no build needs, told and removed."""

import re
from collections import Counter
from typing import Any

from pipelines.clean import Found, find_garbage, find_scratch, remove
from schemas.errors import SettingsError
from schemas.store import StoreAddress, open_store

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SHOWN = 20
OURS = ("snapshots", "running", "inputs", "commits", "shards", "work")  # one of them is there


def clean(
    place: StoreAddress,
    work: StoreAddress | None,
    grace: str,
    *,
    dry_run: bool,
    none_running: bool = False,
) -> tuple[str, dict[str, Any]]:
    """Remove the garbage of a corpus, or only tell it; text for people, figures for programs."""
    grace_s = seconds(grace)
    output = open_store(place)
    if not any(output.list(folder) for folder in OURS):  # before anything is written there
        raise SettingsError(
            f"{output.uri}: no corpus there, nor what a build left of one; give the folder or the "
            "address of a corpus"
        )
    found = find_garbage(output, grace_s, none_running=none_running)
    scratch = find_scratch(open_store(work or place.below("work")), grace_s, found.running)
    if work is None:  # inside the output, whose unfinished things were listed with it
        scratch = Found(
            scratch.store,
            [item for item in scratch.garbage if item.unfinished is None],
            scratch.running,
        )
    if not dry_run:
        for part in (scratch, found):
            remove(part, output, none_running=none_running)
    return _told(found, scratch, grace, dry_run), _figures(found, scratch, dry_run)


def seconds(text: str) -> float:
    """A length of time such as 24h, 30m, 7d or 0, in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None:
        raise SettingsError(f"--grace {text}: wanted a time such as 24h, 90m, 7d or 0")
    return float(match[1]) * _UNITS[match[2]]


def _told(found: Found, scratch: Found, grace: str, dry_run: bool) -> str:
    garbage = [*found.garbage, *scratch.garbage]
    lines = [
        f"  {item.path}  {item.size:,} bytes, {item.age_s / 3600:.1f} h old: {item.why}"
        for item in garbage[:SHOWN]
    ]
    if len(garbage) > SHOWN:
        lines.append(f"  and {len(garbage) - SHOWN} more")
    verb = "would be removed" if dry_run else "removed"
    size = sum(item.size for item in garbage)
    lines.append(f"{found.store.uri}: {len(garbage)} objects {verb}, {size:,} bytes")
    kinds = Counter(item.why for item in garbage)
    lines += [f"  {count} x {why}" for why, count in kinds.most_common()]
    if found.running:
        lines.append(
            f"  {len(found.running)} builds show signs of life: what they need was left alone (if "
            "they were killed just now, wait 5 minutes, or give --none-running)"
        )
    planning = any(item.plan is None for item in found.running)
    if planning:
        lines.append("  one is still being planned: nothing goes until it is known what it needs")
    elif not garbage:
        lines.append(f"  nothing is older than {grace} that no snapshot names")
    lines += [
        f"  not looked for: {part.not_looked}" for part in (found, scratch) if part.not_looked
    ]
    return "\n".join(lines)


def _figures(found: Found, scratch: Found, dry_run: bool) -> dict[str, Any]:
    garbage = [*found.garbage, *scratch.garbage]
    return {
        "removed": 0 if dry_run else len(garbage),
        "garbage": [{"path": item.path, "why": item.why, "bytes": item.size} for item in garbage],
        "bytes": sum(item.size for item in garbage),
        "running": len(found.running),
        "not_looked": [part.not_looked for part in (found, scratch) if part.not_looked],
    }
