"""Make the flite voices available without root: fetch Debian's package and unpack its libraries.

    python -m jobs.install_flite [--target DIR]

apt verifies what it downloads against the distribution's signed lists. Nothing is installed into
the system: the libraries go into this Python environment, where transforms.backends.flite looks.
Exit status 0: flite works. 1: it does not, and the last line says what to do.
"""

import argparse
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from schemas.errors import BackendError
from transforms.backends.flite import (
    AUDIO_LIBRARY,
    BASE_LIBRARIES,
    CURE,
    VOICES,
    Flite,
    install_dir,
)
from transforms.backends.tts import VoiceSpec

log = logging.getLogger(__name__)

FLITE_PACKAGE = "libflite1"
AUDIO_PACKAGES = ("libasound2t64", "libasound2")  # newer and older names of one library
LIBRARIES = (*BASE_LIBRARIES, *(f"libflite_cmu_us_{name}.so.1" for name in VOICES))
STEP_LIMIT_S = 300
# apt drops to the user _apt when root calls it, and that user cannot write our directory.
APT = ("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=2")


def main(argv: Sequence[str] | None = None) -> int:
    """Install flite if it is not there; the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(prog="python -m jobs.install_flite", description=__doc__)
    parser.add_argument("--target", type=Path, help="a directory other than the environment's")
    given: Path | None = parser.parse_args(argv).target
    flite = Flite(library_dir=str(given) if given else None)
    if is_installed(flite):
        log.info("flite: already here, nothing to do")
        return 0
    target = (given or install_dir()).absolute()
    try:
        install(target)
        for name in VOICES:
            flite.check(VoiceSpec(name=name, lang="en"))
    except BackendError as error:
        log.error("%s", error)
        return 1
    except OSError as error:
        log.error("flite: cannot write %s (%s); %s", target, error.strerror, CURE)
        return 1
    log.info("flite: voices %s are in %s", ", ".join(VOICES), target)
    return 0


def is_installed(flite: Flite) -> bool:
    """Whether every voice can be used as things are."""
    try:
        for name in VOICES:
            flite.check(VoiceSpec(name=name, lang="en"))
    except BackendError:
        return False
    return True


def install(target: Path) -> None:
    """Fetch the packages and put their libraries at ``target``. Raises BackendError, OSError."""
    missing = [tool for tool in ("apt-get", "dpkg") if shutil.which(tool) is None]
    if missing:
        raise BackendError(f"flite: this system has no {' and no '.join(missing)}; {CURE}")
    with tempfile.TemporaryDirectory(prefix="voxmill-flite-") as name:
        work = Path(name)
        packages = fetch(work)
        unpacked = work / "unpacked"
        for package in packages:
            _run(["dpkg", "-x", str(package), str(unpacked)], work)
        place(unpacked, target)


def fetch(work: Path) -> list[Path]:
    """Download the packages into ``work``: with the system's lists, else with fresh private ones.

    Raises BackendError where the flite package cannot be had. The audio library is only a
    dependency, and most systems have it: where it is not to be had, we go on without.
    """
    options: list[str] = []
    try:
        _run([*APT, "download", FLITE_PACKAGE], work)
    except BackendError as error:
        why = str(error).removesuffix(f"; {CURE}")
        log.info("flite: %s; fetching package lists into a private directory", why)
        options = _private_lists(work)
        _run([*APT, *options, "update"], work)
        _run([*APT, *options, "download", FLITE_PACKAGE], work)
    for package in AUDIO_PACKAGES:
        try:
            _run([*APT, *options, "download", package], work)
            break
        except BackendError:
            continue
    return sorted(work.glob("*.deb"))


def place(unpacked: Path, target: Path) -> None:
    """Copy the libraries out of an unpacked package, all or nothing. Raises BackendError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the last move is a rename: an interrupted install leaves no target.
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name in LIBRARIES:
            shutil.copyfile(_find(unpacked, name), staging / name)
        if any(unpacked.rglob(AUDIO_LIBRARY)):
            shutil.copyfile(_find(unpacked, AUDIO_LIBRARY), staging / AUDIO_LIBRARY)
        for notice in unpacked.glob("usr/share/doc/*/copyright"):
            shutil.copyfile(notice, staging / f"{notice.parent.name}.copyright")
        staging.chmod(0o755)
        if target.exists():  # it did not pass the check
            shutil.rmtree(target)
        os.rename(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _find(unpacked: Path, name: str) -> Path:
    found = sorted(unpacked.rglob(name))
    if not found:
        raise BackendError(f"flite: the package {FLITE_PACKAGE} holds no {name}; {CURE}")
    return found[0].resolve()


def _private_lists(work: Path) -> list[str]:
    state, cache = work / "state", work / "cache"
    (state / "lists" / "partial").mkdir(parents=True)
    (cache / "archives" / "partial").mkdir(parents=True)
    settings = {
        "Dir::State": state,
        "Dir::State::lists": state / "lists",
        "Dir::State::status": "/var/lib/dpkg/status",  # what is installed stays the system's
        "Dir::Cache": cache,
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def _run(command: list[str], directory: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=STEP_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"`{' '.join(command)}` took over {STEP_LIMIT_S} s; {CURE}") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        tool, verb = command[0], next((w for w in command[1:] if w in ("download", "update")), "")
        raise BackendError(f"`{tool} {verb}`: {lines[-1]}; {CURE}")


if __name__ == "__main__":
    sys.exit(main())
