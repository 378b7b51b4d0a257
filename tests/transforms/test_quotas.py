"""Quotas: expected shares that hold exactly, draws that keep to them, and errors with a cure."""

import math
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingsError
from tests.transforms.test_voices import assistant, entry
from transforms.quotas import Quota, excess, fitted, quota_from
from transforms.randomness import draw
from transforms.voice_file import load_bank
from transforms.voices import VoiceBank, choose, lineup

HALVES = {"by": "gender", "shares": {"f": 0.5, "m": 0.5}}
# Weights 1 and 3 for women, 2 and 2 for men: without a quota, 4 / 8 and 4 / 8.
FOUR = (
    entry("anna", weight=1, accent="us"),
    entry("berta", weight=3, accent="uk"),
    entry("carl", gender="m", weight=2, accent="us"),
    entry("dan", gender="m", weight=2, accent="uk"),
)


def bank(tmp_path: Path, *quotas: object, voices: tuple[object, ...] = FOUR) -> VoiceBank:
    path = tmp_path / "bank.yaml"
    told = {"voices": [*voices, assistant()], "quotas": list(quotas)}
    path.write_text(yaml.safe_dump(told), encoding="utf-8")
    return load_bank(path)


def shares(made: VoiceBank, split: str = "train") -> dict[str, float]:
    here = lineup(made, "user", "en", split)  # type: ignore[arg-type]
    return {voice.id: share for voice, share in zip(here.voices, here.shares, strict=True)}


def by(made: VoiceBank, attribute: str) -> dict[str, float]:
    here = lineup(made, "user", "en", "train")
    found: dict[str, list[float]] = {}
    for voice, share in zip(here.voices, here.shares, strict=True):
        found.setdefault(getattr(voice, attribute), []).append(share)
    return {value: math.fsum(parts) for value, parts in found.items()}


def test_one_quota_scales_the_weights_and_keeps_their_proportions(tmp_path: Path) -> None:
    made = bank(tmp_path, {"by": "gender", "shares": {"f": 0.25, "m": 0.75}})
    # By hand: women 1:3 of a quarter, men 2:2 of three quarters.
    assert shares(made) == {"anna": 1 / 16, "berta": 3 / 16, "carl": 3 / 8, "dan": 3 / 8}


def test_two_quotas_hold_at_once_with_the_shares_that_are_nearest_the_weights(
    tmp_path: Path,
) -> None:
    told = ({"by": "gender", "shares": {"f": 0.6, "m": 0.4}},
            {"by": "accent", "shares": {"uk": 0.3, "us": 0.7}})  # fmt: skip
    made = bank(tmp_path, *told)
    assert by(made, "gender") == pytest.approx({"f": 0.6, "m": 0.4}, abs=1e-12)
    assert by(made, "accent") == pytest.approx({"uk": 0.3, "us": 0.7}, abs=1e-12)
    # Scaling rows and columns keeps the odds ratio of the weights: (1 * 2) / (3 * 2) = 1 / 3.
    found = shares(made)
    ratio = found["anna"] * found["dan"] / (found["berta"] * found["carl"])
    assert ratio == pytest.approx(1 / 3, abs=1e-9)
    assert made == bank(tmp_path, *reversed(told))


def test_the_draws_of_rows_follow_the_quota_and_without_one_the_weights(tmp_path: Path) -> None:
    num = 20_000
    draws = [draw(7, "cast", f"row{n}", "user") for n in range(num)]

    def heard(made: VoiceBank) -> float:
        got = Counter(
            choose(made, role="user", lang="en", split="train", draw=d).gender for d in draws
        )
        return got["m"] / num

    quota = bank(tmp_path, {"by": "gender", "shares": {"f": 0.9, "m": 0.1}})
    assert excess(heard(quota), 0.1, num) == 0
    assert excess(heard(bank(tmp_path)), 0.1, num) > 0.3  # the test can fail
    assert excess(heard(bank(tmp_path)), 0.5, num) == 0


def test_a_bank_without_quotas_draws_as_it_did(tmp_path: Path) -> None:
    here = lineup(bank(tmp_path), "user", "en", "train")
    assert here.weights == (1.0, 3.0, 2.0, 2.0)
    assert here.bounds == (1.0, 4.0, 6.0, 8.0)


def test_a_quota_holds_where_it_says_and_nowhere_else(tmp_path: Path) -> None:
    made = bank(tmp_path, {**HALVES, "splits": ["train"], "shares": {"f": 0.9, "m": 0.1}})
    assert by(made, "gender") == pytest.approx({"f": 0.9, "m": 0.1}, abs=1e-15)
    assert shares(made, "eval") == {"anna": 1 / 8, "berta": 3 / 8, "carl": 2 / 8, "dan": 2 / 8}


def test_a_share_of_nothing_is_never_drawn(tmp_path: Path) -> None:
    made = bank(tmp_path, {"by": "gender", "shares": {"f": 1, "m": 0}})
    last = 1 - 2**-53
    drawn = {
        choose(made, role="user", lang="en", split="train", draw=d).id for d in (0.0, 0.3, last)
    }
    assert drawn == {"anna", "berta"}
    assert math.fsum(shares(made).values()) == 1.0


def test_voices_that_say_no_accent_count_under_none(tmp_path: Path) -> None:
    voices = (entry("anna", accent="us"), entry("berta"))
    made = bank(tmp_path, {"by": "accent", "shares": {"us": 0.2, "": 0.8}}, voices=voices)
    assert by(made, "accent") == {"us": 0.2, "": 0.8}


