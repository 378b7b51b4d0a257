"""The command line."""

import argparse
import json
import sys
from pathlib import Path

from jobs.build import build_job


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("voxmill")
    parser.add_argument("cmd")
    parser.add_argument("job")
    parser.add_argument("--output")
    parser.add_argument("--input")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--set", action="append", default=[])
    o = parser.parse_args(arguments)
    job, result = build_job(
        Path(o.job), o.set, source=o.input, output=o.output, workers=o.workers, limit=o.limit
    )
    print(
        json.dumps(
            {
                "identity": result.manifest["identity"],
                "counts": result.manifest["counts"],
                "computed": result.computed,
                "reused": result.reused,
                "busy": result.busy_s,
                "stage": result.stage_s,
                "wall": result.wall_s,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
