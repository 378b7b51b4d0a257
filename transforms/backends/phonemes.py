"""What makes phonemes of texts for models that read them: the package phonemizer and espeak-ng."""

from functools import cache
from importlib.util import find_spec

from transforms.backends.tts_files import installed


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
