"""From a sample to the arrays of an example: one front end a name, ready for ``collate``.

mel80, mel128   the first user turn: mel [bins, 3000], mel_frames [] (what is not padding)
codec           the first assistant turn: codec [72000], a window at 24 kHz
units           the first assistant turn: units [T'] and unit_durations [T'], collapsed
raw_units       the same, expanded: units [T], one per frame
tokens          all turns as ChatML: tokens [N]; the user's words as well as the assistant's
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from schemas.errors import SettingsError
from schemas.unitset import UnitSet
from trainers.batching.counts import mel_frames
from trainers.byte_bpe import PAD
from trainers.collate import Pad
from trainers.features.audio import at_rate
from trainers.features.codec import CodecWindow
from trainers.features.mel import SAMPLE_RATE_HZ, WHISPER_FRAMES, log_mel
from trainers.features.units import IGNORE_INDEX, check_padding, read_units
from trainers.sample import Sample, Turn
from trainers.text import TextTokenizer

NAMES: Final = ("mel80", "mel128", "codec", "units", "raw_units", "tokens")
WINDOW: Final = CodecWindow()
Array = npt.NDArray[Any]
FrontEnd = Callable[[Sample], dict[str, Array]]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The chosen front ends of a run; calling it with a sample gives that sample's arrays.

    ``seed`` is that of the codec's windows. ``unit_set`` is needed by units, ``tokenizer`` by
    tokens: SettingsError without.
    """

    names: Sequence[str]
    seed: int = 0
    unit_set: UnitSet | None = None
    tokenizer: TextTokenizer | None = None
    window: CodecWindow = WINDOW
    mel_pad_frames: int = WHISPER_FRAMES

    def __post_init__(self) -> None:
        """Raise SettingsError for an unknown front end, or one without what it needs."""
        unknown = sorted(set(self.names) - set(NAMES))
        if unknown:
            raise SettingsError(f"features {unknown}: wanted some of {', '.join(NAMES)}")
        clashing = [pair for pair in (NAMES[:2], NAMES[3:5]) if set(pair) <= set(self.names)]
        if clashing:
            raise SettingsError(f"features {list(clashing[0])} have the same arrays; choose one")
        if {"units", "raw_units"} & set(self.names) and self.unit_set is None:
            raise SettingsError(
                "features of units without a unit set; the snapshot has none, or it was not given"
            )
        if "tokens" in self.names and self.tokenizer is None:
            raise SettingsError(
                "features of tokens without a tokenizer; train one with `python -m "
                "trainers.tokenizer URI --out tokenizer.json`"
            )

    def __call__(self, sample: Sample) -> dict[str, Array]:
        """The arrays of a sample, and its key."""
        example: dict[str, Array] = {"key": np.array(sample.key)}
        for name in self.names:
            example.update(self._front_end(name)(sample))
        return example

    def pads(self) -> Mapping[str, Pad]:
        """How ``collate`` pads these arrays: targets with an ignore index, never with a unit."""
        pads: dict[str, Pad] = {}
        if self.unit_set is not None and {"units", "raw_units"} & set(self.names):
            ignore = check_padding(IGNORE_INDEX, self.unit_set.codebook_size)
            pads["units"] = Pad(value=ignore)
            if "units" in self.names:
                pads["unit_durations"] = Pad(value=0)
        if self.tokenizer is not None and "tokens" in self.names:
            pads["tokens"] = Pad(value=self.tokenizer.special(PAD))
        return pads

    def _front_end(self, name: str) -> FrontEnd:
        if name.startswith("mel"):
            return lambda sample: self._mel(sample, int(name.removeprefix("mel")))
        if name == "codec":
            return self._codec
        return self._tokens if name == "tokens" else lambda sample: self._units(sample, name)

    def _mel(self, sample: Sample, num_mels: int) -> dict[str, Array]:
        samples = at_rate(first_turn(sample, "user").audio(), SAMPLE_RATE_HZ)
        return {
            "mel": log_mel(samples, num_mels, self.mel_pad_frames),
            "mel_frames": np.array(mel_frames(len(samples))),
        }

    def _codec(self, sample: Sample) -> dict[str, Array]:
        audio = first_turn(sample, "assistant").audio()
        clip = at_rate(audio, self.window.sample_rate_hz)
        window = self.window.train(
            clip, self.window.sample_rate_hz, seed=self.seed, epoch=sample.epoch, key=sample.key
        )
        return {"codec": window}

    def _units(self, sample: Sample, name: str) -> dict[str, Array]:
        assert self.unit_set is not None
        turn = first_turn(sample, self.unit_set.roles[0])
        targets = read_units(turn, self.unit_set, sample.key)
        if name == "raw_units":
            return {"units": _one_codebook(targets.expand())}
        return {"units": _one_codebook(targets.codes), "unit_durations": targets.durations}

    def _tokens(self, sample: Sample) -> dict[str, Array]:
        assert self.tokenizer is not None
        turns = [self.tokenizer.chat_turn(turn.role, turn.spoken_text) for turn in sample.turns]
        return {"tokens": np.concatenate(turns)}


def first_turn(sample: Sample, role: str) -> Turn:
    """The first turn of a role. Raises SettingsError where there is none."""
    for turn in sample.turns:
        if turn.role == role:
            return turn
    raise SettingsError(
        f"{sample.key}: has no turn of the {role}, which a front end reads; filter such samples "
        "out of the corpus"
    )


def _one_codebook(codes: Array) -> Array:
    """Codes [T] of a set with one codebook; several stay [nq, T]."""
    return codes[0] if len(codes) == 1 else codes
