"""Which voices' shares are called odd: those that chance does not explain, and no others."""

from collections.abc import Mapping

import numpy as np
import pytest

from jobs.report.corpus import Amount, Corpus
from jobs.report.views import VoiceRow, voice_tables
from transforms.voices import Voice, VoiceBank


def bank(num: int) -> VoiceBank:
    return VoiceBank(
        tuple(
            Voice(
                id=f"v{n:03d}",
                speaker_id=f"v{n:03d}",
                gender="female",
                lang="en",
                backend="flite",
                name="slt",
                license="MIT",
                roles=("user",),
            )
            for n in range(num)
        )
    )


def table(num_voices: int, samples: Mapping[str, int]) -> dict[str, VoiceRow]:
    corpus = Corpus(bank(num_voices), [])
    for voice, number in samples.items():
        amount = Amount(number, number, 2.0 * number)
        corpus.voices["train", "en", "user", voice, voice] = amount
    (found,) = voice_tables(corpus)
    return {row.voice: row for row in found.rows}


@pytest.mark.parametrize(("voices", "samples"), [(20, 1), (60, 5), (60, 40)])
def test_the_one_voice_that_must_speak_in_a_small_split_is_not_odd(
    voices: int, samples: int
) -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        drawn = np.bincount(rng.integers(voices, size=samples), minlength=voices)
        rows = table(voices, {f"v{n:03d}": int(k) for n, k in enumerate(drawn) if k})
        assert not any(row.odd for row in rows.values())


def test_a_voice_that_chance_does_not_explain_is_odd() -> None:
    rows = table(4, {"v000": 400, "v001": 200, "v002": 200, "v003": 200})
    assert rows["v000"].odd
    assert rows["v000"].drift == pytest.approx(15.0)
    rows = table(4, {"v000": 250, "v001": 255, "v002": 245, "v003": 250})
    assert not any(row.odd for row in rows.values())


def test_audio_of_the_source_is_no_voice_of_the_bank_and_takes_no_share_from_one() -> None:
    rows = table(2, {"": 600, "v000": 205, "v001": 195})
    assert not any(row.odd for row in rows.values())
    assert rows["(the source's audio)"].asked is None
    assert rows["v000"].asked == pytest.approx(0.2)
    assert sum(row.share for row in rows.values()) == pytest.approx(1.0)


def test_a_voice_that_the_bank_does_not_have_is_odd_where_there_is_a_bank() -> None:
    assert table(2, {"v000": 5, "v001": 6, "other": 1})["other"].odd
    assert not table(0, {"other": 9})["other"].odd
