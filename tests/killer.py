"""A build that kills its own process at a chosen moment of its storing: a seam for tests.

    python -m tests.killer before|after METHOD PREFIX NUMBER build JOB ... --workers 0

dies by SIGKILL before or after the NUMBER-th call of a store's METHOD on a path under PREFIX.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.cli import main
from schemas.file_store import FileStore
from schemas.object_store import ObjectStore

# between spool, upload, check, commit, snapshot and pointer: (when, method, prefix, number)
POINTS = (
    ("before", "put", "inputs/", 2),
    ("after", "put", "running/", 3),  # two for the planning, two for the build
    ("after", "put", "memo/synthesize", 2),
    ("before", "put", "artifacts/kmeans", 1),
    ("after", "put", "artifacts/kmeans", 1),
    ("before", "put_file", "shards/", 1),
    ("after", "put_file", "shards/", 1),
    ("after", "vouched_sha256", "shards/", 1),
    ("before", "put", "index/", 1),
    ("after", "put", "index/", 1),
    ("before", "put_new", "commits/", 1),
    ("after", "put_new", "commits/", 1),
    ("before", "put_file", "shards/", 2),
    ("after", "put_new", "commits/", 2),
    ("before", "put_file", "rejected/", 1),
    ("after", "put_file", "failed/", 1),
    ("before", "put_new", "snapshots/", 1),
    ("after", "put_new", "snapshots/", 1),
    ("after", "put", "latest.json", 1),
    ("before", "put", "run.json", 1),
)


def killed_build(point: Sequence[str], job: Path, output: str) -> list[str]:
    """The command of a build that dies at a point."""
    command = [sys.executable, "-m", "tests.killer", *point, "build", str(job)]
    return [*command, "--output", output, "--workers", "0", "--quiet"]


def arm(when: str, method: str, prefix: str, number: int) -> None:
    """From now on this process dies at that moment."""
    left = [number]
    for kind in (FileStore, ObjectStore):
        real = getattr(kind, method)

        def deadly(store: Any, path: str, *rest: Any, _real: Any = real, **more: Any) -> Any:
            hit = path.startswith(prefix)
            left[0] -= hit
            if hit and left[0] == 0 and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = _real(store, path, *rest, **more)
            if hit and left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(kind, method, deadly)


if __name__ == "__main__":
    arm(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
    sys.exit(main(sys.argv[5:]))