@given(
    weights=st.lists(st.floats(0.01, 100), min_size=6, max_size=12),
    gender=st.integers(1, 99),
    accent=st.tuples(st.integers(1, 50), st.integers(1, 49)),
)
def test_full_tables_always_fit_to_the_last_digits(
    weights: list[float], gender: int, accent: tuple[int, int]
) -> None:
    kinds = [("fm"[n % 2], "abc"[n // 2 % 3]) for n in range(len(weights))]
    one, two = Fraction(gender, 100), [Fraction(n, 100) for n in accent]
    quotas = (
        Quota(by="gender", shares=(("f", float(one)), ("m", float(1 - one)))),
        Quota(
            by="accent",
            shares=(("a", float(two[0])), ("b", float(two[1])), ("c", float(1 - sum(two)))),
        ),
    )
    found = fitted(weights, kinds, quotas, "here")
    for place, quota in enumerate(quotas):
        for value, share in quota.shares:
            got = math.fsum(s for s, kind in zip(found, kinds, strict=True) if kind[place] == value)
            assert abs(got - share) < 1e-11


WRONG = [
    ({"by": "gender"}, "quota 1: `shares` is missing"),
    ({"shares": {"f": 1}}, "quota 1: `by` is missing"),
    ({**HALVES, "share": 1}, "unknown key `share`: did you mean `shares`"),
    ({**HALVES, "by": "sex"}, "`by` is 'sex': it wants gender, accent"),
    ({**HALVES, "by": "accents"}, "did you mean `accent`"),
    ({**HALVES, "role": "system"}, "`role` is 'system', wants one of user, assistant"),
    ({**HALVES, "langs": ["fr"]}, "`langs` is ['fr'], wants a list of some of en"),
    ({**HALVES, "splits": "train"}, "`splits` is 'train', wants a list of some of train, eval"),
    ({**HALVES, "shares": [0.5]}, "`shares` is [0.5], wants a share for each value"),
    ({**HALVES, "shares": {"f": 0.5, "m": 0.4}}, "`shares` add up to 0.9, wants 1"),
    ({**HALVES, "shares": {"f": 50, "m": 50}}, "add up to 100, wants 1 (shares are fractions"),
    ({**HALVES, "shares": {"f": 1.5, "m": -0.5}}, "the share of 'm' is -0.5, wants 0 to 1"),
    ({**HALVES, "shares": {"f": True, "m": 0.5}}, "the share of 'f' is True"),
    ({**HALVES, "shares": {False: 0.5, "m": 0.5}}, "`shares` has the value False, wants text (in"),
    ({**HALVES, "shares": {"f": 1}}, "has no share for gender 'm', which voices there have; give"),
    (
        {**HALVES, "shares": {"f": 0.5, "m": 0.4, "x": 0.1}},
        "user voices of 'en' in train: the quota by gender wants 0.1 of gender 'x', and no voice "
        "there has it (there are 'f', 'm'); add one, or keep the quota to places that have one",
    ),
    ({**HALVES, "role": "assistant"}, "one assistant voice speaks each language, so write 1"),
    ("f", "quota 1 is 'f', wants keys such as by and shares"),
]


@pytest.mark.parametrize(("quota", "said"), WRONG)
def test_a_quota_that_cannot_be_meant_is_refused(tmp_path: Path, quota: object, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        bank(tmp_path, quota)
    assert said in str(caught.value)
    assert "bank.yaml: " in str(caught.value)


def test_two_quotas_by_the_same_attribute_may_not_meet(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"two quotas by gender for user voices of 'en' in tr"):
        bank(tmp_path, HALVES, {**HALVES, "splits": ["train"]})
    made = bank(tmp_path, {**HALVES, "splits": ["eval"]}, {**HALVES, "splits": ["train"]})
    assert len(made.quotas) == 2


def test_quotas_that_contradict_each_other_say_what_is_missing(tmp_path: Path) -> None:
    voices = (entry("anna", accent="us"), entry("carl", gender="m", accent="uk"))
    accents = {"by": "accent", "shares": {"us": 0.3, "uk": 0.7}}
    with pytest.raises(SettingsError) as caught:
        bank(tmp_path, HALVES, accents, voices=voices)
    told = str(caught.value)
    assert "the quotas by accent and gender cannot hold together: at best" in told
    assert "1 of 'uk' + 'm', 1 of 'us' + 'f'" in told
    # What holds only if a kind of voice is never heard is told with its name.
    voices = (*voices, entry("berta", accent="uk"))
    with pytest.raises(SettingsError, match=r"next to nothing is left for 'uk' [+] 'f'"):
        bank(tmp_path, HALVES, {"by": "accent", "shares": {"us": 0.5, "uk": 0.5}}, voices=voices)


def test_a_quota_that_covers_nobody_is_refused(tmp_path: Path) -> None:
    voices = (entry("anna", splits=["train"]),)
    told = {"by": "gender", "splits": ["eval"], "shares": {"f": 1}}
    with pytest.raises(SettingsError, match="covers no voice: no user voice speaks en in eval"):
        bank(tmp_path, told, voices=voices)
    path = tmp_path / "odd.yaml"
    path.write_text(yaml.safe_dump({"voices": [assistant()], "quotas": {"by": "gender"}}))
    with pytest.raises(SettingsError, match="wants a list of quotas"):
        load_bank(path)


def test_facts_are_read_back_as_they_were(tmp_path: Path) -> None:
    for quota in bank(tmp_path, {**HALVES, "langs": ["en"]}).quotas:
        assert quota_from(quota.facts()) == quota


def test_what_chance_does_is_a_binomial_share() -> None:
    # sqrt(0.5 * 0.5 / 100) = 0.05, and four of them are let pass.
    assert excess(0.7, 0.5, 100) == 0.0
    assert excess(0.8, 0.5, 100) == pytest.approx(0.1)
    assert excess(0.01, 0.0, 100) == 0.01  # what no draw does
