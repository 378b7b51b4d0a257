"""`voxmill export`: a snapshot in the form that another library opens, in a folder of its own."""

import difflib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jobs.export import energon, huggingface, lhotse_cuts, llama_omni, qwen2_audio, webdataset
from jobs.export.corpus import Corpus
from schemas.errors import SettingsError
from schemas.snapshot import chosen_snapshot
from schemas.store import StoreAddress, open_store


@dataclass(frozen=True)
class Format:
    """``write`` fills a folder and returns how many samples (or pairs, or cuts) it wrote."""

    write: Callable[[Corpus, Path], int]
    counted: str
    for_whom: str
    opened_by: str
    lost: str


FORMATS: Final[Mapping[str, Format]] = {
    "webdataset": Format(
        webdataset.write, "samples", webdataset.FOR_WHOM, webdataset.OPENED_BY, webdataset.LOST
    ),
    "huggingface": Format(
        huggingface.write, "pairs", huggingface.FOR_WHOM, huggingface.OPENED_BY, huggingface.LOST
    ),
    "lhotse": Format(
        lhotse_cuts.write, "cuts", lhotse_cuts.FOR_WHOM, lhotse_cuts.OPENED_BY, lhotse_cuts.LOST
    ),
    "lhotse_shar": Format(
        lhotse_cuts.write_shar,
        "cuts",
        lhotse_cuts.SHAR_FOR_WHOM,
        lhotse_cuts.SHAR_OPENED_BY,
        lhotse_cuts.LOST,
    ),
    "energon": Format(energon.write, "samples", energon.FOR_WHOM, energon.OPENED_BY, energon.LOST),
    "llama_omni": Format(
        llama_omni.write, "samples", llama_omni.FOR_WHOM, llama_omni.OPENED_BY, llama_omni.LOST
    ),
    "qwen2_audio": Format(
        qwen2_audio.write, "samples", qwen2_audio.FOR_WHOM, qwen2_audio.OPENED_BY, qwen2_audio.LOST
    ),
}


def export(
    place: StoreAddress, to: str, output: Path, *, version: int | None = None
) -> dict[str, object]:
    """Write a snapshot as ``to`` into the new folder ``output``; figures for people and JSON.

    The folder appears whole or not at all. Raises SettingsError for an unknown format, a folder in
    use, a library that is not installed; DamageError for a damaged corpus.
    """
    chosen = FORMATS.get(to)
    if chosen is None:
        nearest = difflib.get_close_matches(to, FORMATS, n=1, cutoff=0.4)
        hint = f"did you mean '{nearest[0]}'?" if nearest else "name one of these"
        raise SettingsError(f"--to {to}: wanted one of {', '.join(FORMATS)}; {hint}")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise SettingsError(
            f"--output {output}: something is there already; name a new folder, or remove it"
        )
    store = open_store(place)
    corpus = Corpus(store, chosen_snapshot(store, version))
    if not corpus.splits:
        raise SettingsError(
            f"{store.uri}: snapshot {corpus.manifest['version']} holds no sample, so there is "
            "nothing to export; look into its report for the reasons"
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".voxmill-export-") as scratch:
        folder = Path(scratch) / "export"
        folder.mkdir()
        count = chosen.write(corpus, folder)
        (folder / "README.md").write_text(_readme(corpus, to, chosen, folder), encoding="utf-8")
        if output.exists():
            output.rmdir()  # empty, see above
        shutil.move(folder, output)
    return {
        "format": to,
        "output": str(output),
        chosen.counted: count,
        "identity": corpus.manifest["identity"],
        "opened_by": chosen.opened_by.replace("FOLDER", str(output)),
        "cannot_carry": chosen.lost,
    }


def _readme(corpus: Corpus, to: str, chosen: Format, folder: Path) -> str:
    """What the export is; a header that the format wrote itself stays in front."""
    own = folder / "README.md"
    front = own.read_text(encoding="utf-8") if own.exists() else ""
    sets = [json.dumps(item.to_json(), sort_keys=True) for item in corpus.unit_sets]
    return front + "\n".join(
        [
            f"# An export as {to}",
            "",
            f"Of the Voxmill corpus {corpus.manifest['settings'].get('name', '')}, version "
            f"{corpus.manifest['version']}, identity `{corpus.manifest['identity']}`.",
            "",
            f"For {chosen.for_whom}. It is opened by (FOLDER is where this file lies):",
            "",
            *(f"    {line}" for line in chosen.opened_by.splitlines()),
            "",
            f"What it cannot carry: {chosen.lost}.",
            "",
            "Unit sets:" if sets else "No units.",
            "",
            *(f"    {line}" for line in sets),
            "",
        ]
    )
