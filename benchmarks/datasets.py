"""What the main job makes of instruction sets: acceptance, reasons, speed, identity.

    python -m benchmarks.datasets alpaca_en_1k.json alpaca_zh_1k.json ...

Each set (Alpaca layout) is built with 2 workers and the shipped job. The last line is JSON.
"""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.build import build
from pipelines.outcome import main_code, read_outcomes
from schemas.snapshot import latest_snapshot
from schemas.store import open_store

SHOWN_REASONS = 5


def main() -> None:
    """Build each set and print one JSON line for all."""
    figures = {Path(name).stem: _figures(Path(name)) for name in sys.argv[1:]}
    print(json.dumps(figures))


def _figures(rows: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="voxmill-datasets-") as folder:
        line, _, wall_s = build(Path(folder) / "corpus", rows)
        store = open_store(f"{folder}/corpus")
        manifest = latest_snapshot(store)
        assert manifest is not None
        reasons = Counter(main_code(row) for row in read_outcomes(store, manifest["rejected"]))
    return {
        **{name: line[name] for name in ("rows", "accepted", "rejected", "failed", "hours")},
        "accepted_percent": round(100 * line["accepted"] / line["rows"], 1),
        "reasons": dict(reasons.most_common(SHOWN_REASONS)),
        "wall_s": round(wall_s, 1),
        "rows_s": round(line["rows"] / wall_s, 2),
        "xrt": round(line["hours"] * 3600 / wall_s, 1),
        "identity": line["identity"],
    }


if __name__ == "__main__":
    main()
