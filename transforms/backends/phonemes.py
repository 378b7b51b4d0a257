"""What makes phonemes of texts for models that read them: packages and espeak-ng, by version."""

import re
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec

from transforms.backends.tts_files import installed

# Those that coqui-tts takes phonemes from, each for languages of its own.
COQUI_PACKAGES = (
    "gruut", "gruut-ipa", "jieba", "pypinyin", "mecab-python3", "unidic-lite", "cutlet", "fugashi",
    "g2pkk", "jamo", "hangul-romanize", "bangla", "bnnumerizer", "bnunicodenormalizer",
)  # fmt: skip


@cache
def phonemizer_versions() -> dict[str, str]:
    """The versions of the package and of the espeak-ng that it found: samples follow from both."""
    found = installed("phonemizer")
    if find_spec("phonemizer") is None:
        return found
    from phonemizer.backend import EspeakBackend

    try:
        number = ".".join(map(str, EspeakBackend.version()))
    except RuntimeError:  # espeak-ng is not there; the first text says so
        number = "absent"
    return {**found, "version:phonemizer's espeak-ng": number}


@cache
def coqui_phonemizers() -> dict[str, str]:
    """What coqui-tts makes phonemes with here: its packages, and the espeak that it would run.

    It takes espeak-ng of the path before espeak, and asks each for ``--version``.
    """
    there = {name: found for name, found in installed(*COQUI_PACKAGES).items() if found != "absent"}
    program = next(filter(shutil.which, ("espeak-ng", "espeak")), None)
    if program is None:
        return {**there, "version:coqui's espeak": "absent"}
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        told = ""
    number = re.search(r"text-to-speech:\s*(\S+)", told)
    return {**there, "version:coqui's espeak": f"{program} {number[1] if number else 'unknown'}"}
