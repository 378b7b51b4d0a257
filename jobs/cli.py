"""The command line: voxmill build, plan, doctor, verify, clean, inspect, export, units, ..."""

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from rich.console import Console

from jobs.cli_people import add_people_commands
from jobs.storage import corpus_address, store_address
from jobs.summary import (
    EXIT_FAILED_ROWS,
    EXIT_GATE,
    EXIT_OK,
    EXIT_USAGE,
    exit_code,
    json_line,
    print_summary,
)
from jobs.units_command import add_units_command
from schemas.address import OBJECT_SCHEMES, scheme_of
from schemas.errors import DamageError, SettingsError, SystemicError, VoxmillError
from schemas.snapshot import Manifest, chosen_snapshot, current_version
from schemas.store import Store, explain_local, open_store

EXIT_INTERRUPTED = 130
EXIT_PIPE = 141
DESCRIPTION = "Grinds text instruction data into speech instruction corpora."
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
3 more rows failed than `limits` allows; 130 interrupted, run again to resume
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors become one message on stderr and an exit code."""
    logging.basicConfig(format="voxmill: %(levelname)s: %(message)s", level=logging.WARNING)
    words, beam = _parted(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(words, argparse.Namespace(beam=beam))
    command: Callable[[argparse.Namespace], int] = options.command
    before = signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        code = command(options)
        sys.stdout.flush()
        return code
    except SystemicError as error:
        sys.stderr.write(f"voxmill: error: {error}\n")
        return EXIT_FAILED_ROWS
    except VoxmillError as error:
        sys.stderr.write(f"voxmill: error: {error}\n")
        return EXIT_USAGE
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    except OSError as error:
        sys.stderr.write(f"voxmill: error: {explain_local(error)}\n")
        return EXIT_USAGE
    except KeyboardInterrupt:
        sys.stderr.write(
            "\nvoxmill: interrupted. Finished work is kept; run the same command to go on.\n"
        )
        return EXIT_INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _parted(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The words of a build before -- and those after it, which are for Beam."""
    if arguments[:1] != ["build"] or "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "voxmill",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="build a corpus, or go on with one")
    _job_options(build)
    build.add_argument(
        "--engine", metavar="NAME", help="where the work is done: local, ray or beam (local)"
    )
    build.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="a Ray cluster's head, or auto (default: a Ray of this machine's own)",
    )
    build.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="worker processes (default: one per core; 0: in this process)",
    )
    build.add_argument(
        "--retry-failed",
        action="store_true",
        help="try rows again that failed with a retryable error",
    )
    build.add_argument(
        "--refit", action="store_true", help="fit centroids anew, not the parent snapshot's"
    )
    build.add_argument(
        "--metrics-port", type=int, metavar="N", help="answer Prometheus there while it runs"
    )
    build.add_argument(
        "--metrics-address",
        default="127.0.0.1",
        metavar="HOST",
        help="where (default: %(default)s; 0.0.0.0 lets other machines ask)",
    )
    build.add_argument("--quiet", action="store_true", help="no progress")
    build.set_defaults(command=_build)

    plan = commands.add_parser("plan", help="the DAG, fingerprints, what would be reused, a guess")
    _job_options(plan)
    plan.set_defaults(command=_plan)

    schedule = commands.add_parser("schedule", help="the objects that build a job in a cluster")
    _job_options(schedule, limit=False)
    schedule.add_argument("--to", required=True, choices=["k8s"], help="a CronJob and a RayJob")
    schedule.add_argument("--file", type=Path, metavar="FILE", help="write there, not to stdout")
    schedule.add_argument("--crd", type=Path, metavar="FILE", help="KubeRay's ray.io_rayjobs.yaml")
    schedule.add_argument(
        "--kubernetes", default="1.31", metavar="VERSION", help="of the cluster (default: 1.31)"
    )
    schedule.set_defaults(command=_schedule)

    expectations = commands.add_parser(
        "expectations", help="write the suite that a job's schema, gates and limits make"
    )
    _job_options(expectations)
    expectations.set_defaults(command=_expectations)

    doctor = commands.add_parser("doctor", help="try every backend, voice, endpoint and store")
    _job_options(doctor)
    doctor.set_defaults(command=_doctor)

    verify = commands.add_parser("verify", help="check every byte of a snapshot")
    _corpus_options(verify)
    verify.add_argument(
        "--deep",
        action="store_true",
        help="read every byte in a bucket too, not only what its checksums leave open",
    )
    verify.add_argument("--json", action="store_true", help="one last line of JSON on stdout")
    verify.set_defaults(command=_verify)

    inspect = commands.add_parser("inspect", help="a snapshot, or one sample, for eyes and ears")
    _corpus_options(inspect)
    inspect.add_argument("key", nargs="?", help="a sample's key, or how it begins")
    inspect.add_argument("--save-to", type=Path, metavar="DIR", help="write its files there")
    inspect.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    inspect.set_defaults(command=_inspect)

    add_people_commands(commands, _corpus_options)

    clean = commands.add_parser("clean", help="remove what no snapshot names and no build needs")
    clean.add_argument("uri", help="the corpus")
    clean.add_argument("--work", metavar="URI", help="its work store (default: work/ inside it)")
    clean.add_argument(
        "--grace",
        default="24h",
        metavar="TIME",
        help="leave alone what is younger: 90m, 24h, 7d (default: 24h)",
    )
    clean.add_argument(
        "--none-running",
        action="store_true",
        help="no build is running, whatever signs of life of the last minutes say",
    )
    clean.add_argument("--dry-run", action="store_true", help="tell it and remove nothing")
    clean.add_argument("--json", action="store_true", help="one last line of JSON on stdout")
    _store_options(clean)
    clean.set_defaults(command=_clean)

    replay = commands.add_parser("replay", help="rebuild one sample and compare its bytes")
    _corpus_options(replay)
    replay.add_argument("key", help="a row's key, or how it begins")
    replay.add_argument("--save-to", type=Path, metavar="DIR", help="write both versions there")
    replay.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    replay.set_defaults(command=_replay)

    export = commands.add_parser("export", help="a snapshot in the form that a library opens")
    _corpus_options(export)
    export.add_argument("--to", required=True, metavar="FORMAT", help="see docs/exports.md")
    export.add_argument("--output", type=Path, required=True, metavar="DIR", help="a new folder")
    export.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    export.set_defaults(command=_export)
    add_units_command(commands)
    return parser


