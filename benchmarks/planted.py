"""Kinds of damage, each planted in one sample; a sample is its KEY.json and its members."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.shard import durations_suffix, flac_suffix, npy, read_npy, units_suffix
from transforms.audio import decode_flac, encode_flac, resample
from transforms.effects import with_noise, with_room, with_speed

Wave = npt.NDArray[np.float64]
FOREIGN = "今天的天气非常好，我们一起去公园散步吧。"


@dataclass(frozen=True)
class Spoken:
    """A sample: its index row, its record and its members by suffix."""

    row: dict[str, Any]
    record: dict[str, Any]
    members: dict[str, bytes]
    partner: str = ""  # the key of the row that it duplicates

    @property
    def key(self) -> str:
        """The sample's key."""
        return str(self.record["id"])

    def audio(self, place: int) -> tuple[Wave, int]:
        """The samples of a turn in [-1, 1), and their rate."""
        samples, rate = decode_flac(self.members[self._flac(place)])
        return samples / 32768.0, rate

    def with_audio(self, place: int, wave: npt.NDArray[Any], rate: int) -> "Spoken":
        """With another sound, written to 16 bits as it is: what is too loud clips."""
        pcm = np.clip(np.rint(np.asarray(wave) * 32768.0), -32768, 32767).astype(np.int16)
        return replace(self, members=self.members | {self._flac(place): encode_flac(pcm, rate)})

    def with_text(self, place: int, text: str) -> "Spoken":
        """With another text, said to be spoken and written alike."""
        turns = [dict(turn) for turn in self.record["turns"]]
        turns[place] |= {"spoken_text": text, "text": text}
        return replace(self, record={**self.record, "turns": turns})

    def text(self, place: int) -> str:
        """The spoken text of a turn."""
        return str(self.record["turns"][place]["spoken_text"])

    def _flac(self, place: int) -> str:
        turn = self.record["turns"][place]
        return flac_suffix(turn["turn"], turn["role"])


@dataclass(frozen=True)
class Planting:
    """What a kind may draw on: the other samples, and its own chance."""

    others: Sequence[Spoken]
    whole: Sequence[Spoken]  # those that stay undamaged in this corpus
    say: Callable[[str, str], tuple[Wave, int]]  # (text, the voice to avoid)
    unit_set: str
    chance: np.random.Generator

    def other(self, than: Spoken) -> Spoken:
        """Another sample."""
        return self._drawn(self.others, than)

    def undamaged(self, than: Spoken) -> Spoken:
        """Another sample that stays as it is beside what is planted."""
        return self._drawn(self.whole, than)

    def _drawn(self, samples: Sequence[Spoken], than: Spoken) -> Spoken:
        while True:
            found = samples[int(self.chance.integers(len(samples)))]
            if found.key != than.key:
                return found


Plant = Callable[[Spoken, int, Planting], Spoken]
Effect = Callable[[Wave, int, Planting], npt.NDArray[Any]]


def _sound(effect: Effect) -> Plant:
    def plant(sample: Spoken, place: int, planting: Planting) -> Spoken:
        wave, rate = sample.audio(place)
        return sample.with_audio(place, effect(wave, rate, planting), rate)

    return plant


def _middle_silence(wave: Wave, rate: int, planting: Planting) -> npt.NDArray[Any]:
    half = len(wave) // 2
    return np.concatenate([wave[:half], np.zeros(2 * rate), wave[half:]])


def _half_of_peak(wave: Wave, rate: int, planting: Planting) -> npt.NDArray[Any]:
    limit = 0.35 * float(np.abs(wave).max())
    return np.clip(wave, -limit, limit)


def _narrow(wave: Wave, rate: int, planting: Planting) -> npt.NDArray[Any]:
    return np.asarray(resample(resample(wave.astype(np.float32), rate, 8000), 8000, rate))


def _hum(wave: Wave, rate: int, planting: Planting) -> npt.NDArray[Any]:
    times = np.arange(len(wave)) / rate
    tone = sum(np.sin(2 * np.pi * 50 * k * times) / k for k in (1, 2, 3))
    return np.asarray(wave + tone * 0.1 * np.sqrt(np.mean(wave**2)))


