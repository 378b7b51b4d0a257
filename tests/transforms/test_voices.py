"""The voice bank: strict reading, fair draws, and an honest answer about disjointness."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from schemas.errors import SettingsError
from tests.sound import sine, wav
from transforms.backends.espeak import Espeak
from transforms.voice_file import load_bank
from transforms.voices import (
    Voice,
    VoiceBank,
    candidates,
    choose,
    disjointness,
    voice_digest,
)

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "examples" / "voices.yaml"
FAST = ROOT / "tests" / "data" / "voices_fast.yaml"


def entry(identifier: str, **changes: object) -> dict[str, object]:
    plain: dict[str, object] = {
        "id": identifier,
        "speaker_id": "anna",
        "gender": "f",
        "lang": "en",
        "backend": "flite",
        "name": "slt",
        "license": "MIT",
        "roles": ["user"],
    }
    return plain | changes


def bank_of(tmp_path: Path, *entries: object) -> VoiceBank:
    path = tmp_path / "bank.yaml"
    path.write_text(yaml.safe_dump({"voices": list(entries)}), encoding="utf-8")
    return load_bank(path)


def assistant(**changes: object) -> dict[str, object]:
    return entry("answer", roles=["assistant"], **changes)


def test_the_shipped_bank_says_what_is_disjoint() -> None:
    german, english, chinese = disjointness(load_bank(SHIPPED)).langs
    assert (english.lang, english.by_voice, english.by_speaker) == ("en", True, True)
    assert (chinese.lang, chinese.by_voice, chinese.by_speaker) == ("zh", True, False)
    assert (german.lang, german.by_voice, german.by_speaker) == ("de", True, False)
    sentence = disjointness(load_bank(SHIPPED)).sentence
    assert "en: the user voices of train and eval share no voice and no speaker." in sentence
    assert "variants of the same speaker (espeak-ng-cmn)" in sentence


@pytest.mark.parametrize("path", [SHIPPED, FAST], ids=["shipped", "fast"])
def test_every_place_of_our_banks_has_a_voice(path: Path) -> None:
    bank = load_bank(path)
    assert bank.langs == {SHIPPED: ("de", "en", "zh"), FAST: ("en", "zh")}[path]
    for lang in bank.langs:
        assert candidates(bank, "user", lang, "train")
        assert candidates(bank, "user", lang, "eval")
        answers = candidates(bank, "assistant", lang, "train")
        assert answers == candidates(bank, "assistant", lang, "eval")
        assert len(answers) == 1


def test_every_espeak_voice_of_our_banks_exists() -> None:
    for voice in {*load_bank(SHIPPED).voices, *load_bank(FAST).voices}:
        if voice.backend == "espeak":
            Espeak().check(voice.spec)


def test_the_same_sound_under_two_ids_is_not_disjoint(tmp_path: Path) -> None:
    bank = bank_of(
        tmp_path, entry("one", splits=["train"]), entry("two", splits=["eval"]), assistant()
    )
    (english,) = disjointness(bank).langs
    assert english.shared_voices == ("two",)
    assert "NOT disjoint: eval's two are heard in train too" in disjointness(bank).sentence


def test_a_bank_for_one_split_has_nothing_to_compare(tmp_path: Path) -> None:
    bank = bank_of(tmp_path, entry("one", splits=["train"]), assistant())
    assert disjointness(bank).sentence == "en: only train has user voices, nothing to compare."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"licence": "MIT"}, r"voice 1 \(one\): unknown key `licence`: did you mean `license`\?"),
        ({"zzz": 1}, "unknown key `zzz`: it wants id, speaker_id"),
        ({"weight": 0}, "`weight` is 0, wants a number above 0"),
        ({"weight": float("nan")}, "`weight` is nan, wants a number above 0"),
        ({"weight": True}, "`weight` is True, wants a number"),
        ({"rate": "fast"}, "`rate` is 'fast', wants a number"),
        ({"rate": 50}, "`rate` is 50, wants a factor from 0.2 to 5.0"),
        ({"lang": False}, r"`lang` is False, wants text \(in quotes"),  # YAML's `no`
        ({"roles": "user"}, "`roles` is 'user', wants a list of user or assistant"),
        ({"roles": []}, "`roles` is .., wants a list"),
        ({"roles": ["user", ["x"]]}, "wants a list of user or assistant"),
        ({"splits": ["test"]}, "wants a list of train or eval"),
        ({"splits": ["eval", "eval"]}, "each at most once"),
    ],
)
def test_what_a_voice_cannot_mean_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        bank_of(tmp_path, entry("one", **changes), assistant())
    assert "bank.yaml: voice 1 (one): " in str(caught.value)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    without = entry("one")
    del without["license"]
    with pytest.raises(SettingsError, match="`license` is missing"):
        bank_of(tmp_path, without)


def test_duplicate_ids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="two voices have the id 'one'"):
        bank_of(tmp_path, entry("one"), entry("one"), assistant())


def test_a_language_wants_exactly_one_assistant(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'en' has 0 assistant voices \(none\)"):
        bank_of(tmp_path, entry("one"))
    with pytest.raises(SettingsError, match=r"'en' has 2 assistant voices \(answer, one\)"):
        bank_of(tmp_path, entry("one", roles=["user", "assistant"]), assistant())
    with pytest.raises(SettingsError, match="'answer' is in train only"):
        bank_of(tmp_path, assistant(splits=["train"]))


@pytest.mark.parametrize(
    "text", ["", "voices: []", "voices: 3", "- a", "voice: []", "voices: [a]", "a: [", "\x00"]
)
def test_a_file_that_is_no_bank_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"voice bank .*odd\.yaml: "):
        load_bank(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: No such file"):
        load_bank(tmp_path / "none.yaml")


def test_draws_follow_the_weights_and_not_the_order_of_the_file(tmp_path: Path) -> None:
    entries = [entry("b", weight=1), entry("a", weight=3), entry("c", weight=4)]
    bank = bank_of(tmp_path, *entries, assistant())
    assert bank == bank_of(tmp_path, assistant(), *reversed(entries))
    drawn = Counter(
        choose(bank, role="user", lang="en", split="train", draw=i / 800).id for i in range(800)
    )
    assert drawn == {"a": 300, "b": 100, "c": 400}
    last = choose(bank, role="user", lang="en", split="train", draw=1 - 2**-53)
    assert last.id == "c"


def test_no_voice_for_a_place_gives_the_cure() -> None:
    with pytest.raises(SettingsError, match=r"no user voice for 'fr' in eval.*`lang: fr`"):
        choose(load_bank(FAST), role="user", lang="fr", split="eval", draw=0.0)


def test_the_digest_is_of_the_sound_alone() -> None:
    one = Voice(
        id="a", speaker_id="s", gender="f", lang="en", backend="flite", name="slt", license="MIT"
    )
    same = Voice(
        id="b", speaker_id="t", gender="f", lang="en", backend="flite", name="slt", license="MIT",
        weight=2.0,
    )  # fmt: skip
    other = Voice(
        id="a", speaker_id="s", gender="f", lang="en", backend="flite", name="slt", license="MIT",
        pitch=1.1,
    )  # fmt: skip
    assert voice_digest(one, {"so": "1"}) == voice_digest(same, {"so": "1"})
    assert voice_digest(one, {"so": "1"}) != voice_digest(other, {"so": "1"})
    assert voice_digest(one, {"so": "1"}) != voice_digest(one, {"so": "2"})


def clip(path: Path, wave: object, rate: int = 16000) -> str:
    path.write_bytes(wav(np.asarray(wave), rate))
    return path.name


def cloned(tmp_path: Path, **changes: object) -> VoiceBank:
    plain = {"reference": "anna.wav", "reference_text": "Hello.", "consent": "Anna, 2026-03-01"}
    return bank_of(tmp_path, assistant(), entry("one", **plain | changes))


def test_a_cloned_voice_is_its_clip_by_checksum_and_never_by_path(tmp_path: Path) -> None:
    clip(tmp_path / "anna.wav", sine(200.0, 2.0))
    (voice,) = [v for v in cloned(tmp_path).voices if v.id == "one"]
    assert voice.spec.reference is not None
    assert Path(voice.spec.reference.path) == tmp_path / "anna.wav"
    assert str(tmp_path) not in str(voice.facts())
    assert voice.facts()["reference_sha256"] == voice.reference_sha256
    moved = replace(voice, reference="/elsewhere")
    other = replace(voice, reference_sha256="0" * 64)
    assert voice_digest(voice, {}) == voice_digest(moved, {})
    assert voice_digest(voice, {}) != voice_digest(other, {})


@pytest.mark.parametrize(
    ("wave", "rate", "changes", "said"),
    [
        (None, 0, {}, r"`reference` .*anna\.wav is not there; the path is relative"),
        (sine(200.0, 2.0), 16000, {"consent": " "}, "wants text"),
        (sine(200.0, 0.2), 16000, {}, "lasts 0.2 s, wants 1 to 30 s: cut it"),
        (sine(200.0, 31.0), 16000, {}, "lasts 31.0 s"),
        (sine(200.0, 2.0, 8000), 8000, {}, "is at 8000 Hz, wants 16000 Hz"),
        (np.stack([sine(200.0, 2.0)] * 2, axis=1), 16000, {}, "has 2 channels"),
        (np.zeros(32000), 16000, {}, "is silent"),
        (sine(200.0, 2.0), 16000, {"reference_sha256": "ab"}, "another clip stands there"),
    ],
)
def test_a_clip_that_is_of_no_use_is_refused_with_the_cure(
    tmp_path: Path, wave: object, rate: int, changes: dict[str, object], said: str
) -> None:
    if wave is not None:
        clip(tmp_path / "anna.wav", wave, rate)
    with pytest.raises(SettingsError, match=said):
        cloned(tmp_path, **changes)


def test_a_clip_without_consent_or_that_is_no_audio_is_refused(tmp_path: Path) -> None:
    clip(tmp_path / "anna.wav", sine(200.0, 2.0))
    with pytest.raises(SettingsError, match="there is no `consent`; write who agreed"):
        bank_of(tmp_path, assistant(), entry("one", reference="anna.wav"))
    (tmp_path / "anna.wav").write_bytes(b"RIFF")
    with pytest.raises(SettingsError, match="cannot be read"):
        cloned(tmp_path)


def test_a_manner_counts_in_the_digest_and_is_reported_where_it_is_ignored() -> None:
    plain = Voice(
        id="a", speaker_id="s", gender="f", lang="en", backend="x", name="n", license="MIT"
    )
    happy = replace(plain, emotion="happy", instruction="Whisper.")
    assert voice_digest(plain, {}) != voice_digest(happy, {})
    assert happy.ignored(frozenset()) == ["emotion", "instruction"]
    assert happy.ignored(frozenset({"emotion"})) == ["instruction"]
    assert "emotion" not in plain.facts()
    assert replace(plain, accent="Scottish").facts()["accent"] == "Scottish"
