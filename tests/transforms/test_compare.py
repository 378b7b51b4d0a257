"""What two recognizers say together, and the counts from which a corpus has its error rate."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from schemas.utterance import NOT_SAMPLED, TAKEN, UNAVAILABLE, value_of
from tests.builders import hear
from transforms.backends.listening import Clip, Transcript
from transforms.checks import Checks
from transforms.hearing import ASR_MEASURES, SECOND_MEASURES, asr_measures, edits, judged_measures

SAID = "the old bridge leads over the river".split()
WRONG = "a new ledge reads under a liver".split()
OTHER = "all bread is cheaper on sundays now".split()


@dataclass(frozen=True)
class Parrot:
    """A recognizer that hears what it was told."""

    text: str
    langs: tuple[str, ...] = ("en", "zh")

    batch_rows: ClassVar[int] = 1
    gpus: ClassVar[float] = 0.0
    bit_stable: ClassVar[bool] = True

    def identity(self) -> Mapping[str, object]:
        return {"text": self.text}

    def check(self) -> None:
        pass

    @contextmanager
    def open(self) -> Iterator["Parrot"]:
        yield self

    def transcribe(self, clips: Sequence[Clip]) -> list[Transcript]:
        return [Transcript(self.text) for _ in clips]


def judged(first: list[str], second: list[str] | None, **rule: Any) -> float | None:
    return value_of(judged_measures(SAID, first, second, **rule), "asr_wer_judged")


@pytest.mark.parametrize(
    ("first", "second", "agree", "both", "either"),
    [
        (SAID, SAID, 0.0, 0.0, 0.0),
        (WRONG, SAID, None, 0.0, 1.0),  # one of them errs: not the speech's fault
        (WRONG, WRONG, 1.0, 1.0, 1.0),  # both hear the same other text
        (WRONG, OTHER, None, 1.0, 1.0),  # noise, or a language of its own
        ([], [], 1.0, 1.0, 1.0),  # nothing is said
    ],
)
def test_a_text_is_to_blame_only_where_recognizers_agree_that_it_is_not_there(
    first: list[str], second: list[str], agree: float | None, both: float, either: float
) -> None:
    assert judged(first, second) == agree
    assert judged(first, second, rule="both") == both
    assert judged(first, second, rule="either") == either


def test_one_recognizer_judges_alone() -> None:
    found = judged_measures(SAID, SAID[:-1], None)
    assert value_of(found, "asr_wer_judged") == pytest.approx(1 / 7)
    assert {item["status"] for item in found[1:]} == {UNAVAILABLE}


def test_counts_add_up_to_the_error_rate_of_a_corpus() -> None:
    pairs = [(SAID, SAID[1:]), (["yes"], ["no", "no"]), (["a", "b"], ["a", "b"])]
    found = [asr_measures(*pair) for pair in pairs]

    def total(name: str) -> float:
        return sum(value_of(item, name) or 0.0 for item in found)

    said = [word for pair in pairs for word in pair[0]]
    heard = [*SAID[1:], "no", "no", "a", "b"]
    assert total("asr_word_errors") / total("asr_num_words") == edits(said, heard) / len(said)
    assert total("asr_num_letters") == len("".join(said))


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("kitten", "sitting", 3),
        (["a", "b", "c"], ["a", "x", "c", "d"], 2),
        (["a"], [], 1),
        ("abc", "", 3),
        ("你好吗", "你们好吗", 1),
    ],
)
def test_edits_are_levenshteins(said: Any, heard: Any, errors: int) -> None:
    assert edits(said, heard) == errors


def test_both_transcripts_are_compared_in_the_same_words() -> None:
    checks = Checks(
        asr_fraction=1.0, recognizer=Parrot("It is 12 o'clock!"), second=Parrot("IT IS TWELVE")
    )
    (row,) = hear(checks, {"spoken_text": "It is twelve o'clock."})
    assert value_of(row["heard"], "asr_wer") == 0.0
    assert value_of(row["heard"], "asr_wer_second") == pytest.approx(1 / 4)
    assert value_of(row["heard"], "asr_wer_between") == pytest.approx(1 / 4)
    assert row["heard_text"] == "It is 12 o'clock!"
    assert [item["text"] for item in row["transcripts"]] == ["It is 12 o'clock!", "IT IS TWELVE"]


def test_chinese_is_compared_character_by_character() -> None:
    checks = Checks(asr_fraction=1.0, recognizer=Parrot("今天有12个人。"))
    (row,) = hear(checks, {"spoken_text": "今天有十二个人", "lang": "zh"})
    assert value_of(row["heard"], "asr_wer") == value_of(row["heard"], "asr_cer") == 0.0
    assert value_of(row["heard"], "asr_num_words") == 7


def test_a_traditional_character_that_was_heard_for_its_simplified_one_is_no_error() -> None:
    checks = Checks(
        asr_fraction=1.0,
        recognizer=Parrot("為什麼裡面沒有兩千人？"),
        second=Parrot("为什么里面没有两千入"),
    )
    for said, wrong in (
        ("为什么里面没有两千人", 0),
        ("為什麼裏面沒有兩千人", 0),
        ("为什么里面没有两百人", 1),
    ):
        (row,) = hear(checks, {"spoken_text": said, "lang": "zh"})
        assert value_of(row["heard"], "asr_wer") == pytest.approx(wrong / 10)
        assert value_of(row["heard"], "asr_cer") == pytest.approx(wrong / 10)
        assert value_of(row["heard"], "asr_wer_second") == pytest.approx((wrong + 1) / 10)
        assert row["heard_text"] == "為什麼裡面沒有兩千人？"  # as it was heard


def test_a_language_that_only_the_second_knows_or_no_fraction_leaves_all_untaken() -> None:
    checks = Checks(
        asr_fraction=1.0, recognizer=Parrot("Hello.", langs=("zh",)), second=Parrot("Hello.")
    )
    (row,) = hear(checks, {})
    states = {item["name"]: item["status"] for item in row["heard"]}
    assert {states[name] for name in ASR_MEASURES} == {UNAVAILABLE}
    few = Checks(asr_fraction=0.001, recognizer=Parrot("Hello."))
    (row,) = hear(few, {})
    states = {item["name"]: item["status"] for item in row["heard"]}
    assert states["asr_wer"] == NOT_SAMPLED
    assert {states[name] for name in SECOND_MEASURES} == {UNAVAILABLE}  # there is no second
    two = Checks(asr_fraction=0.001, recognizer=Parrot("Hello."), second=Parrot("Hello."))
    (row,) = hear(two, {})
    assert {item["status"] for item in row["heard"] if item["name"] in ASR_MEASURES} == {
        NOT_SAMPLED
    }
    assert row["heard_text"] == ""
    assert TAKEN not in {states[name] for name in ASR_MEASURES}
