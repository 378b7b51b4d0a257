"""The command line: voxmill build, plan, doctor, verify, clean, inspect, export, units, ..."""

import argparse
import io
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from rich.console import Console

from jobs.commands.corpus import add_corpus_commands
from jobs.commands.options import EXAMPLES, job_options
from jobs.commands.people import add_people_commands
from jobs.commands.units import add_units_command
from jobs.storage import store_address
from jobs.summary import (
    EXIT_FAILED_ROWS,
    EXIT_GATE,
    EXIT_OK,
    EXIT_USAGE,
    exit_code,
    json_line,
    print_summary,
)
from schemas.errors import (
    SettingsError,
    SystemicError,
    VoxmillError,
)
from schemas.redaction import redacted
from schemas.snapshot import current_version
from schemas.store import explain_local, open_store

EXIT_FAULT = 70  # EX_SOFTWARE of sysexits.h
EXIT_AGAIN = 75  # EX_TEMPFAIL: another time or other machines may do better
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141
DESCRIPTION = "Grinds text instruction data into speech instruction corpora."


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors become one message on stderr and an exit code."""
    logging.basicConfig(format="voxmill: %(levelname)s: %(message)s", level=logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show every letter
            stream.reconfigure(errors="backslashreplace")
    words, beam = _parted(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(words, argparse.Namespace(beam=beam))
    command: Callable[[argparse.Namespace], int] = options.command
    before = signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        code = command(options)
        sys.stdout.flush()
        return code
    except SystemicError as error:
        sys.stderr.write(f"voxmill: error: {redacted(str(error))}\n")
        return EXIT_FAILED_ROWS
    except VoxmillError as error:
        sys.stderr.write(f"voxmill: error: {redacted(str(error))}\n")
        return EXIT_AGAIN if error.passing else EXIT_USAGE
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
    except Exception:  # noqa: BLE001 - not to be taken for a gate that was missed, which is 1
        traceback.print_exc()
        sys.stderr.write(
            "\nvoxmill: a fault of Voxmill, with the trace above; please report it. Finished work "
            "is kept; the same command goes on.\n"
        )
        return EXIT_FAULT
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
    job_options(build)
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
    job_options(plan)
    plan.set_defaults(command=_plan)

    schedule = commands.add_parser("schedule", help="the objects that build a job in a cluster")
    job_options(schedule, limit=False)
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
    job_options(expectations)
    expectations.set_defaults(command=_expectations)

    doctor = commands.add_parser("doctor", help="try every backend, voice, endpoint and store")
    job_options(doctor)
    doctor.set_defaults(command=_doctor)

    add_corpus_commands(commands)
    add_people_commands(commands)

    add_units_command(commands)
    return parser


def _build(options: argparse.Namespace) -> int:
    from jobs.commands.build import build_job
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
    from jobs.commands.plan import plan_text

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
    from jobs.settings.jobfile import load_overridden

    job = load_overridden(options.job, options.changes, source=options.input, output=options.output)
    sys.stdout.write(suite_text(job))
    return EXIT_OK


def _doctor(options: argparse.Namespace) -> int:
    from jobs.doctor.doctor import as_json, doctor

    findings = doctor(options.job, options.changes, source=options.input, output=options.output)
    stream = sys.stderr if options.json else sys.stdout
    stream.write("".join(f"{item.line()}\n" for item in findings))
    if options.json:
        print(json.dumps(as_json(findings)))
    return EXIT_USAGE if any(item.state == "failed" for item in findings) else EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
