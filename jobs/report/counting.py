"""Counts a batch of accepted rows into what is known of the corpus."""

from collections import Counter

import numpy as np

from jobs.report.columns import Flat, Ints, groups
from jobs.report.corpus import Amount, Corpus, Values
from jobs.report.histogram import Floats, Histogram, rank
from transforms.minhash import tokens

MAX_VOICES = 256  # whose measures are kept apart
VOICE_BINS = 128
SLIM = ("key", "shard", "offset", "length", "crc32c")


def see(corpus: Corpus, flat: Flat, words_share: float = 0.0) -> None:
    """Count a batch. ``words_share`` is the share of the rows whose spoken words are counted."""
    if not flat.num_rows:
        return
    corpus.multi_turn += int((flat.turns_per_row > 2).sum())
    corpus.lost_turns += int((flat.batch.column("num_dropped").to_numpy() > 0).sum())
    _see_rows(corpus, flat)
    _see_voices(corpus, flat)
    _see_measures(corpus, flat)
    _see_texts(corpus, flat)
    _see_units(corpus, flat)
    judged = np.zeros(flat.num_rows, bool)
    for use in corpus.gates:
        judged |= use.meets(flat)
    corpus.unchecked += int((~judged).sum())
    corpus.chosen.see(flat)
    for place, key in enumerate(flat.batch.column("key").to_pylist()):
        if corpus.unit_rows.wants(key):
            row = {name: flat.batch.column(name)[place].as_py() for name in SLIM}
            corpus.unit_rows.add(key, row)
    if words_share > 0:
        _see_words(corpus, flat, words_share)


def _see_rows(corpus: Corpus, flat: Flat) -> None:
    seconds = flat.batch.column("duration_s").to_numpy()
    split, lang = flat.rows("split"), flat.rows("lang")
    source, granted = flat.rows("source"), flat.rows("license")
    for (of_split, of_lang), rows in groups(split, lang):
        _add(corpus.places.setdefault((of_split, of_lang), Amount()), flat, rows, seconds)
        corpus.outcomes[of_lang, "accepted"] += len(rows)
    for (of_source, of_license), rows in groups(source, granted):
        corpus.sources[of_source] += len(rows)
        corpus.licenses[of_license] += len(rows)
        _add(corpus.origins.setdefault((of_source, of_license), Amount()), flat, rows, seconds)


def _add(amount: Amount, flat: Flat, rows: Ints, seconds: Floats) -> None:
    amount.samples += len(rows)
    amount.utterances += int(flat.turns_per_row[rows].sum())
    amount.seconds += float(seconds[rows].sum())


def _see_voices(corpus: Corpus, flat: Flat) -> None:
    seconds = flat.numbers("duration_s")
    split = flat.rows("split").at(flat.row_of_turn)
    for key, turns in groups(split, flat.lang, flat.role, flat.voice, flat.speaker):
        place: tuple[str, str, str, str, str] = key  # type: ignore[assignment]  # five columns
        amount = corpus.voices.setdefault(place, Amount())
        amount.samples += len(np.unique(flat.row_of_turn[turns]))
        amount.utterances += len(turns)
        amount.seconds += float(seconds[turns].sum())


def _see_measures(corpus: Corpus, flat: Flat) -> None:
    role, lang = (item.at(flat.turn_of_measure) for item in (flat.role, flat.lang))
    for (name, of_role, of_lang, status), found in groups(flat.measure, role, lang, flat.status):
        counter = corpus.statuses.setdefault(name, {}).setdefault((of_role, of_lang), Counter())
        counter[status] += len(found)
        _spread(corpus.values, name, (of_role, of_lang), flat.values[found[flat.taken[found]]])
    voice = flat.voice.at(flat.turn_of_measure)
    for (name, of_voice), found in groups(flat.measure, voice):
        known = corpus.by_voice.setdefault(name, {})
        taken = found[flat.taken[found]]
        if len(taken) and (of_voice in known or len(known) < MAX_VOICES):
            known.setdefault(of_voice, Histogram(VOICE_BINS)).add_all(flat.values[taken])


def _see_texts(corpus: Corpus, flat: Flat) -> None:
    for column, name in (("text", "source_text"), ("spoken_text", "spoken_text")):
        lengths = flat.lengths(column)
        for (role, lang), turns in groups(flat.role, flat.lang):
            _spread(corpus.texts, f"{name}_chars", (role, lang), lengths[turns])


def _spread(values: Values, name: str, slot: tuple[str, str], found: Floats) -> None:
    if len(found):
        values.setdefault(name, {}).setdefault(slot, Histogram()).add_all(found)


def _see_units(corpus: Corpus, flat: Flat) -> None:
    frames = flat.numbers("num_frames")
    there = frames > 0
    use = corpus.units
    use.utterances += int(there.sum())
    use.units += int(flat.numbers("num_units")[there].sum())
    use.frames += int(frames[there].sum())
    use.seconds += float(flat.numbers("duration_s")[there].sum())


def _see_words(corpus: Corpus, flat: Flat, share: float) -> None:
    """The words of a share of the rows, which the hash of their keys chooses."""
    most = int(share * 2**256)
    chosen = np.array([rank(key) < most for key in flat.batch.column("key").to_pylist()], bool)
    texts = flat.turns.field("spoken_text")
    for (lang,), turns in groups(flat.lang):
        counter = corpus.words.setdefault(lang, Counter())
        for turn in turns[chosen[flat.row_of_turn[turns]]].tolist():
            counter.update(tokens(texts[turn].as_py()))
