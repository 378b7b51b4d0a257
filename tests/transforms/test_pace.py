"""The pace of voices: predicted durations, robust against what is wrong, and where unknown."""

from typing import Any

import pytest

from tests.builders import run_step, utterances
from tests.sound import tone_flac
from transforms.measure import Measured
from transforms.pace import MIN_CLIPS, FitPace, Pace, features

FIT = FitPace(seed=1)
TEXTS = [
    " ".join(["word", "longer", "a", "sentence"][n % 4] for n in range(start, start + length)) + "."
    for start, length in ((n, 3 + 5 * n % 23) for n in range(40))
]


def seconds(text: str, rate: float = 1.0) -> float:
    _, letters, words, commas, stops = features(text)
    return (0.3 + 0.06 * letters + 0.05 * words + 0.2 * commas + 0.1 * stops) / rate


def clips(count: int = 40, voice: str = "v", bad: int = 0, rate: float = 1.0) -> list[Any]:
    return [
        {
            "id": f"{voice}{number:023d}-0",
            "voice": voice,
            "spoken_text": TEXTS[number],
            "length": seconds(TEXTS[number], rate) * (0.4 if number < bad else 1.0),
        }
        for number in range(count)
    ]


def pace(rows: list[Any]) -> Pace:
    batch = utterances(FIT.reads, *[{**row, "flac": tone_flac(300, row["length"])} for row in rows])
    return Pace(FIT.finalize(FIT.merge([FIT.partial(batch, 1)])))


def test_a_duration_is_predicted_from_the_text_for_each_voice() -> None:
    fitted = pace([*clips(voice="slow"), *clips(voice="fast", rate=2.0)])
    for text in (TEXTS[3], TEXTS[11], "Every longer word of this sentence."):
        assert fitted.seconds(text, "en", "slow") == pytest.approx(seconds(text), rel=0.1)
        assert fitted.seconds(text, "en", "fast") == pytest.approx(seconds(text) / 2, rel=0.1)


def test_bad_clips_among_them_do_not_move_the_line() -> None:
    fitted = pace(clips(bad=10))
    assert fitted.seconds(TEXTS[5], "en", "v") == pytest.approx(seconds(TEXTS[5]), rel=0.1)


def test_a_voice_of_few_clips_takes_the_line_of_its_language_and_another_has_none() -> None:
    fitted = pace([*clips(), *clips(count=MIN_CLIPS - 1, voice="rare", rate=2.0)])
    known = fitted.seconds(TEXTS[5], "en", "v")
    rare = fitted.seconds(TEXTS[5], "en", "rare")
    assert known is not None
    assert rare is not None
    assert rare > known * 0.6
    assert fitted.seconds(TEXTS[5], "en", "") == rare
    assert fitted.seconds(TEXTS[5], "zh", "v") is None
    assert pace(clips(count=MIN_CLIPS - 1)).seconds(TEXTS[5], "en", "v") is None


@pytest.mark.parametrize(("share", "speed"), [(1.0, 1.0), (0.5, 1.0), (2.0, 1.0), (1.0, 1.25)])
def test_the_ratio_tells_a_cut_or_repeated_clip_and_knows_of_speed(
    share: float, speed: float
) -> None:
    batch = utterances(FIT.reads, *[{**c, "flac": tone_flac(300, c["length"])} for c in clips()])
    artifact = FIT.finalize(FIT.merge([FIT.partial(batch, 1)]))
    row = {
        "spoken_text": TEXTS[7],
        "voice": "v",
        "flac": tone_flac(300, seconds(TEXTS[7]) * share / speed),
        "augmentation": f'[{{"effect":"speed","factor":{speed}}}]' if speed != 1 else "",
    }
    found = run_step(Measured(), utterances(Measured.reads, row), {FIT.name: artifact})
    ratio = {item["name"]: item["value"] for item in found[0]["measures"]}["duration_ratio"]
    assert ratio == pytest.approx(share, rel=0.1)
