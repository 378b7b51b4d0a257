"""What the main job makes of instruction sets: acceptance, reasons, speed, WER per voice, identity.

    python -m benchmarks.datasets [--keep FOLDER] alpaca_en_1k.json alpaca_zh_1k.json ...

Each set (Alpaca layout) is built with 2 workers and the shipped job. ``--keep`` leaves the corpora
in FOLDER, to be read and listened to. The last line is JSON.
"""

import argparse
import json
import statistics
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from benchmarks.build import build
from pipelines.outcome import main_code, read_outcomes
from schemas.index import INDEX
from schemas.parquet import read_table
from schemas.snapshot import Manifest, latest_snapshot
from schemas.store import Store, open_store

SHOWN_REASONS = 8


def main() -> None:
    """Build each set and print one JSON line for all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="+", type=Path)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="voxmill-datasets-") as temporary:
        folder = options.keep or Path(temporary)
        figures = {rows.stem: _figures(rows, folder / rows.stem) for rows in options.rows}
    print(json.dumps(figures))


def _figures(rows: Path, output: Path) -> dict[str, Any]:
    line, _, wall_s = build(output, rows)
    store = open_store(str(output))
    manifest = latest_snapshot(store)
    assert manifest is not None
    reasons = Counter(main_code(row) for row in read_outcomes(store, manifest["rejected"]))
    return {
        **{name: line[name] for name in ("rows", "accepted", "rejected", "failed", "hours")},
        "accepted_percent": round(100 * line["accepted"] / line["rows"], 1),
        "reasons": dict(reasons.most_common(SHOWN_REASONS)),
        "wer_by_voice": _wer_by_voice(store, manifest),
        "tried_again": _tried_again(store, manifest),
        "wall_s": round(wall_s, 1),
        "rows_s": round(line["rows"] / wall_s, 2),
        "xrt": round(line["hours"] * 3600 / wall_s, 1),
        "identity": line["identity"],
    }


def _measures(store: Store, manifest: Manifest, name: str) -> dict[str, list[float]]:
    """A measure of every accepted utterance it was taken of, by voice."""
    found = defaultdict[str, list[float]](list)
    for shard in manifest["shards"]:
        path = f"index/{shard['index']}"
        for row in read_table(store.get(path), INDEX, path).to_pylist():
            for turn in row["turns"]:
                for measure in turn["measures"]:
                    if measure["name"] == name and measure["value"] is not None:
                        found[turn["voice"]].append(measure["value"])
    return found


def _wer_by_voice(store: Store, manifest: Manifest) -> dict[str, dict[str, float]]:
    """Median and clips by voice, of accepted utterances that were transcribed."""
    return {
        voice: {"median": round(statistics.median(values), 3), "clips": len(values)}
        for voice, values in sorted(_measures(store, manifest, "asr_wer").items())
    }


def _tried_again(store: Store, manifest: Manifest) -> int:
    """Accepted utterances that needed more than one attempt."""
    taken = _measures(store, manifest, "num_attempts").values()
    return sum(value > 1 for values in taken for value in values)


if __name__ == "__main__":
    main()
