"""What the dataset card says of corpora whose audio others made."""

from typing import Any, Final

from schemas.snapshot import Manifest, snapshot_path

HEARD: Final = ("retokenize", "check")


def is_heard(manifest: Manifest) -> bool:
    """Whether the pipeline started from audio."""
    return manifest["pipeline"] in HEARD


def introduction(manifest: Manifest) -> str:
    """The first sentence."""
    if manifest["pipeline"] == "retokenize":
        return "A speech corpus with one more set of discrete units, made by Voxmill. "
    return "Speech that others made, measured and checked by Voxmill. "


def making(manifest: Manifest, gates: str, unchecked: int) -> str:
    """How it was made."""
    settings: dict[str, Any] = dict(manifest["settings"])
    corpus = settings["source"].get("snapshot")
    steps = []
    if corpus is not None:
        steps.append(
            f"**The source** is version {corpus['version']} of a Voxmill corpus, identity "
            f"`{corpus['identity']}`. Every sample keeps its key, its texts and its `KEY.json`."
        )
    kept = [item["name"] for item in settings["kept_sets"]]
    if kept:
        steps.append(f"**Units** of the source are kept: {', '.join(f'`{n}`' for n in kept)}.")
    if manifest["pipeline"] == "retokenize":
        steps.append("**Audio** is that of the source, byte for byte.")
    else:
        rate = settings["audio"]["sample_rate_hz"]
        steps += [
            f"**Audio** that is mono 16-bit FLAC at {rate} Hz is kept byte for byte; other audio "
            "is mixed to mono, resampled and encoded.",
            f"**Gates** judge each pair on its measured audio: {gates}. {unchecked:,} samples were "
            "judged by none.",
        ]
    text = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))
    return f"{text}\n\nAll settings are in `{snapshot_path(manifest['version'])}`."