def _job_options(parser: argparse.ArgumentParser, *, limit: bool = True) -> None:
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


def _corpus_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("uri", help="the corpus")
    parser.add_argument(
        "--version", type=int, metavar="N", help="a snapshot (default: what latest.json names)"
    )
    _store_options(parser)


def _store_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="how an object store is reached, such as endpoint=http://127.0.0.1:9000 (repeatable)",
    )


def _build(options: argparse.Namespace) -> int:
    from jobs.build import build_job
    from jobs.expecting import why_not

    _check_numbers(options)
    job, result, workers = build_job(
        options.job,
        options.changes,
        source=options.input,
        output=options.output,
        engine=options.engine,
        address=options.address,
        workers=options.workers,
        beam=options.beam,
        limit=options.limit,
        retry_failed=options.retry_failed,
        refit=options.refit,
        quiet=options.quiet,
        metrics_port=options.metrics_port,
        metrics_address=options.metrics_address,
    )
    assert job.output.uri is not None
    console = Console(stderr=options.json)
    output = open_store(store_address(job.output.uri, job.output.store))
    print_summary(output, result, workers, console)
    code, why = exit_code(job, result.manifest)
    if code == EXIT_OK and (why := why_not(job, output, result.manifest)):
        code = EXIT_GATE
    if why:
        current = current_version(output)
        stays = "" if current is None else f"; latest.json stays at version {current}"
        sys.stderr.write(f"voxmill: {why}{stays}\n")
    if options.json:
        print(json.dumps(json_line(result)))
    return code


def _check_numbers(options: argparse.Namespace) -> None:
    if options.limit is not None and options.limit < 1:
        raise SettingsError(f"--limit {options.limit}: wanted at least 1")
    if getattr(options, "workers", None) is not None and options.workers < 0:
        raise SettingsError(f"--workers {options.workers}: wanted 0 (this process) or more")


def _plan(options: argparse.Namespace) -> int:
    from jobs.plan import plan_text

    _check_numbers(options)
    text, figures = plan_text(
        options.job,
        options.changes,
        source=options.input,
        output=options.output,
        limit=options.limit,
    )
    (sys.stderr if options.json else sys.stdout).write(text)
    if options.json:
        print(json.dumps(figures))
    return EXIT_OK


