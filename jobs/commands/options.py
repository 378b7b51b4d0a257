"""Options that several commands share, and the examples that each job command shows."""

import argparse
from pathlib import Path

EXAMPLES = """examples:
  voxmill build examples/instruct_s2s.yaml --output corpus
  voxmill build JOB.yaml --output corpus --input rows.json --set source.adapter=alpaca
  voxmill build JOB.yaml --output gs://BUCKET/corpus --engine beam -- --runner=DataflowRunner ...
  voxmill plan examples/instruct_s2s.yaml --output corpus --set units.clusters=200
  voxmill doctor JOB.yaml
  voxmill schedule JOB.yaml --to k8s --output s3://BUCKET/CORPUS --file cron.yaml
  voxmill inspect corpus
  voxmill report s3://bucket/corpus --output report.html
  voxmill diff corpus@v000001 corpus@v000002
  voxmill card corpus --for-publication
  voxmill verify corpus
  voxmill clean corpus --dry-run
  voxmill replay corpus KEY
  voxmill export corpus --to huggingface --output exported
  voxmill build examples/retokenize.yaml --input corpus --output corpus2
  voxmill build examples/check.yaml --input tars/ --output checked

exit codes: 0 done; 1 a gate or a verification failed; 2 usage, settings, source or store;
3 more rows failed than `limits` allows; 130 interrupted, run again to resume;
70 a fault of Voxmill
"""


def job_options(parser: argparse.ArgumentParser, *, limit: bool = True) -> None:
    """A job file, and what stands above its settings."""
    parser.epilog, parser.formatter_class = EXAMPLES, argparse.RawDescriptionHelpFormatter
    parser.add_argument("job", type=Path, help="a job file (YAML)")
    parser.add_argument("--input", metavar="PATH", help="another source than the job's")
    parser.add_argument("--output", metavar="URI", help="where the corpus is, or shall be")
    if limit:
        parser.add_argument("--limit", type=int, metavar="N", help="read only the first N rows")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="A.B=C",
        dest="changes",
        help="change a setting of the job file (repeatable)",
    )
    parser.add_argument("--json", action="store_true", help="one last line of JSON on stdout")


def corpus_options(parser: argparse.ArgumentParser) -> None:
    """A corpus, one of its snapshots, and how its store is reached."""
    parser.add_argument("uri", help="the corpus")
    parser.add_argument(
        "--version", type=int, metavar="N", help="a snapshot (default: what latest.json names)"
    )
    store_options(parser)


def store_options(parser: argparse.ArgumentParser) -> None:
    """How object stores are reached."""
    parser.add_argument(
        "--store",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="how an object store is reached, such as endpoint=http://127.0.0.1:9000 (repeatable)",
    )