def _gaps(wave: Wave, rate: int, planting: Planting) -> npt.NDArray[Any]:
    broken = wave.copy()
    for start in planting.chance.integers(0, max(1, len(wave) - rate // 10), size=6):
        broken[start : start + rate // 12] = 0
    return broken


def _stutter(wave: Wave, rate: int, planting: Planting) -> npt.NDArray[Any]:
    start, length = len(wave) // 3, int(0.8 * rate)
    return np.concatenate(
        [wave[: start + length], wave[start : start + length], wave[start + length :]]
    )


def _pitch(wave: Wave, rate: int, planting: Planting) -> npt.NDArray[Any]:
    """Four semitones up at the same length: read faster, then drawn out by overlapping windows."""
    return _stretched(with_speed(wave, 2 ** (4 / 12), rate), len(wave))


def _stretched(wave: Wave, length: int) -> npt.NDArray[Any]:
    """To ``length`` samples by overlap-add at the best match of a few (WSOLA)."""
    size, hop, seek = 640, 320, 160
    ratio = len(wave) / length
    padded = np.concatenate([wave, np.zeros(2 * size + seek)])
    out = np.zeros(length + 2 * size, np.float64)
    shape = np.hanning(size)
    before = 0
    for start in range(0, length, hop):
        middle = int(start * ratio)
        wanted = padded[before + hop : before + hop + size]
        tries = range(max(0, middle - seek), middle + seek, 4)
        best = (
            max(tries, key=lambda at: float(np.dot(padded[at : at + size], wanted))) if start else 0
        )
        out[start : start + size] += padded[best : best + size] * shape
        before = best
    return out[:length]


def _babble(wave: Wave, rate: int, planting: Planting) -> npt.NDArray[Any]:
    other, _ = planting.others[int(planting.chance.integers(len(planting.others)))].audio(1)
    same = np.resize(other, len(wave))
    return np.asarray(wave + same * np.sqrt(np.mean(wave**2) / np.mean(same**2)))


def _crushed(wave: Wave, rate: int, planting: Planting) -> npt.NDArray[Any]:
    return np.round(wave * 16) / 16


def _wrong_voice(sample: Spoken, place: int, planting: Planting) -> Spoken:
    wave, rate = planting.say(sample.text(place), sample.record["turns"][place]["voice"])
    return sample.with_audio(place, wave, rate)


def _wrong_text(sample: Spoken, place: int, planting: Planting) -> Spoken:
    return sample.with_text(place, planting.other(sample).text(place))


def _swapped(sample: Spoken, place: int, planting: Planting) -> Spoken:
    other = planting.other(sample)
    wave, rate = other.audio(1)
    return sample.with_audio(1, wave, rate).with_text(1, other.text(1))


def _words(change: Callable[[list[str], int], list[str]]) -> Plant:
    def plant(sample: Spoken, place: int, planting: Planting) -> Spoken:
        words = sample.text(place).split()
        at = int(planting.chance.integers(max(1, len(words) - 1)))
        return sample.with_text(place, " ".join(change(words, at)))

    return plant


def _doubled_word(sample: Spoken, place: int, planting: Planting) -> Spoken:
    """A plain word said twice: before a comma the second would be a way of speaking."""
    words = sample.text(place).split()
    plain = [at for at, word in enumerate(words) if word.isalpha()] or [0]
    at = plain[int(planting.chance.integers(len(plain)))]
    return sample.with_text(place, " ".join([*words[: at + 1], *words[at:]]))


def _units(change: Callable[[Any, Any], tuple[Any, Any]]) -> Plant:
    def plant(sample: Spoken, place: int, planting: Planting) -> Spoken:
        turn = sample.record["turns"][1]
        names = [
            suffix(turn["turn"], turn["role"], planting.unit_set)
            for suffix in (units_suffix, durations_suffix)
        ]
        codes, durations = (read_npy(sample.members[name]) for name in names)
        changed = change(codes, durations)
        made = {name: npy(value) for name, value in zip(names, changed, strict=True)}
        return replace(sample, members=sample.members | made)

    return plant


def _rolled(values: Any) -> Any:  # noqa: ANN401 - an array of units
    return np.roll(values, values.shape[-1] // 2, axis=-1)


def _duplicate(sample: Spoken, place: int, planting: Planting) -> Spoken:
    """Another sample's turns and sound under this one's key."""
    other = planting.undamaged(sample)  # of a damaged twin it would be no duplicate
    record = {**other.record, "id": sample.key}
    return replace(other, row=sample.row, record=record, partner=other.key)


KINDS: dict[str, Plant] = {
    "cut to 60 %": _sound(lambda wave, rate, planting: wave[: int(0.6 * len(wave))]),
    "cut to 80 %": _sound(lambda wave, rate, planting: wave[: int(0.8 * len(wave))]),
    "first fifth missing": _sound(lambda wave, rate, planting: wave[len(wave) // 5 :]),
    "2 s of silence in the middle": _sound(_middle_silence),
    "3 s of silence at the end": _sound(
        lambda wave, rate, planting: np.concatenate([wave, np.zeros(3 * rate)])
    ),
    "silence instead of speech": _sound(lambda wave, rate, planting: np.zeros_like(wave)),
    "clipped at full scale": _sound(lambda wave, rate, planting: wave * 8),
    "clipped, then turned down": _sound(_half_of_peak),
    "8 kHz band": _sound(_narrow),
    "white noise at 10 dB": _sound(
        lambda wave, rate, planting: with_noise(wave, "white", 10.0, planting.chance)
    ),
    "another speaker at 0 dB": _sound(_babble),
    "mains hum at -20 dB": _sound(_hum),
    "DC offset of 0.1": _sound(lambda wave, rate, planting: wave + 0.1),
    "30 dB too quiet": _sound(lambda wave, rate, planting: wave * 10 ** (-30 / 20)),
    "1.4 times too fast": _sound(lambda wave, rate, planting: with_speed(wave, 1.4, rate)),
    "1.4 times too slow": _sound(lambda wave, rate, planting: with_speed(wave, 1 / 1.4, rate)),
    "4 semitones too high": _sound(_pitch),
    "reverberation of 0.6 s": _sound(
        lambda wave, rate, planting: with_room(wave, 0.6, 0.0, rate, planting.chance)
    ),
    "6 gaps of 80 ms": _sound(_gaps),
    "0.8 s said twice": _sound(_stutter),
    "5 bits": _sound(_crushed),
    "wrong voice": _wrong_voice,
    "wrong text": _wrong_text,
    "swapped response": _swapped,
    "wrong language": lambda sample, place, planting: sample.with_text(place, FOREIGN),
    "leaked Markdown": _words(
        lambda words, at: [*words[:at], f"**{words[at]}**", *words[at + 1 :]]
    ),
    "digits": _words(lambda words, at: [*words[: at + 1], "42", *words[at + 1 :]]),
    "doubled word": _doubled_word,
    "empty units": _units(lambda codes, durations: (codes[:, :0], durations[:0])),
    "units out of range": _units(
        lambda codes, durations: (np.where(codes == codes[0, 0], 9999, codes), durations)
    ),
    "units shifted by half": _units(
        lambda codes, durations: tuple(
            np.roll(x, x.shape[-1] // 2, axis=-1) for x in (codes, durations)
        )
    ),
    "units of half the frames": _units(
        lambda codes, durations: (codes[:, : codes.shape[1] // 2], durations[: len(durations) // 2])
    ),
    "duplicated row": _duplicate,
}
UNSEEN = {
    "swapped response": "nothing embedded knows what answers what; a sentence model does "
    "(docs/prompts.md), or a listener",
    "units shifted by half": "the units keep their contract, unless the first and the last, which "
    "meet in the middle, are the same; `voxmill replay` computes them anew",
}
