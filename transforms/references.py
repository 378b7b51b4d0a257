"""Reference clips of cloned voices: there, readable, mono speech of a length that models take."""

from pathlib import Path
from typing import Final

from schemas.errors import SettingsError
from transforms.backends.tts_files import file_sha256
from transforms.wav import lacks_length

BOUNDS_S: Final = (1.0, 30.0)  # CosyVoice refuses more than 30 s
MIN_RATE_HZ: Final = 16_000


def read_reference(path: Path, where: str) -> str:
    """The checksum of a clip. Raises SettingsError, with the cure, for one that is of no use."""
    import numpy as np
    import soundfile

    if not path.is_file():
        raise SettingsError(
            f"{where}: `reference` {path} is not there; the path is relative to the bank's file: "
            "put the clip there, or take a voice that needs none"
        )
    if lacks_length(path.read_bytes()):
        raise SettingsError(
            f"{where}: `reference` {path} says no length in its header, as a file does that was "
            f"written to a pipe; write it again, such as `ffmpeg -i {path.name} clip.flac`"
        )
    try:
        samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise SettingsError(
            f"{where}: `reference` {path} cannot be read ({error}); wants WAV or FLAC"
        ) from error
    seconds = len(samples) / rate
    problem = ""
    if not BOUNDS_S[0] <= seconds <= BOUNDS_S[1]:
        problem = f"lasts {seconds:.1f} s, wants {BOUNDS_S[0]:g} to {BOUNDS_S[1]:g} s: cut it"
    elif rate < MIN_RATE_HZ:
        problem = f"is at {rate} Hz, wants {MIN_RATE_HZ} Hz at least: record it again"
    elif samples.shape[1] != 1:
        problem = f"has {samples.shape[1]} channels, wants one: mix it down"
    elif not np.isfinite(samples).all() or float(np.abs(samples).max()) < 0.01:
        problem = "is silent, or holds what is no sample: wants clean speech"
    if problem:
        raise SettingsError(f"{where}: `reference` {path} {problem}")
    return file_sha256(path)
