"""The commands on a finished corpus: voxmill verify, inspect, clean, replay, export."""

import argparse
import json
import sys
from pathlib import Path

from jobs.commands.options import corpus_options, store_options
from jobs.storage import corpus_address
from jobs.summary import EXIT_GATE, EXIT_OK
from schemas.address import OBJECT_SCHEMES, scheme_of
from schemas.errors import DamageError
from schemas.snapshot import Manifest, chosen_snapshot
from schemas.store import Store, open_store


def add_corpus_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the five commands to the parser."""
    verify = commands.add_parser("verify", help="check every byte of a snapshot")
    corpus_options(verify)
    verify.add_argument(
        "--deep",
        action="store_true",
        help="read every byte in a bucket too, not only what its checksums leave open",
    )
    verify.add_argument("--json", action="store_true", help="one last line of JSON on stdout")
    verify.set_defaults(command=_verify)

    inspect = commands.add_parser("inspect", help="a snapshot, or one sample, for eyes and ears")
    corpus_options(inspect)
    inspect.add_argument("key", nargs="?", help="a sample's key, or how it begins")
    inspect.add_argument("--save-to", type=Path, metavar="DIR", help="write its files there")
    inspect.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    inspect.set_defaults(command=_inspect)

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
    store_options(clean)
    clean.set_defaults(command=_clean)

    replay = commands.add_parser("replay", help="rebuild one sample and compare its bytes")
    corpus_options(replay)
    replay.add_argument("key", help="a row's key, or how it begins")
    replay.add_argument("--save-to", type=Path, metavar="DIR", help="write both versions there")
    replay.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    replay.set_defaults(command=_replay)

    export = commands.add_parser("export", help="a snapshot in the form that a library opens")
    corpus_options(export)
    export.add_argument("--to", required=True, metavar="FORMAT", help="see docs/exports.md")
    export.add_argument("--output", type=Path, required=True, metavar="DIR", help="a new folder")
    export.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    export.set_defaults(command=_export)


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
    from jobs.commands.clean import clean

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
    from jobs.commands.inspect import inspect

    place = corpus_address(options.uri, options.store)
    found = inspect(place, options.key, version=options.version, save_to=options.save_to)
    print(json.dumps(found.value) if options.json else found.text)
    return EXIT_OK


def _replay(options: argparse.Namespace) -> int:
    from jobs.commands.replay import replay_row

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
