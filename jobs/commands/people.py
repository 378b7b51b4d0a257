"""The commands whose answers are for people to read: voxmill report, diff, card."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from jobs.commands.options import corpus_options, store_options
from jobs.summary import EXIT_GATE, EXIT_OK

VERSIONED = "a corpus; CORPUS@v000001 is one of its versions"


def add_people_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the three commands to the parser."""
    report = commands.add_parser("report", help="a snapshot as one page to look at and listen to")
    corpus_options(report)
    report.add_argument("--output", type=Path, metavar="FILE", help="default: NAME-vVERSION.html")
    report.add_argument("--against", metavar="URI", help=f"show the drift from {VERSIONED}")
    report.add_argument("--json", action="store_true", help="one last line of JSON on stdout")
    report.set_defaults(command=_report)

    diff = commands.add_parser(
        "diff",
        help="what drifted from one snapshot to another",
        epilog="exit codes: 0 nothing drifted much; 1 something did, or rows are rejected for a "
        "reason that is new; docs/drift.md",
    )
    diff.add_argument("before", help=VERSIONED)
    diff.add_argument("now", help="another, or another version of it")
    diff.add_argument("--html", type=Path, metavar="FILE", help="write the page of the second too")
    store_options(diff)
    diff.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    diff.set_defaults(command=_diff)

    card = commands.add_parser("card", help="the dataset card and the Croissant description")
    corpus_options(card)
    card.add_argument("--output", type=Path, metavar="DIR", help="write README.md, croissant.json")
    card.add_argument(
        "--license",
        action="append",
        default=[],
        metavar="NAME=ID",
        help="the license of a source, a model or a voice that the snapshot leaves open",
    )
    card.add_argument(
        "--for-publication",
        action="store_true",
        help="exit with 1 unless all licenses are known, and none forbids to publish it",
    )
    card.add_argument("--json", action="store_true", help="one last line of JSON on stdout")
    card.set_defaults(command=_card)


def _report(options: argparse.Namespace) -> int:
    from jobs.commands.report import write_report
    from jobs.snapshots import opened

    corpus = opened(options.uri, options.store, options.version)
    against = opened(options.against, options.store) if options.against else None
    figures = write_report(corpus, options.output, against)
    _say(options, f"{figures['report']}: {figures['bytes'] / 1e6:.1f} MB, open it in a browser")
    return _last_line(options, figures)


def _diff(options: argparse.Namespace) -> int:
    from jobs.commands.diff import as_json, diff, print_diff, write_page
    from jobs.snapshots import opened

    before, now = (opened(uri, options.store) for uri in (options.before, options.now))
    drift = diff(before, now)
    if options.html is not None:
        write_page(before, now, options.html)
    if options.json:
        sys.stdout.write(json.dumps(as_json(drift)) + "\n")
    else:
        print_diff(drift, Console())
    return EXIT_GATE if drift.drifted else EXIT_OK


def _card(options: argparse.Namespace) -> int:
    from jobs.commands.card import make_card, said_licenses
    from jobs.snapshots import opened

    corpus = opened(options.uri, options.store, options.version)
    card, granted, figures = make_card(corpus, options.output, said_licenses(options.license))
    if options.output is None and not options.json:
        sys.stdout.write(card)
    for path in figures["written"]:
        _say(options, path)
    _last_line(options, figures)
    if options.for_publication and not granted.publishable:
        for name in (*granted.unknown, *granted.forbidding):
            sys.stderr.write(f"voxmill: may not be published: {name}\n")
        if granted.unknown:
            sys.stderr.write(
                "voxmill: find out what these allow, and say it with --license NAME=ID\n"
            )
        return EXIT_GATE
    return EXIT_OK


def _say(options: argparse.Namespace, text: str) -> None:
    (sys.stderr if options.json else sys.stdout).write(f"{text}\n")


def _last_line(options: argparse.Namespace, figures: dict[str, Any]) -> int:
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    return EXIT_OK
