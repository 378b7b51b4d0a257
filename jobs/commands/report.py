"""`voxmill report`: the page of a snapshot, from a folder or a bucket, made anew in one file."""

import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jobs.report.data import gather
from jobs.report.drift import drift_of
from jobs.report.render import render_report
from jobs.snapshots import Opened
from schemas.errors import SettingsError
from schemas.store import Store

RUN: Final = "run.json"


def write_report(
    corpus: Opened, output: Path | None, against: Opened | None = None
) -> dict[str, Any]:
    """Write the page, and say where it is and what it says. Raises DamageError, SettingsError."""
    place = _place(corpus, output)
    stats = gather(corpus.store, corpus.manifest, words=against is not None)
    drift = None
    if against is not None:
        other = gather(against.store, against.manifest, words=True)
        drift = drift_of(
            (against.name, against.manifest, other), (corpus.name, corpus.manifest, stats)
        )
    run = read_run(corpus.store)
    page = render_report(corpus.store, corpus.manifest, run, [], stats, drift)
    _write(place, page.encode("utf-8"))
    return {
        "report": str(place),
        "bytes": place.stat().st_size,
        "identity": corpus.manifest["identity"],
        "version": corpus.manifest["version"],
        **corpus.manifest["counts"],
    }


def read_run(store: Store) -> Mapping[str, object]:
    """What run.json holds; nothing if it is not there or is no JSON."""
    if store.size(RUN) is None:
        return {}
    try:
        value = json.loads(store.get(RUN))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _place(corpus: Opened, output: Path | None) -> Path:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", str(corpus.manifest["settings"]["name"])).strip("-.")
    default = f"{name[:80] or 'corpus'}-v{corpus.manifest['version']:06d}.html"
    if output is None:
        return Path(default)
    return output / default if output.is_dir() else output


def _write(place: Path, data: bytes) -> None:
    """Write the whole file or none. Raises SettingsError."""
    temporary = place.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(place)
    except OSError as error:
        raise SettingsError(
            f"--output {place}: cannot be written ({error.strerror}); give a file or a folder of "
            "this machine"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
