"""Spectrograms and aligned words: true to the sound, and safe with what a record may hold."""

import base64
import io

import numpy as np
import pytest

from jobs.report.aligned import MAX_WORDS, spoken_words
from jobs.report.spectrogram import BANDS, SHADES, mel_image, mel_shades, png
from tests.sound import pcm16, sine
from transforms.backends.tts import Samples

RATE_HZ = 16000


def tone(hertz: float, seconds: float, rate_hz: int = RATE_HZ) -> Samples:
    return pcm16(sine(hertz, seconds, rate_hz))


def height(sound: Samples, rate_hz: int = RATE_HZ) -> int:
    """The line of the picture, from the top, that is the darkest."""
    return int(mel_shades(sound, rate_hz).mean(axis=1).argmax())


def test_a_higher_tone_is_a_line_further_up() -> None:
    lines = [height(tone(hertz, 2.0)) for hertz in (300, 1000, 4000)]
    assert lines == sorted(lines, reverse=True)
    assert lines[0] > BANDS / 2 > lines[2]


@pytest.mark.parametrize("rate_hz", [8000, 24000, 48000])
def test_other_rates_are_drawn_on_the_same_scale(rate_hz: int) -> None:
    there = height(tone(1000, 2.0, rate_hz), rate_hz)
    assert abs(there - height(tone(1000, 2.0))) <= 1


def test_sound_then_silence_is_dark_then_clear() -> None:
    sound = np.concatenate([tone(500, 1.0), np.zeros(RATE_HZ, np.int16)])
    shades = mel_shades(sound, RATE_HZ)
    assert shades.shape == (BANDS, 200)  # a column per 10 ms, up to COLUMNS of them
    half = shades.shape[1] // 2
    assert shades[:, : half - 4].max(axis=0).min() > SHADES // 2
    assert shades[:, half + 4 :].max() == 0


@pytest.mark.parametrize("samples", [0, 1, 400, 61 * RATE_HZ])
def test_what_cannot_be_drawn_has_no_picture(samples: int) -> None:
    assert mel_image(np.zeros(samples, np.int16), RATE_HZ, "user") == ""


@pytest.mark.parametrize("width", [1, 2, 7, 360])
def test_the_picture_is_a_png_that_others_read(width: int) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed here")
    shades = np.random.default_rng(0).integers(0, SHADES, (BANDS, width)).astype(np.uint8)
    read = image.open(io.BytesIO(png(shades, (1, 2, 3)))).convert("RGBA")
    pixels = np.asarray(read)
    assert pixels.shape == (BANDS, width, 4)
    assert (pixels[..., :3] == [1, 2, 3]).all()
    assert (pixels[..., 3] == np.rint(shades * 255.0 / (SHADES - 1))).all()


def test_the_image_is_small_and_inside_the_page() -> None:
    uri = mel_image(tone(700, 8.0), RATE_HZ, "assistant")
    kind, data = uri.split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data).startswith(b"\x89PNG")
    assert len(uri) < 20_000


def test_words_stand_where_they_are_said() -> None:
    found = spoken_words([["one", 0.5, 1.0], {"word": "two", "start_s": 1.0, "end_s": 2.0}], 2.0)
    assert [(w.word, w.left, w.width) for w in found] == [("one", 25.0, 25.0), ("two", 50.0, 50.0)]


@pytest.mark.parametrize(
    "words",
    [
        None,
        "words",
        [["a"]],
        [[1, 0.0, 1.0]],
        [["a", 1.0, 0.5]],
        [["a", -1.0, 0.5]],
        [["a", 0.0, float("nan")]],
        [["a", 0.0, 99.0]],
        [None, {}],
    ],
)
def test_what_is_no_word_within_the_clip_is_left_out(words: object) -> None:
    assert spoken_words(words, 2.0) == []


def test_many_and_long_words_are_cut() -> None:
    words = [["x\u202e" * 500, n / 1000, (n + 1) / 1000] for n in range(1000)]
    found = spoken_words(words, 2.0)
    assert len(found) == MAX_WORDS
    assert "\u202e" not in found[0].word
    assert len(found[0].word) < 400
