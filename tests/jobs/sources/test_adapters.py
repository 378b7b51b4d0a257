"""What each adapter reads, and what it refuses."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.sources.adapters import ADAPTERS, Defaults, detect_lang, fitting_adapter, get_adapter
from jobs.sources.fields import echo
from schemas.conversation import Conversation, turn
from schemas.errors import MalformedRow, SettingsError

WAV = b"RIFF....WAVEfmt "


def adapt(name: str, value: object, lang: str = "auto") -> Conversation:
    return ADAPTERS[name](value, Defaults(license="CC0-1.0", lang=lang))


def refusal(name: str, value: object) -> str:
    with pytest.raises(MalformedRow) as error:
        adapt(name, value)
    assert not error.value.retryable
    return str(error.value)


def message(role: str, content: object, **extra: object) -> dict[str, object]:
    return {"role": role, "content": content, **extra}


def audio(data: str = base64.b64encode(WAV).decode(), kind: str = "wav") -> dict[str, object]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}


def test_alpaca_reads_instruction_input_and_output() -> None:
    row = {"instruction": "Sort.", "input": "b a", "output": "a b", "history": [["x"]]}
    assert adapt("alpaca", row) == {
        "source_id": "",
        "license": "CC0-1.0",
        "lang": "en",
        "turns": [turn("user", "Sort.", input="b a"), turn("assistant", "a b")],
        "image": None,
    }


@pytest.mark.parametrize("rest", [{}, {"input": None, "output": None, "response": None}])
@pytest.mark.parametrize("name", ["alpaca", "plain"])
def test_a_missing_answer_is_an_empty_turn_and_never_invented(
    name: str, rest: dict[str, object]
) -> None:
    row = adapt(name, {"instruction": "Say hi.", **rest})
    assert row["turns"] == [turn("user", "Say hi."), turn("assistant", "")]


def test_plain_reads_instruction_and_response() -> None:
    row = adapt("plain", {"instruction": "Say hi.", "response": "Hi!"})
    assert row["turns"] == [turn("user", "Say hi."), turn("assistant", "Hi!")]


def test_an_answer_under_the_other_layouts_name_is_not_lost() -> None:
    assert "use adapter 'plain'" in refusal("alpaca", {"instruction": "a", "response": "b"})
    assert "use adapter 'alpaca'" in refusal("plain", {"instruction": "a", "output": "b"})


@pytest.mark.parametrize("key", ["conversations", "conversation"])
def test_sharegpt_reads_from_and_value(key: str) -> None:
    turns = [("system", "s"), ("human", "a"), ("gpt", "b"), ("user", ""), ("assistant", None)]
    row = adapt("sharegpt", {key: [{"from": who, "value": said} for who, said in turns]})
    assert row["turns"] == [
        turn("system", "s"),
        turn("user", "a"),
        turn("assistant", "b"),
        turn("user", ""),
        turn("assistant", ""),
    ]


def test_messages_reads_texts_parts_inputs_audio_and_an_image() -> None:
    text = {"type": "text", "text": "one"}
    image = {"type": "image_url", "image_url": {"url": "cat.png"}}
    row = adapt(
        "messages",
        {
            "messages": [
                message("developer", "be kind"),
                message("user", [text, image, {**text, "text": "two"}, audio()], input="material"),
                message("assistant", None),
            ]
        },
    )
    said = {**turn("user", "one\ntwo", input="material"), "audio": WAV, "provenance": "imported"}
    assert row["turns"] == [turn("system", "be kind"), said, turn("assistant", "")]
    assert row["image"] == "cat.png"


def test_provenance_is_the_turns_own_else_the_rows() -> None:
    turns = [
        message("user", [audio()], provenance="synthesized"),
        message("assistant", [audio()]),
        message("user", "text", provenance="human"),
    ]
    row = adapt("messages", {"messages": turns, "provenance": "human"})
    assert [item["provenance"] for item in row["turns"]] == ["synthesized", "human", ""]


def test_a_row_says_its_own_id_lang_and_license() -> None:
    row = {"instruction": "a", "output": "b", "id": 7, "lang": "de", "license": "MIT"}
    read = adapt("alpaca", row, lang="en")
    assert (read["source_id"], read["lang"], read["license"]) == ("7", "de", "MIT")
    other = adapt("alpaca", {**row, "id": True, "lang": 3, "license": " "}, lang="en")
    assert (other["source_id"], other["lang"], other["license"]) == ("", "en", "CC0-1.0")


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("How are you?", "en"),
        ("你好吗？", "zh"),
        ("请解释 HTTP", "zh"),  # 3 letters of 7
        ("Translate 你好", "en"),
        ("12 + 5 = ?", "en"),
        ("", "en"),
        ("二〇二四", "zh"),
    ],
)
def test_language_is_told_from_the_share_of_chinese_letters(text: str, lang: str) -> None:
    assert detect_lang(text) == lang


def test_language_is_that_of_the_user_and_not_of_the_answer() -> None:
    row = adapt("alpaca", {"instruction": "Translate hello.", "output": "你好"})
    assert row["lang"] == "en"
    assert adapt("alpaca", {"instruction": "你好", "output": "Hi"}, lang="fr")["lang"] == "fr"


def test_a_trailing_question_without_an_answer_is_kept_as_it_is() -> None:
    row = adapt("messages", {"messages": [message("user", "anyone?")]})
    assert [item["role"] for item in row["turns"]] == ["user"]


USER = {"role": "user", "content": "a"}
BAD: list[tuple[str, object, list[str]]] = [
    ("alpaca", [1, 2], ["the row is a list of 2", "wanted an object"]),
    ("alpaca", None, ["the row is null"]),
    ("alpaca", "text", ['the row is the text "text"']),
    ("alpaca", {"output": "b"}, ["'instruction' is missing", "fill the field"]),
    ("alpaca", {"instruction": None}, ["'instruction' is null"]),
    ("alpaca", {"instruction": 5}, ["'instruction' is the number 5", "wanted a text"]),
    ("alpaca", {"instruction": "a", "input": True}, ["'input' is true"]),
    ("alpaca", {"instruction": "a", "output": ["b"]}, ["'output' is a list of 1"]),
    ("alpaca", {"instruction": "a\ud83d", "output": "b"}, ["lone surrogate", "character 2"]),
    ("alpaca", {"instruction": "a", "output": "\udc00"}, ["lone surrogate, \\udc00"]),
    ("alpaca", {"instruction": "a", "id": "\udc00"}, ["'id'", "lone surrogate"]),
    ("plain", {"instruction": "a", "response": {}}, ["'response' is an object"]),
    ("sharegpt", {"text": "x"}, ["'conversations' is missing", "wanted a list of turns"]),
    ("sharegpt", {"conversations": "x"}, ["'conversations' is the text"]),
    ("sharegpt", {"conversations": ["x"]}, ["turn 1", "an object with 'from'"]),
    ("sharegpt", {"conversations": []}, ["turn order (no turns)"]),
    ("sharegpt", {"conversations": [{"from": "bing", "value": ""}]}, ["bing", "human, user"]),
    ("sharegpt", {"conversations": [{"from": "human"}]}, ["turn 1: 'value' is missing"]),
    ("sharegpt", {"conversations": [{"from": "gpt", "value": ""}]}, ["turn order assistant"]),
    ("messages", {"messages": [USER, USER]}, ["turn order user user"]),
    ("messages", {"messages": [message("system", "a")]}, ["turn order system"]),
    ("messages", {"messages": [USER, message("system", "a")]}, ["turn order user system"]),
    ("messages", {"messages": [message("tool", "a")]}, ["'role'", "tool", "one of system"]),
    ("messages", {"messages": [message("user", None)]}, ["'content' is null"]),
    ("messages", {"messages": [message("user", 3)]}, ["'content' is the number 3"]),
    ("messages", {"messages": [message("user", "a", input=3)]}, ["'input' is the number 3"]),
    ("messages", {"messages": [message("user", [{"type": "file"}])]}, ["part of type", "file"]),
    ("messages", {"messages": [message("user", ["a"])]}, ["content parts that are objects"]),
    ("messages", {"messages": [message("user", [audio("?")])]}, ["audio data", "base64"]),
    ("messages", {"messages": [message("user", [audio(kind="pcm16")])]}, ["pcm16", "wav"]),
    ("messages", {"messages": [message("user", [audio(), audio()])]}, ["2 audio parts"]),
    (
        "messages",
        {"messages": [message("user", [audio()], provenance="robot")]},
        ["robot", "one of human"],
    ),
    (
        "messages",
        {"messages": [message("user", [{"type": "image_url", "image_url": "x"}] * 2)]},
        ["2 images"],
    ),
]


@pytest.mark.parametrize(("name", "value", "words"), BAD)
def test_a_malformed_row_says_who_what_arrived_and_what_was_wanted(
    name: str, value: object, words: list[str]
) -> None:
    text = refusal(name, value)
    assert text.startswith((name, "'"))
    for word in words:
        assert word in text


SECRET = "s3cret-" * 4000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alpaca", SECRET),
        ("alpaca", {"instruction": {SECRET: SECRET}}),
        ("sharegpt", {"conversations": SECRET}),
        ("messages", {"messages": [message(SECRET, "a")]}),
        ("messages", {"messages": [message("user", [{"type": SECRET}])]}),
        ("messages", {"messages": [message("user", [audio(SECRET)])]}),
        ("messages", {"messages": [message("user", "a")] * 9000}),
    ],
)
def test_a_message_echoes_little_of_the_row(name: str, value: object) -> None:
    assert len(refusal(name, value)) < 80 + 160


@given(st.text(alphabet=st.characters(), max_size=300))
def test_an_echo_is_short_and_can_be_stored(text: str) -> None:
    assert len(echo(text)) <= 80
    echo(text).encode("utf-8")
    assert "\n" not in echo(text)


JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(alphabet=st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
WORDS = ["messages", "conversations", "role", "content", "from", "value", "type", "text", "id"]
ROW = st.dictionaries(
    st.sampled_from([*WORDS, "instruction", "input", "output", "response", "image_url"]),
    JSON | st.lists(st.dictionaries(st.sampled_from(WORDS), JSON | st.just("user")), max_size=3),
)


@given(name=st.sampled_from(sorted(ADAPTERS)), value=ROW | JSON)
def test_any_json_is_a_conversation_or_a_malformed_row(name: str, value: object) -> None:
    try:
        row = adapt(name, value)
    except MalformedRow as error:
        str(error).encode("utf-8")
    else:
        for item in row["turns"]:
            item["text"].encode("utf-8")


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"instruction": "a", "output": "b"}, "alpaca"),
        ({"instruction": "a"}, "alpaca"),
        ({"instruction": "a", "response": "b"}, "plain"),
        ({"conversations": []}, "sharegpt"),
        ({"messages": []}, "messages"),
        ({"text": "x"}, None),
        ([1], None),
    ],
)
def test_the_fitting_adapter_is_told_from_the_keys(row: object, name: str | None) -> None:
    assert fitting_adapter(row) == name


def test_an_unknown_adapter_is_named_with_the_nearest_one() -> None:
    with pytest.raises(SettingsError, match="did you mean 'alpaca'"):
        get_adapter("alpacca")
    with pytest.raises(SettingsError, match="wanted one of alpaca, sharegpt, messages, plain"):
        get_adapter("auto")
