"""What a response means: each of the ways in which servers answer."""

import json

import pytest

from tests.chat_server import completion
from transforms.backends.chat.protocol import Ask, Sampling
from transforms.backends.chat.wire import Outcome, is_model, request_body, retry_after_s, understand

KNOWN = frozenset(("tiny-chat",))
BODY = {"model": "tiny-chat", "messages": []}
ASK = Ask(messages=(("system", "Rules."), ("user", "Hi.")), answer_key="question", seed=5)


def meaning(
    data: object, status: int = 200, kind: str = "application/json", after: str = ""
) -> Outcome:
    text = data if isinstance(data, str) else json.dumps(data)
    return understand(status, kind, after or None, text.encode(), KNOWN)


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (meaning({"error": {"message": "slow down"}}, 429), "overload"),
        (meaning("", 503), "overload"),
        (meaning({"error": {"code": "insufficient_quota"}}, 429), "fault"),
        (meaning({"error": "no"}, 401), "fault"),
        (meaning({"error": "no such model"}, 404), "fault"),
        (meaning("", 302), "fault"),
        (meaning("", 500), "passing"),
        (meaning("<html>502 Bad Gateway</html>", 502, "text/html"), "passing"),
        (meaning("<html>Sign in</html>", 200, "text/html"), "passing"),
        (meaning("data: {}", 200, "text/event-stream"), "passing"),
        (meaning('{"choices": [{"mess'), "passing"),
        (meaning(""), "passing"),
        (meaning({"choices": []}), "passing"),
        (meaning({"choices": [{"message": None}]}), "passing"),
        (meaning({"choices": [{"message": {"content": ["a list"]}}]}), "passing"),
        (meaning([1, 2]), "passing"),
        (meaning({"error": "unknown field"}, 400), "refused"),
        (meaning({"error": "maximum context length is 8192 tokens"}, 400), "context"),
        (meaning({"error": "too large"}, 413), "context"),
        (meaning(completion(BODY, "{}") | {"model": "other-chat"}), "fault"),
        (meaning(completion(BODY, "{}")), "reply"),
    ],
)
def test_every_response_is_one_of_reply_overload_passing_refused_fault(
    outcome: Outcome, kind: str
) -> None:
    assert outcome.kind == kind
    assert (outcome.reply is not None) == (kind == "reply")
    assert bool(outcome.message) == (kind != "reply")


def test_a_reply_keeps_text_tokens_and_why_it_ended() -> None:
    body = {"model": "tiny-chat", "messages": [{"content": "x" * 40}]}
    reply = meaning(completion(body, "y" * 8, finish_reason="length")).reply
    assert reply is not None
    assert reply["text"] == "y" * 8
    assert (reply["prompt_tokens"], reply["completion_tokens"]) == (10, 2)
    assert reply["finish_reason"] == "length"


def test_a_lone_surrogate_in_a_reply_is_no_text_that_parquet_refuses() -> None:
    text = '{"choices": [{"message": {"content": "a\\ud800b"}}], "model": "tiny-chat"}'
    reply = meaning(text).reply
    assert reply is not None
    assert reply["text"] == "a?b"


@pytest.mark.parametrize(
    ("found", "same"),
    [
        ("meta-llama/Llama-3-70B", True),
        ("Llama-3-70B", True),
        ("Llama-3-70B-2024-08-06", True),
        ("meta-llama/Llama-3-70B@main", True),
        ("Llama-3-8B", False),
        ("gpt-4o", False),
    ],
)
def test_a_dated_or_shortened_name_is_the_model_and_another_is_not(found: str, same: bool) -> None:
    assert is_model(found, frozenset(("meta-llama/Llama-3-70B",))) == same


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    assert retry_after_s("2.5") == 2.5
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert retry_after_s("99999999") == 600.0
    assert retry_after_s("soon") is None
    assert retry_after_s("nan") is None


def test_the_body_says_what_the_sampling_says() -> None:
    sampling = Sampling(model="m", temperature=0.1, extra='{"top_k": 7}')
    body = json.loads(request_body(sampling, ASK))
    assert body["seed"] == 5
    assert body["top_k"] == 7
    assert body["temperature"] == 0.1
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["question"]
    plain = Sampling(model="m", send_seed=False, json_mode="none")
    assert not {"seed", "response_format"} & set(json.loads(request_body(plain, ASK)))


def test_a_requests_key_holds_what_determines_it_and_nothing_else() -> None:
    def key(ask: Ask = ASK, **changes: object) -> str:
        return ask.key({"model": "m", "temperature": 0.7, **changes})

    others = [
        key(Ask(messages=ASK.messages, answer_key="question", seed=6)),
        key(Ask(messages=ASK.messages, answer_key="response", seed=5)),
        key(Ask(messages=ASK.messages[:1], answer_key="question", seed=5)),
        key(temperature=0.8),
    ]
    assert len({key(), *others}) == 5
