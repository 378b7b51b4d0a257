"""The report and the drift of a large corpus: seconds, memory, bytes and nodes of the page.

    python -m benchmarks.report [--rows 100000] [--quick] [--folder DIR]

Makes a synthetic index (every measure of the catalogue on two turns a row, an eighth as many
rejected rows; benchmarks/made_index.py), then runs `voxmill report` and `voxmill diff` on it, each
in a process of its own. Times are of the commands as a user runs them, start of Python included;
memory is the process's greatest resident set. The last line is JSON.
"""

import argparse
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.made_index import make_index
from schemas.measures import CATALOGUE

LIMIT_S, LIMIT_MB, LIMIT_PAGE_MB = 60.0, 1000.0, 15.0
QUICK_ROWS = 4000


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser("benchmarks.report")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS} rows")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary one)")
    options = parser.parse_args()
    rows = QUICK_ROWS if options.quick else options.rows
    with tempfile.TemporaryDirectory(prefix="voxmill-report-", dir=options.folder) as folder:
        print(json.dumps(measure(Path(folder), rows)))


def measure(folder: Path, rows: int) -> dict[str, Any]:
    """Make two corpora of ``rows`` rows, and measure both commands."""
    started = time.perf_counter()
    # by processes of their own: a child's greatest resident set counts what its parent had
    for name, seed in (("corpus", 7), ("other", 8)):
        arguments = (folder / name, rows, seed)
        maker = multiprocessing.get_context("spawn").Process(target=make_index, args=arguments)
        maker.start()
        maker.join()
        if maker.exitcode:
            raise SystemExit(f"making {name}: exit code {maker.exitcode}")
    print(f"made 2 x {rows:,} rows in {time.perf_counter() - started:.1f} s", flush=True)
    page = folder / "page.html"
    report = _timed("report", str(folder / "corpus"), "--output", str(page))
    text = page.read_text("utf-8")
    page_mb = len(text.encode()) / 1e6
    figures: dict[str, Any] = {
        "rows": rows,
        "measures": len(CATALOGUE),
        "cores": os.cpu_count(),
        "report_s": report[0],
        "report_peak_mb": report[1],
        "page_mb": round(page_mb, 2),
        "page_tags": len(re.findall(r"<[a-z]", text)),
    }
    drift = _timed("diff", str(folder / "corpus"), str(folder / "other"), "--json")
    figures |= {"diff_s": drift[0], "diff_peak_mb": drift[1]}
    small = report[1] < LIMIT_MB and page_mb < LIMIT_PAGE_MB
    figures["met"] = report[0] < LIMIT_S and small
    for name, value in figures.items():
        print(f"{name:16} {value}")
    return figures


def _timed(*arguments: str) -> tuple[float, float]:
    """Seconds and greatest resident megabytes of one command."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", *arguments], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"voxmill {' '.join(arguments)}: exit code {process.returncode}")
    return round(time.perf_counter() - started, 2), round(usage.ru_maxrss * 1024 / 1e6, 1)


if __name__ == "__main__":
    main()
