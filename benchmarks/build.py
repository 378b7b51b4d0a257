"""What the main job costs: overhead over a bare loop, speed against a plain script, memory.

    python -m benchmarks.build --rows alpaca_en_1k.json --script plain_script.py

Ratios are of runs in one go on one machine. The plain script gets an environment of its own under
build/. The last line is JSON. `--only` runs a part: overhead, script, rebuild, memory.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import venv
from pathlib import Path
from typing import Any

import psutil

from transforms.backends.flite import install_dir

ROOT = Path(__file__).parents[1]
JOB = ROOT / "examples" / "instruct_s2s.yaml"
FAST_BANK = ROOT / "tests" / "data" / "voices_fast.yaml"
SCRIPT_NEEDS = ["numpy", "soundfile", "webdataset", "librosa", "scikit-learn", "num2words"]
GATE = "gates=[{measure: duration_s, min: 1.0, max: 30}]"


class Peak:
    """Samples the resident memory of a process and its children; the highest of any one, in MB."""

    def __init__(self, pid: int) -> None:
        self.mb: dict[str, float] = {"driver": 0.0, "worker": 0.0}
        self._pid = pid
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        try:
            root = psutil.Process(self._pid)
            while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
                self._take("driver", root)
                for child in root.children(recursive=True):
                    self._take("worker", child)
                time.sleep(0.1)
        except psutil.NoSuchProcess:
            return

    def _take(self, role: str, process: psutil.Process) -> None:
        try:
            self.mb[role] = max(self.mb[role], process.memory_info().rss / 1e6)
        except psutil.NoSuchProcess:
            return


def build(output: Path, rows: Path, *options: str) -> tuple[dict[str, Any], Peak, float]:
    """One build by command with 2 workers: its JSON line, its peak memory, its wall time in s."""
    words = [sys.executable, "-m", "jobs.cli", "build", str(JOB), "--output", str(output)]
    words += ["--input", str(rows), "--set", "source.adapter=alpaca", "--workers", "2"]
    words += ["--set", "source.name=benchmark", "--json", "--quiet", *options]
    began = time.perf_counter()
    process = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    peak = Peak(process.pid)
    text, _ = process.communicate()
    wall_s = time.perf_counter() - began
    line: dict[str, Any] = json.loads(text.splitlines()[-1])
    return line, peak, wall_s


def overhead(folder: Path, rows: Path) -> dict[str, Any]:
    """A build with 2 workers against the bare loop's time / 2, alternating: loop, build, loop."""
    loops = [_bare_loop(rows)]
    line, peak, wall_s = build(folder / "corpus", rows)
    loops.append(_bare_loop(rows))
    loop_s = sum(item["wall_s"] for item in loops) / len(loops)
    return {
        "build_wall_s": round(wall_s, 2),
        "bare_loop_s": [item["wall_s"] for item in loops],
        "overhead_ratio": round(wall_s / (loop_s / 2), 3),
        "rows_s": round(line["rows"] / wall_s, 2),
        "xrt": round(line["hours"] * 3600 / wall_s, 1),
        "identity": line["identity"],
        **{key: line[key] for key in ("rows", "accepted", "rejected", "failed", "hours")},
        "peak_mb": {role: round(mb) for role, mb in peak.mb.items()},
    }


def rebuild(folder: Path, rows: Path) -> dict[str, Any]:
    """Nothing changed, then a gate changed, on the corpus that ``overhead`` built."""
    if not (folder / "corpus").exists():
        build(folder / "corpus", rows)
    same, _, rebuild_s = build(folder / "corpus", rows)
    gated, _, gate_s = build(folder / "corpus", rows, "--set", GATE)
    return {
        "rebuild_s": round(rebuild_s, 2),
        "rebuild_computed": sum(same["computed_rows"].values()),
        "gate_change_s": round(gate_s, 2),
        "gate_computed": sum(gated["computed_rows"].values()),
        "gate_accepted": gated["accepted"],
    }


def script(folder: Path, rows: Path, plain_script: Path) -> dict[str, Any]:
    """The plain script on the same rows, in its own environment."""
    home = ROOT / "build" / "plain-script"
    if not (home / "bin" / "python").exists():
        venv.create(home, with_pip=True)
        subprocess.run(
            [
                home / "bin" / "python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "-c",
                ROOT / "constraints.txt",
                *SCRIPT_NEEDS,
            ],
            check=True,
        )
    out = folder / "plain"
    out.mkdir()
    count = len(json.loads(rows.read_text()))
    done = subprocess.run(
        [home / "bin" / "python", plain_script, rows, str(count), install_dir(), out],
        check=True,
        capture_output=True,
        text=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {f"script_{name}": value for name, value in figures.items()}


def memory(folder: Path, rows: Path) -> dict[str, Any]:
    """Peak memory with the fast voice, and its growth for ten times the rows."""
    ten = folder / "ten.json"
    base = json.loads(rows.read_text())
    ten.write_text(
        json.dumps(
            [
                {**row, "instruction": f"For list {number}, {row['instruction']}"}
                for number in range(10)
                for row in base
            ]
        )
    )
    fast = ("--set", f"voices.bank={FAST_BANK}")
    small, one, _ = build(folder / "one", rows, *fast)
    large, many, _ = build(folder / "many", ten, *fast)
    growth = {role: round(many.mb[role] / one.mb[role], 3) for role in one.mb}
    return {
        "memory_rows": [small["rows"], large["rows"]],
        "memory_mb": [{role: round(mb) for role, mb in peak.mb.items()} for peak in (one, many)],
        "peak_growth": growth,
    }


def main() -> None:
    """Run the parts and print one JSON line."""
    parser = argparse.ArgumentParser("benchmarks.build")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--script", type=Path)
    parser.add_argument("--only", nargs="*", default=["overhead", "script", "rebuild", "memory"])
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="voxmill-benchmark-"))
    figures: dict[str, Any] = {"cores": os.cpu_count()}
    try:
        if "overhead" in options.only:
            figures |= overhead(folder, options.rows)
        if "rebuild" in options.only:
            figures |= rebuild(folder, options.rows)
        if "script" in options.only and options.script:
            figures |= script(folder, options.rows, options.script)
            if "rows_s" in figures:
                figures["vs_script"] = round(figures["rows_s"] / figures["script_rows_s"], 3)
        if "memory" in options.only:
            figures |= memory(folder, options.rows)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(figures))


def _bare_loop(rows: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bare_loop", str(JOB), str(rows), "alpaca"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    main()
