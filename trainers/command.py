"""What the commands of trainers share: one message on stderr and an exit code for every error."""

import os
import sys
from collections.abc import Callable

from schemas.errors import VoxmillError

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
