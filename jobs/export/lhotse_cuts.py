"""lhotse: a cut per spoken turn, as files with a manifest, or as Shar tars."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobs.export.corpus import Corpus, Sample, Turn
from schemas.errors import SettingsError

FOR_WHOM = "lhotse, and with it k2, NeMo and ESPnet recipes"
OPENED_BY = """\
import lhotse
lhotse.CutSet.from_file("FOLDER/train/cuts.jsonl.gz").with_recording_path_prefix("FOLDER")"""
SHAR_FOR_WHOM = "lhotse Shar: sequential reading, also from a bucket"
SHAR_OPENED_BY = """\
import lhotse
lhotse.CutSet.from_shar(in_dir="FOLDER/train")"""
LOST = (
    "word times, attempts and what was dropped; that turns belong together is said by custom "
    "fields only (key, turn, role)"
)
SHARD_SIZE = 1000  # cuts


def write(corpus: Corpus, folder: Path) -> int:
    """SPLIT/cuts.jsonl.gz and SPLIT/audio/KEY.NN.ROLE.flac; paths are relative to the folder.

    Raises SettingsError where lhotse is not installed.
    """
    lhotse = _lhotse("lhotse")
    count = 0
    for split in corpus.splits:
        (folder / split / "audio").mkdir(parents=True)
        with lhotse.CutSet.open_writer(folder / split / "cuts.jsonl.gz", overwrite=True) as writer:
            for cut, turn in _cuts(corpus, split, lhotse):
                path = f"{split}/audio/{cut.id}.flac"
                (folder / path).write_bytes(turn.flac)
                source = lhotse.AudioSource(type="file", channels=[0], source=path)
                cut.recording.sources = [source]
                writer.write(cut)
                count += 1
    return count


def write_shar(corpus: Corpus, folder: Path) -> int:
    """SPLIT/cuts.NNNNNN.jsonl.gz and SPLIT/recording.NNNNNN.tar, both as lhotse writes them."""
    lhotse = _lhotse("lhotse_shar")
    from lhotse.shar import SharWriter

    count = 0
    for split in corpus.splits:
        (folder / split).mkdir()
        fields = {"recording": "flac"}
        with SharWriter(str(folder / split), fields=fields, shard_size=SHARD_SIZE) as writer:
            for cut, _ in _cuts(corpus, split, lhotse):
                writer.write(cut)
                count += 1
    return count


def _lhotse(to: str) -> Any:  # noqa: ANN401 - a module without types
    try:
        import lhotse
    except ImportError as error:
        raise SettingsError(
            f"--to {to}: the package lhotse is not installed; run `pip install 'voxmill[export]'`"
        ) from error
    return lhotse


def _cuts(corpus: Corpus, split: str, lhotse: Any) -> Iterator[tuple[Any, Turn]]:  # noqa: ANN401
    for sample in corpus.samples(split):
        for turn in sample.turns:
            yield _cut(sample, turn, lhotse), turn


def _cut(sample: Sample, turn: Turn, lhotse: Any) -> Any:  # noqa: ANN401
    name = f"{sample.key}.{turn.name}"
    recording = lhotse.Recording.from_bytes(turn.flac, name)
    said = turn.said
    custom: dict[str, Any] = {
        "key": sample.key,
        "turn": said["turn"],
        "role": said["role"],
        "text_before": said["text"],
        "voice": said["voice"],
        "license": sample.record["license"],
        "measures": said["measures"],
        "units": {
            unit_set: {
                "codes": units.codes.tolist(),
                "durations": None if units.durations is None else units.durations.tolist(),
            }
            for unit_set, units in turn.units.items()
        },
    }
    supervision = lhotse.SupervisionSegment(
        id=name,
        recording_id=name,
        start=0.0,
        duration=recording.duration,
        channel=0,
        text=said["spoken_text"],
        language=sample.record["lang"],
        speaker=said["speaker_id"] or said["voice"] or None,
        custom=custom,
    )
    return lhotse.MonoCut(
        id=name,
        start=0.0,
        duration=recording.duration,
        channel=0,
        recording=recording,
        supervisions=[supervision],
    )
