"""Long texts: cut at sentence ends into what a model takes, spoken apart, joined cleanly.

At a joint each side keeps at most 30 ms of what is quieter than -50 dBFS, fades over 5 ms, and a
pause stands between, so neither a click nor two models' silences are heard. Pieces that came with
tokens are only faded there and brought to whole frames: the tokens, one piece's after the other's,
stay those of the samples below them (ADR 0080).
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from schemas.errors import SynthesisError
from transforms.backends.tts import Said, Samples, Say, Speech, Tokens
from transforms.sound import SILENCE_DBFS
from transforms.text.sentences import sentences

PAUSE_S: Final = 0.25
KEPT_S: Final = 0.03
FADE_S: Final = 0.005
WIDE_LANGS: Final = frozenset({"zh", "yue", "ja", "ko"})
_MARKS: Final = ",;:，；：、"


def chunks(text: str, lang: str, most_chars: int) -> list[str]:
    """``text`` in order in pieces of at most ``most_chars``: whole sentences, else clauses, words.

    Raises SynthesisError where one word is longer.
    """
    if len(text) <= most_chars:
        return [text]
    found: list[str] = []
    for sentence in sentences(text, lang):
        for part in [sentence] if len(sentence) <= most_chars else _clauses(sentence, most_chars):
            between = " " if found and found[-1][-1:].isascii() else ""
            if found and len(found[-1]) + len(between) + len(part) <= most_chars:
                found[-1] += between + part
            else:
                found.append(part)
    return found


def _clauses(sentence: str, most_chars: int) -> list[str]:
    """A sentence cut after commas and the like, and where that does not do, between words."""
    pieces: list[str] = [""]
    for letter in sentence:
        pieces[-1] += letter
        if letter in _MARKS:
            pieces.append("")
    found: list[str] = []
    for piece in (piece.strip() for piece in pieces):
        if len(piece) <= most_chars:
            found += [piece] if piece else []
            continue
        spaced = piece.split()
        if max(map(len, spaced)) > most_chars and not piece.isascii():
            spaced = list(piece)  # a language without spaces
        line = ""
        for word in spaced:
            if len(word) > most_chars:
                raise SynthesisError(
                    f"a word of {len(word)} letters, {word[:30]!r}...; this model takes "
                    f"{most_chars} at a time: shorten it, or raise the backend's max_chars"
                )
            between = " " if line and " " in piece else ""
            if len(line) + len(between) + len(word) > most_chars:
                found.append(line)
                line, between = "", ""
            line += between + word
        found.append(line)
    return found


def join(parts: Sequence[Speech]) -> Speech:
    """Several pieces as one signal. Raises SynthesisError for pieces of several rates."""
    if len(parts) == 1:
        return parts[0]
    rates = {part.sample_rate_hz for part in parts}
    if len(rates) > 1:
        raise SynthesisError(
            f"the pieces of a long text came at {' and '.join(map(str, sorted(rates)))} Hz; set "
            "the backend's sample_rate_hz, or raise its max_chars"
        )
    rate = rates.pop()
    tokens = [part.tokens for part in parts if part.tokens is not None]
    if tokens:
        assert len(tokens) == len(parts)
        return _joined_frames(parts, tokens, rate)
    pause = np.zeros(round(PAUSE_S * rate), np.int16)
    out: list[Samples] = []
    for number, part in enumerate(parts):
        samples = _edges(part.samples, rate, start=number > 0, end=number < len(parts) - 1)
        out += [pause, samples] if number else [samples]
    return Speech(np.concatenate(out), rate)


def _joined_frames(parts: Sequence[Speech], tokens: Sequence[Tokens], rate: int) -> Speech:
    """As ``join``, and every piece but the last has the length that its tokens say."""
    (hop,) = {item.hop_samples for item in tokens}
    out: list[Samples] = []
    for number, (part, item) in enumerate(zip(parts, tokens, strict=True)):
        samples, last = part.samples, number == len(parts) - 1
        wanted = len(samples) if last else item.codes.shape[1] * hop
        samples = _faded(samples[:wanted], rate, start=number > 0, end=not last)
        out.append(np.pad(samples, (0, wanted - len(samples))))
    codes = np.concatenate([item.codes for item in tokens], axis=1)
    return Speech(np.concatenate(out), rate, Tokens(codes, hop))


def _edges(samples: Samples, rate: int, *, start: bool, end: bool) -> Samples:
    """The samples with quiet cut off at the joints, and a fade there."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 32768 * 10 ** (SILENCE_DBFS / 20))
    kept = round(KEPT_S * rate)
    first = max(0, int(loud[0]) - kept) if start and len(loud) else 0
    last = min(len(samples), int(loud[-1]) + 1 + kept) if end and len(loud) else len(samples)
    return _faded(samples[first:last], rate, start=start, end=end)


def _faded(samples: Samples, rate: int, *, start: bool, end: bool) -> Samples:
    cut = samples.astype(np.float64)
    size = min(round(FADE_S * rate), len(cut))
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(size) + 0.5) / max(size, 1))
    if start:
        cut[:size] *= ramp
    if end:
        cut[len(cut) - size :] *= ramp[::-1]
    return np.rint(cut).astype(np.int16)


@dataclass(frozen=True)
class Pieces:
    """Texts as they are asked for: ``owners`` has the item of each piece; some are refused."""

    says: list[Say]
    owners: list[int]
    refused: dict[int, Said]


def pieces_of(
    items: Sequence[Say], most_chars: int, *, most_wide_chars: int | None = None
) -> Pieces:
    """The items cut; ``most_wide_chars`` for languages in which a character is a syllable."""
    found = Pieces([], [], {})
    for place, item in enumerate(items):
        try:
            lang = item.voice.lang
            wide = most_wide_chars is not None and lang.split("-")[0] in WIDE_LANGS
            parts = chunks(item.text, lang, (most_wide_chars or 0) if wide else most_chars)
        except SynthesisError as error:
            found.refused[place] = Said(None, error)
            continue
        for number, part in enumerate(parts):
            seed = piece_seed(item.voice.seed, number)
            found.says.append(replace(item, text=part, voice=replace(item.voice, seed=seed)))
            found.owners.append(place)
    return found


def speak_long(
    items: Sequence[Say],
    most_chars: int,
    run: Callable[[list[Say]], list[Said]],
    *,
    most_wide_chars: int | None = None,
) -> list[Said]:
    """``run`` over the pieces of all items at once; the results of the items, in order."""
    cut = pieces_of(items, most_chars, most_wide_chars=most_wide_chars)
    found: dict[int, list[Said]] = {}
    for owner, said in zip(cut.owners, run(cut.says), strict=True):
        found.setdefault(owner, []).append(said)
    return [cut.refused.get(place) or _whole(found[place]) for place in range(len(items))]


def piece_seed(seed: int, number: int) -> int:
    """The seed of a piece; the first has the utterance's own."""
    if number == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4], "big") >> 1


def _whole(parts: list[Said]) -> Said:
    paid = tuple(call for part in parts for call in part.paid)
    bad = next((part.error for part in parts if part.error is not None), None)
    if bad is not None:
        return Said(None, bad, paid)
    return Said(join([part.speech for part in parts if part.speech is not None]), None, paid)