def _schedule(options: argparse.Namespace) -> int:
    from jobs.schedule.write import schedule

    done = schedule(
        options.job,
        options.changes,
        source=options.input,
        output=options.output,
        crd=options.crd,
        kubernetes=options.kubernetes,
    )
    sys.stderr.write("".join(f"voxmill: note: {note}\n" for note in done.notes))
    if options.file is not None:
        options.file.write_text(done.text, encoding="utf-8")
    elif not options.json:
        print(done.text, end="")
    if options.json:
        print(json.dumps(done.value))
    return EXIT_OK


def _expectations(options: argparse.Namespace) -> int:
    from jobs.expecting import suite_text
    from jobs.jobfile import load_overridden

    job = load_overridden(options.job, options.changes, source=options.input, output=options.output)
    sys.stdout.write(suite_text(job))
    return EXIT_OK


def _doctor(options: argparse.Namespace) -> int:
    from jobs.doctor import as_json, doctor

    findings = doctor(options.job, options.changes, source=options.input, output=options.output)
    stream = sys.stderr if options.json else sys.stdout
    stream.write("".join(f"{item.line()}\n" for item in findings))
    if options.json:
        print(json.dumps(as_json(findings)))
    return EXIT_USAGE if any(item.state == "failed" for item in findings) else EXIT_OK


def _verify(options: argparse.Namespace) -> int:
    from pipelines.damage import all_damage

    try:
        store, manifest = _corpus(options)
    except DamageError as error:
        print(error)
        return EXIT_GATE
    deep = options.deep or scheme_of(store.uri) not in OBJECT_SCHEMES
    damages = list(all_damage(store, manifest, deep=deep))
    for damage in damages:
        print(f"{damage.path}: {damage.problem}")
    name = f"{store.uri} v{manifest['version']:06d}"
    if damages:
        print(f"{name}: {len(damages)} damaged; build again with the same job to recompute them")
    else:
        print(
            f"{name}: whole{'' if deep else ' by checksums and spot checks'}; "
            f"{manifest['counts']['accepted']} samples in "
            f"{len(manifest['shards'])} shards, identity {manifest['identity']}"
        )
    if options.json:
        listed = [{"path": item.path, "problem": item.problem} for item in damages]
        print(json.dumps({"damaged": listed, "identity": manifest["identity"]}))
    return EXIT_GATE if damages else EXIT_OK


def _clean(options: argparse.Namespace) -> int:
    from jobs.clean import clean

    place = corpus_address(options.uri, options.store)
    work = corpus_address(options.work, options.store) if options.work else None
    text, figures = clean(
        place,
        work,
        options.grace,
        dry_run=options.dry_run,
        none_running=options.none_running,
    )
    (sys.stderr if options.json else sys.stdout).write(text + "\n")
    if options.json:
        print(json.dumps(figures))
    return EXIT_OK


def _inspect(options: argparse.Namespace) -> int:
    from jobs.inspect import inspect

    place = corpus_address(options.uri, options.store)
    found = inspect(place, options.key, version=options.version, save_to=options.save_to)
    print(json.dumps(found.value) if options.json else found.text)
    return EXIT_OK


def _replay(options: argparse.Namespace) -> int:
    from jobs.replay import replay_row

    place = corpus_address(options.uri, options.store)
    try:
        report = replay_row(place, options.key, version=options.version, save_to=options.save_to)
    except DamageError as error:  # as for verify: the corpus does not hold what it should
        sys.stderr.write(f"voxmill: error: {error}\n")
        return EXIT_GATE
    print(json.dumps(report.value) if options.json else report.text)
    return EXIT_OK if report.equal else EXIT_GATE


def _export(options: argparse.Namespace) -> int:
    from jobs.export.formats import export

    place = corpus_address(options.uri, options.store)
    try:
        done = export(place, options.to, options.output, version=options.version)
    except DamageError as error:
        sys.stderr.write(f"voxmill: error: {error}\n")
        return EXIT_GATE
    text = "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in done.items())
    print(json.dumps(done) if options.json else text)
    return EXIT_OK


def _corpus(options: argparse.Namespace) -> tuple[Store, Manifest]:
    store = open_store(corpus_address(options.uri, options.store))
    return store, chosen_snapshot(store, options.version)


if __name__ == "__main__":
    sys.exit(main())
