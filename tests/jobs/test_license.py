"""The license that follows from source, language model, TTS and voice."""

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from jobs.cards.card import render_card
from jobs.cards.license import Granted, Kind, Part, granted_of, outcome
from jobs.cards.license_note import license_words
from jobs.cards.license_table import TABLE, terms_of
from jobs.commands.card import said_licenses
from jobs.report.corpus import Amount
from schemas.errors import SettingsError
from tests.jobs.conftest import TinyCorpus
from transforms.voices import VoiceBank


def made(*parts: tuple[Kind, str]) -> Granted:
    return outcome(
        [Part(kind, f"n{n}", name, 1, terms_of(name)) for n, (kind, name) in enumerate(parts)]
    )


@pytest.mark.parametrize(
    ("source", "model", "voice", "license"),
    [
        ("Apache-2.0", "MIT", "MIT-Festival", "apache-2.0"),
        ("CC0-1.0", "Apache-2.0", "CC-BY-4.0", "cc-by-4.0"),
        ("CC-BY-NC-4.0", "Apache-2.0", "MIT", "cc-by-nc-4.0"),
        ("MIT OR GPL-3.0-only", "MIT", "MIT", "mit"),
        ("CC-BY-4.0", "llama3.1", "MIT", "llama3.1"),
    ],
)
def test_the_strictest_part_decides(source: str, model: str, voice: str, license: str) -> None:
    granted = made(("source", source), ("language model", model), ("voice", voice))
    assert granted.license == license
    assert granted.publishable
    assert granted.front_matter() == {"license": license}


@pytest.mark.parametrize("name", ["", "unknown", "My Own Terms", "MIT AND My Own Terms"])
@pytest.mark.parametrize("kind", ["source", "language model", "voice"])
def test_one_unknown_part_blocks_publication_and_is_named(kind: Kind, name: str) -> None:
    granted = made(("source", "MIT"), (kind, name))
    assert not granted.publishable
    assert granted.front_matter() == {"license": "unknown"}
    (told,) = granted.unknown
    assert told.startswith(f"{kind} n1")
    assert "may not be published" in license_words(granted)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([("source", "CC-BY-ND-4.0")], "no derivatives"),
        ([("source", "MIT"), ("language model", "llama2")], "may not improve"),
        ([("source", "CC-BY-SA-4.0"), ("voice", "CC-BY-NC-4.0")], "contradict"),
        ([("source", "CC-BY-SA-4.0"), ("language model", "GPL-3.0-only")], "contradict"),
    ],
)
def test_what_forbids_is_told(parts: list[tuple[Kind, str]], words: str) -> None:
    granted = made(*parts)
    assert not granted.publishable
    assert any(words in told for told in granted.forbidding)
    assert granted.front_matter()["license"] == "other"


def test_rows_of_several_sources_do_not_contradict_each_other() -> None:
    granted = made(("source", "CC-BY-SA-4.0"), ("source", "CC-BY-NC-4.0"))
    assert granted.publishable
    assert granted.license == "cc-by-nc-4.0"


def test_the_hubs_names_stand_for_spdx_ids() -> None:
    for name, hub in [("GPL-3.0-or-later", "gpl-3.0"), ("odc-by-1.0", "odc-by"), ("mit", "mit")]:
        terms = terms_of(name)
        assert terms is not None
        assert terms.hub == hub
    assert all(terms.hub == name for name, terms in TABLE.items())


@pytest.mark.parametrize(
    ("expression", "license"),
    [
        ("(MIT OR Apache-2.0) AND CC-BY-NC-4.0", "cc-by-nc-4.0"),
        ("CC-BY-NC-4.0 AND (MIT OR Apache-2.0)", "cc-by-nc-4.0"),
        ("MIT OR Apache-2.0 AND CC-BY-NC-4.0", "mit"),
        ("((CC-BY-4.0) OR (CC-BY-NC-4.0 AND MIT))", "cc-by-4.0"),
        ("(MIT OR Apache-2.0) AND My Own Terms", None),
        ("(MIT OR Apache-2.0", None),
        ("MIT) OR (CC-BY-NC-4.0", None),
        ("(" * 5000 + "MIT" + ")" * 5000, None),
    ],
)
def test_brackets_bind_first_then_and_then_or(expression: str, license: str | None) -> None:
    terms = terms_of(expression)
    assert (terms and terms.hub) == license


def test_a_program_that_speaks_does_not_license_its_sound(tiny_corpus: TinyCorpus) -> None:
    granted = granted_of(tiny_corpus.manifest, tiny_corpus.corpus)
    spoken = {part.name: part for part in granted.parts if part.kind == "speech synthesis"}
    assert not spoken["espeak"].binds
    assert granted.license == "apache-2.0"
    assert {part.kind for part in granted.parts} >= {"source", "voice"}


