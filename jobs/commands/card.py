"""`voxmill card`: the dataset card and the Croissant description of a snapshot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.cards.card import render_card
from jobs.cards.croissant import croissant
from jobs.cards.license import Granted, granted_of
from jobs.report.data import gather
from jobs.saving import save_files
from jobs.snapshots import Opened
from schemas.canonical import pretty_json
from schemas.errors import SettingsError


def said_licenses(options: Sequence[str]) -> dict[str, str]:
    """``--license NAME=ID`` options as a mapping. Raises SettingsError."""
    found = {}
    for option in options:
        name, equals, granted = option.rpartition("=")
        if not equals or not name or not granted:
            raise SettingsError(
                f"--license {option}: wanted NAME=ID, the name of a source, a model or a voice and "
                "an SPDX id, such as --license alpaca=cc-by-nc-4.0"
            )
        found[name] = granted
    return found


def make_card(
    corpus: Opened, folder: Path | None, said: dict[str, str]
) -> tuple[str, Granted, dict[str, Any]]:
    """The card as text, its license, and figures. Both files are written into ``folder`` if given.

    Raises DamageError, and SettingsError for a license that names nothing.
    """
    stats = gather(corpus.store, corpus.manifest)
    granted = granted_of(corpus.manifest, stats, said)
    card = render_card(corpus.store, corpus.manifest, stats, granted)
    described = croissant(corpus.manifest, stats, granted)
    files = {"README.md": card.encode("utf-8"), "croissant.json": pretty_json(described)}
    written = [] if folder is None else save_files(folder, files)
    return (
        card,
        granted,
        {
            "license": granted.license,
            "publishable": granted.publishable,
            "unknown": list(granted.unknown),
            "forbidding": list(granted.forbidding),
            "restrictions": list(granted.restrictions),
            "written": [str(path) for path in written],
            "identity": corpus.manifest["identity"],
        },
    )
