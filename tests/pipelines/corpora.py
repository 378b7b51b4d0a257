"""Builds of the shipped sample rows with the fast voice, as a user makes them: by command."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from schemas.canonical import sha256_hex

ROOT = Path(__file__).parents[2]
JOB = ROOT / "examples" / "instruct_s2s.yaml"
FAST = (
    f"voices.bank={ROOT / 'tests' / 'data' / 'voices_fast.yaml'}",
    "units.clusters=16",
    "units.max_frames=4000",
    "limits.min_accepted_fraction=0",
    "checks.asr_fraction=0.02",
)
NUM_ROWS = 48  # enough for the promises: two partitions of a split, duplicates, every kind of end
FEW = ("--limit", str(NUM_ROWS))


def command(output: Path, *options: str) -> list[str]:
    """The command line of a fast build; later options win."""
    changes = [word for change in FAST for word in ("--set", change)]
    return [
        *(sys.executable, "-m", "jobs.cli", "build", str(JOB), "--output", str(output)),
        *("--json", "--quiet", *changes, *options),
    ]


def build(output: Path, *options: str, code: int = 0) -> dict[str, Any]:
    """Build, assert the exit code, and give the JSON line."""
    done = subprocess.run(command(output, *options), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == code, done.stderr
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
    return line


def shards(output: Path) -> dict[str, str]:
    """Name and sha256 of every shard that lies there."""
    return {path.name: sha256_hex(path.read_bytes()) for path in (output / "shards").glob("*.tar")}