def test_the_model_that_wrote_the_texts_counts(tiny_corpus: TinyCorpus) -> None:
    settings: dict[str, Any] = dict(tiny_corpus.manifest["settings"])
    settings["respond"] = {"backend": "chat", "chat": {"model": "big"}}
    settings["models"] = {"big": {"model": "some/model", "license": ""}}
    manifest: Any = {**tiny_corpus.manifest, "settings": settings}
    granted = granted_of(manifest, tiny_corpus.corpus)
    assert granted.unknown == ["language model some/model: none given"]
    told = granted_of(manifest, tiny_corpus.corpus, {"some/model": "cc-by-nc-4.0"})
    assert told.license == "cc-by-nc-4.0"
    assert told.publishable
    settings["models"]["big"]["license"] = "apache-2.0"
    assert granted_of(manifest, tiny_corpus.corpus).license == "apache-2.0"


def test_a_license_for_nothing_or_of_nothing_is_an_error(tiny_corpus: TinyCorpus) -> None:
    with pytest.raises(SettingsError, match=r"nothing here is named so.*voxmill-sample"):
        granted_of(tiny_corpus.manifest, tiny_corpus.corpus, {"no such": "mit"})
    with pytest.raises(SettingsError, match="not in the table"):
        granted_of(tiny_corpus.manifest, tiny_corpus.corpus, {"voxmill-sample": "terms of mine"})
    with pytest.raises(SettingsError, match="wanted NAME=ID"):
        said_licenses(["mit"])
    assert said_licenses(["a=b=mit"]) == {"a=b": "mit"}


def test_hostile_licenses_stay_inside_their_cell(tiny_corpus: TinyCorpus) -> None:
    evil = "`|\n# <img src=x>"
    corpus = replace(
        tiny_corpus.corpus,
        origins={(evil, evil): Amount(samples=3)},
        licenses=Counter({evil: 3}),
    )
    granted = granted_of(tiny_corpus.manifest, corpus)
    card = render_card(tiny_corpus.store, tiny_corpus.manifest, corpus, granted)
    assert "<img" not in card.split("---\n", 2)[2]
    assert len(re.findall(r"^# ", card, re.MULTILINE)) == 1


def test_voices_are_counted_in_utterances_and_never_above_what_there_is(
    tiny_corpus: TinyCorpus,
) -> None:
    granted = granted_of(tiny_corpus.manifest, tiny_corpus.corpus)
    accepted = tiny_corpus.manifest["counts"]["accepted"]
    spoken = sum(amount.utterances for amount in tiny_corpus.corpus.voices.values())
    parts = [part for part, _ in granted.alike()]
    assert sum(part.samples for part in parts if part.kind == "source") == accepted
    assert sum(part.utterances for part in parts if part.kind == "voice") == spoken
    assert max(part.samples for part in parts) == accepted
    assert f"{accepted} samples |" in license_words(granted)


def test_several_models_of_one_license_wrote_no_more_than_all(tiny_corpus: TinyCorpus) -> None:
    models = [Part("language model", name, "MIT", 7, terms_of("MIT")) for name in ("a", "b")]
    ((part, names),) = outcome(models).alike()
    assert (part.samples, names) == (7, ["a", "b"])


def test_a_corpus_made_of_a_corpus_waits_for_what_that_ones_card_says(
    tiny_corpus: TinyCorpus,
) -> None:
    settings: dict[str, Any] = dict(tiny_corpus.manifest["settings"])
    settings["source"] = {"snapshot": {"version": 4, "identity": "1f" * 32}}
    manifest: Any = {**tiny_corpus.manifest, "settings": settings}
    heard = replace(tiny_corpus.corpus, bank=VoiceBank(()))
    granted = granted_of(manifest, heard)
    assert granted.unknown == [f"earlier corpus {'1f' * 6}: none given"]
    assert not granted.publishable
    told = granted_of(manifest, heard, {"1f" * 6: "cc-by-nc-4.0"})
    assert (told.license, told.publishable) == ("cc-by-nc-4.0", True)


def test_a_voice_that_the_bank_does_not_have_is_of_unknown_license(
    tiny_corpus: TinyCorpus,
) -> None:
    corpus = replace(tiny_corpus.corpus, voices=dict(tiny_corpus.corpus.voices))
    corpus.voices["train", "en", "user", "stranger", "somebody"] = Amount(1, 1, 1.0)
    granted = granted_of(tiny_corpus.manifest, corpus)
    assert granted.unknown == ["voice stranger: none given"]
    corpus.voices["train", "en", "user", "", "somebody"] = Amount(1, 1, 1.0)  # the source's audio
    assert granted_of(tiny_corpus.manifest, corpus).unknown == granted.unknown
