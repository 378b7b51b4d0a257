"""What the commands of trainers share: errors as one message and an exit code, store options."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Final

import yaml

from schemas.errors import SettingsError, VoxmillError
from schemas.store import StoreAddress, StoreOptions

_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "virtual_hosted": (bool,),
    "allow_http": (bool,),
    "anonymous": (bool,),
    "timeout_s": (int, float),
    "retry_s": (int, float),
}

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_PIPE = 141
EXIT_INTERRUPTED = 130


def run_command(name: str, command: Callable[[], None]) -> int:
    """Run ``command``; the exit code. Errors that name their cure are shown without a traceback."""
    try:
        command()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    except (VoxmillError, OSError) as error:
        sys.stderr.write(f"{name}: error: {error}\n")
        return EXIT_USAGE
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{name}: interrupted\n")
        return EXIT_INTERRUPTED
    return EXIT_OK


def add_store_option(parser: argparse.ArgumentParser) -> None:
    """The option --store, as the command ``voxmill`` has it."""
    parser.add_argument(
        "--store",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="how an object store is reached, such as endpoint=http://127.0.0.1:9000 (repeatable)",
    )


def address_of(uri: str, changes: Sequence[str]) -> StoreAddress:
    """The address of a corpus under ``--store`` options. Keys are found by the store's client."""
    found: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        known = [item.name for item in fields(StoreOptions)]
        if not equals or key not in known:
            raise SettingsError(
                f"--store {key}: wanted KEY=VALUE with one of the keys {', '.join(known)}, such as "
                "endpoint=http://127.0.0.1:9000"
            )
        found[key] = yaml.safe_load(value)
        kinds = _KINDS.get(key, (str,))
        if type(found[key]) not in kinds:
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise SettingsError(f"--store {change}: wanted a value that is {wanted}")
    if str(found.get("endpoint", "")).startswith("http://"):
        found.setdefault("allow_http", True)
    return StoreAddress(uri, StoreOptions(**found))
