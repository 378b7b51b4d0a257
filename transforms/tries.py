"""The attempts at one utterance: what each gave, which one ships, or why there is none."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.errors import RowError, SynthesisError
from schemas.utterance import Attempt, Measure, Word
from transforms.attempts import Variation, best, score
from transforms.audio import decode_source_audio, encode_flac, resample, to_float, to_int16
from transforms.backends.listening import OpenAligner
from transforms.backends.tts import Paid, Said, Samples, Speech, Tokens
from transforms.backends.tts_sound import MIN_PEAK
from transforms.finish import Finisher
from transforms.hearing import align_measures, aligned_words
from transforms.listen import align
from transforms.sound import sound_measures

SYNTHESIZED = "synthesized"


@dataclass(frozen=True)
class Judge:
    """What is done with a speech before it counts: brought to its form, checked, measured."""

    sample_rate_hz: int
    retry_below: float
    langs: tuple[str, ...] = ()  # that the aligner knows
    unrecognizable: frozenset[str] = frozenset()  # voices that it cannot judge
    aligner: OpenAligner | None = None
    finish: Finisher | None = None

    def samples(self, speech: Speech, row: dict[str, Any]) -> Samples:
        """The samples that would ship. Raises SynthesisError for what is not speech."""
        check_speech(speech, row["voice"])
        rate = self.sample_rate_hz
        if speech.sample_rate_hz == rate:
            samples = speech.samples
        else:
            heard = to_float(speech.samples)
            samples = to_int16(resample(heard, speech.sample_rate_hz, rate))
        if self.finish is None:
            return samples
        finished = self.finish(samples, rate)
        check_speech(Speech(finished, rate), row["voice"])
        return finished

    def measures(self, samples: Samples, row: dict[str, Any]) -> tuple[list[Measure], list[Word]]:
        """The cheap measures of one attempt, and where its words are."""
        text, rate = row["spoken_text"], self.sample_rate_hz
        measures = sound_measures(samples, rate, text)
        words: list[Word] = []
        can = row["lang"] in self.langs and row["voice"] not in self.unrecognizable
        if self.aligner is not None and can:
            found = align(self.aligner, samples, rate, text, row["lang"])
            measures, words = [*measures, *align_measures(found)], aligned_words(found)
        return sorted(measures, key=lambda item: item["name"]), words


class Tries:
    """The attempts at one row, until one is good enough or a fault ends them."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.waiting = row["audio"] is None
        self.paid: list[tuple[int, Paid]] = []
        self._attempts: list[Attempt] = []
        self._results: list[tuple[Samples, list[Word], Tokens | None]] = []
        self._fault: RowError | None = None  # that no further attempt can mend
        self._first: SynthesisError | None = None

    def take_source(self, sample_rate_hz: int) -> None:
        """The audio that the source carries instead."""
        try:
            heard, rate = decode_source_audio(self.row["audio"])
            samples = to_int16(resample(heard, rate, sample_rate_hz))
            check_speech(Speech(samples, sample_rate_hz), "of the source", retryable=False)
        except RowError as error:
            self._fault = error
        else:
            self._results.append((samples, [], None))

    def attempted(self, how: Variation, said: Said, judge: Judge) -> None:
        """Take note of an attempt, and of whether another is wanted."""
        self.paid += [(how.number, call) for call in said.paid]
        measures: list[Measure] = []
        words: list[Word] = []
        samples: Samples = np.zeros(0, np.int16)
        error = said.error
        if said.speech is not None:
            try:
                samples = judge.samples(said.speech, self.row)
            except SynthesisError as failed:
                error = failed
            else:
                measures, words = judge.measures(samples, self.row)
        if error is not None and not (isinstance(error, SynthesisError) and error.retryable):
            self._fault, self.waiting = error, False
            return
        self._first = self._first or error
        mark = 0.0 if error else score(measures, self.row["lang"])
        self._attempts.append(
            {
                "number": how.number,
                "rate": how.rate,
                "seed": how.seed,
                "said": "" if how.text == self.row["spoken_text"] else how.text,
                "score": mark,
                "kept": False,
                "error": "" if error is None else str(error),
                "measures": measures,
            }
        )
        self._results.append((samples, words, said.speech.tokens if said.speech else None))
        self.waiting = error is not None or mark < judge.retry_below

    def settled(self, sample_rate_hz: int) -> dict[str, Any] | RowError:
        """The row's columns, or the error of the first attempt if none gave speech."""
        if self._fault is not None:
            return self._fault
        kept = 0
        if self._attempts:
            if all(item["error"] for item in self._attempts):
                assert self._first is not None
                return self._first
            kept = best(self._attempts)
            self._attempts[kept]["kept"] = True
        samples, words, tokens = self._results[kept]
        flac = encode_flac(samples, sample_rate_hz)
        source = self.row["audio"] is not None
        return {
            "flac": flac,
            "flac_sha256": hashlib.sha256(flac).hexdigest(),
            "sample_rate_hz": sample_rate_hz,
            "num_samples": len(samples),
            "audio_provenance": self.row["provenance"] if source else SYNTHESIZED,
            "attempts": self._attempts,
            "words": words,
            "augmentation": "",
            "own_codes": None if tokens is None else tokens.codes.reshape(-1).tolist(),
        }


def check_speech(speech: Speech, who: str, *, retryable: bool = True) -> None:
    """Raise SynthesisError for a result that cannot be speech: wrong kind, empty or silent.

    Float samples are refused here because a NaN would become a plausible number in int16.
    """
    samples = speech.samples
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise SynthesisError(
            f"voice '{who}' returned {samples.dtype} samples of shape {samples.shape}; wanted "
            "int16 [N]",
            retryable=retryable,
        )
    if not len(samples):
        raise SynthesisError(f"voice '{who}' returned no samples", retryable=retryable)
    peak = int(np.abs(samples.astype(np.int32)).max())
    if peak < MIN_PEAK:
        raise SynthesisError(
            f"voice '{who}' returned silence: {len(samples)} samples, peak {peak} of 32768",
            retryable=retryable,
        )
