"""The code that a dataset card shows: how to read the corpus. A test runs it."""

from typing import Final

from schemas.snapshot import Manifest, snapshot_path

WEBDATASET: Final = """\
import json
import webdataset as wds

manifest = json.load(open("SNAPSHOT", encoding="utf-8"))
shards = ["shards/" + s["name"] for s in manifest["shards"] if s["split"] == "SPLIT"]
for sample in wds.WebDataset(shards, shardshuffle=False):
    record = json.loads(sample["json"])
    for turn in record["turns"]:
        name = f"{turn['turn']:02d}.{turn['role']}"
        flac = sample[name + ".flac"]  # 16-bit mono, SAMPLE_RATE Hz
        units = sample.get(name + ".UNITSET.npy")  # codes [codebooks, T] where the role has units
"""
TARFILE: Final = """\
import io, json, tarfile
import soundfile

manifest = json.load(open("SNAPSHOT", encoding="utf-8"))
with tarfile.open("shards/" + manifest["shards"][0]["name"]) as tar:
    for member in tar:
        key, suffix = member.name.split(".", 1)
        if suffix.endswith("flac"):
            samples, rate = soundfile.read(io.BytesIO(tar.extractfile(member).read()))
"""


def how_to_read(manifest: Manifest) -> str:
    """The section on reading, with paths relative to the corpus."""
    shards, sets = manifest["shards"], manifest["unit_sets"]
    words = {
        "SNAPSHOT": snapshot_path(manifest["version"]),
        "SPLIT": shards[-1]["split"] if shards else "train",
        "UNITSET": str(sets[0]["name"]) if sets else "UNITS",
        "SAMPLE_RATE": str(sets[0]["sample_rate_hz"]) if sets else "",
    }
    snippets = []
    for text in (WEBDATASET, TARFILE):
        for word, value in words.items():
            text = text.replace(word, value)
        snippets.append(f"```python\n{text}```")
    return (
        "Shards are plain tar files in WebDataset's layout; the snapshot file names those of this "
        f"version.\n\n{snippets[0]}\n\nOr with nothing but `tarfile`:\n\n{snippets[1]}\n\n"
        "Samples differ in how many turns they have, so readers that want the same members in "
        "every sample (`datasets` does) need them filtered to one pair first."
    )
