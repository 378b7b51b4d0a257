"""The endpoint client against a real server on loopback: pace, limits, faults, secrets."""

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from schemas.errors import BackendError
from tests.chat_server import MODEL, Body, ChatServer, Endless, completion, raw, serving
from transforms.backends.chat.endpoint import Endpoint
from transforms.backends.chat.protocol import (
    Ask,
    ChatError,
    ContextExceeded,
    Reply,
    RequestRefused,
    Sampling,
)
from transforms.backends.chat.secret import Secret

HTML = "<html><body>Sign in</body></html>"


def endpoint(*servers: ChatServer, model: str = MODEL, **changes: Any) -> Endpoint:
    urls = tuple(server.url for server in servers)
    settings: dict[str, Any] = {"patience_s": 1.0, "timeout_s": 5.0}
    return Endpoint(sampling=Sampling(model=model), urls=urls, **settings | changes)


def ask(number: int = 0) -> Ask:
    messages = (("system", "Rules."), ("user", f"Instruction: Say {number}."))
    return Ask(messages=messages, answer_key="question", seed=number)


def complete(settings: Endpoint, count: int = 1) -> list[Reply | BaseException]:
    """What became of ``count`` requests that were sent at once."""

    async def run() -> list[Reply | BaseException]:
        async with settings.open() as chat:
            asked = (chat.complete(ask(number)) for number in range(count))
            return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(run())


def first_times(times: int, answer: Callable[[], Any]) -> Callable[[Body, int], Any]:
    """A fault that befalls the first so many requests."""
    return lambda body, number: answer() if number <= times else None


def test_requests_over_the_servers_limit_wait_and_none_is_an_error() -> None:
    with serving(ChatServer(latency_s=0.01, limit=8)) as server:
        replies = complete(endpoint(server, max_in_flight=64, patience_s=60.0), 200)
        assert all(isinstance(reply, dict) for reply in replies)
        assert server.seen["most_busy"] <= 8
        assert server.seen["refused"] > 0


def test_retry_after_is_honored() -> None:
    with serving(ChatServer(retry_after="0.3", limit=1, latency_s=0.05)) as server:
        replies = complete(endpoint(server), 2)
        assert all(isinstance(reply, dict) for reply in replies)
        assert server.seen["refused"] <= 2  # it did not ask again before its time


def test_all_that_the_job_allows_are_in_flight() -> None:
    with serving(ChatServer(latency_s=0.2)) as server:
        complete(endpoint(server, max_in_flight=48), 200)
        assert 40 <= server.seen["most_busy"] <= 48


def test_several_endpoints_share_the_load() -> None:
    with serving(ChatServer(latency_s=0.01)) as one, serving(ChatServer(latency_s=0.01)) as other:
        complete(endpoint(one, other, max_in_flight=16), 100)
        assert min(one.seen["requests"], other.seen["requests"]) > 25


def test_a_dead_endpoint_among_living_ones_costs_no_request() -> None:
    with serving(ChatServer(latency_s=0.01)) as alive:
        dead = ChatServer(url="http://127.0.0.1:9/v1")
        replies = complete(endpoint(alive, dead, max_in_flight=8, patience_s=20), 12)
        assert [type(reply) for reply in replies] == [dict] * 12


@pytest.mark.parametrize(
    "answer",
    [
        lambda: raw("oops", 500),
        lambda: raw(HTML, 200, "text/html"),
        lambda: raw('{"choices": [{"mess'),
        lambda: raw(""),
        lambda: raw("[]"),
    ],
)
def test_a_passing_fault_is_tried_again(answer: Callable[[], Any]) -> None:
    with serving(ChatServer(fault=first_times(1, answer))) as server:
        (reply,) = complete(endpoint(server))
        assert isinstance(reply, dict)
        assert reply["attempts"] == 2


@pytest.mark.parametrize("answer", [lambda: raw(HTML, 200, "text/html"), lambda: raw("", 500)])
def test_an_endpoint_that_answers_nothing_else_stops_the_build(answer: Callable[[], Any]) -> None:
    with serving(ChatServer(fault=first_times(10**9, answer))) as server:
        (error,) = complete(endpoint(server, patience_s=0.4))
        assert isinstance(error, BackendError)
        assert "run the same command to go on" in str(error)


def test_a_server_that_is_not_there_stops_the_build_with_its_address() -> None:
    (error,) = complete(endpoint(ChatServer(url="http://127.0.0.1:9/v1"), patience_s=0.4))
    assert isinstance(error, BackendError)
    assert "127.0.0.1:9" in str(error)


def test_a_request_that_alone_fails_is_one_rows_error() -> None:
    def fault(body: Body, number: int) -> Any:
        return raw("boom", 500) if "Say 3." in body["messages"][-1]["content"] else None

    with serving(ChatServer(fault=fault, latency_s=0.3)) as server:
        settings = endpoint(server, max_attempts=2, patience_s=30.0, max_in_flight=4)
        replies = complete(settings, 40)
        bad = [reply for reply in replies if not isinstance(reply, dict)]
        assert len(bad) == 1
        assert isinstance(bad[0], ChatError)
        assert bad[0].retryable


def test_a_request_that_fails_with_no_other_left_is_blamed_if_a_probe_is_answered() -> None:
    """Or a build of which one such request is left would stop for ever."""

    def fault(body: Body, number: int) -> Any:
        return raw("boom", 500) if "Say 0." in body["messages"][-1]["content"] else None

    with serving(ChatServer(fault=fault)) as server:
        (error,) = complete(endpoint(server, max_attempts=2, patience_s=60.0))
        assert isinstance(error, ChatError)
        assert server.seen["requests"] == 3
        (error,) = complete(endpoint(server, patience_s=0.1))
        assert isinstance(error, ChatError)


def test_a_refused_request_is_one_rows_error_and_not_sent_again() -> None:
    def fault(body: Body, number: int) -> Any:
        return raw('{"error": "bad"}', 400) if "Say 1." in body["messages"][-1]["content"] else None

    with serving(ChatServer(fault=fault)) as server:
        replies = complete(endpoint(server), 3)
        assert isinstance(replies[1], RequestRefused)
        assert not replies[1].retryable
        assert server.seen["requests"] == 3


def test_a_text_over_the_context_says_so() -> None:
    text = '{"error": {"message": "This model\'s maximum context length is 8192 tokens"}}'
    with serving(ChatServer(fault=first_times(1, lambda: raw(text, 400)))) as server:
        (error,) = complete(endpoint(server))
        assert isinstance(error, ContextExceeded)
        assert "max_tokens" in str(error)


def test_a_server_that_refuses_everything_stops_the_build_and_not_row_by_row() -> None:
    refusal = first_times(10**9, lambda: raw('{"error": "unknown field response_format"}', 400))
    with serving(ChatServer(fault=refusal)) as server:
        outcomes = complete(endpoint(server), 60)
        stops = [item for item in outcomes if isinstance(item, BackendError)]
        assert stops
        assert "json_mode" in str(stops[0])


def test_another_models_reply_stops_the_build() -> None:
    with serving(ChatServer(fault=lambda body, number: {"model": "someone-else"})) as server:
        (error,) = complete(endpoint(server))
        assert isinstance(error, BackendError)
        assert "someone-else" in str(error)
        (reply,) = complete(endpoint(server, also_named=("someone-else",)))
        assert isinstance(reply, dict)


def test_a_model_that_is_not_served_stops_the_build() -> None:
    with serving(ChatServer()) as server:
        (error,) = complete(endpoint(server, model="unknown"))
        assert isinstance(error, BackendError)
        assert "unknown" in str(error)


def test_a_body_without_end_is_cut_off() -> None:
    with serving(ChatServer(fault=first_times(10**9, Endless))) as server:
        (error,) = complete(endpoint(server, timeout_s=10.0, patience_s=0.4))
        assert isinstance(error, BackendError)
        assert "a body without end" in str(error)


def test_a_server_that_never_answers_is_given_up() -> None:
    with serving(ChatServer(latency_s=60.0)) as server:
        (error,) = complete(endpoint(server, timeout_s=0.2, patience_s=0.4))
        assert isinstance(error, BackendError)
        assert "no answer within" in str(error)


def test_a_refused_key_stops_the_build_and_is_shown_nowhere() -> None:
    key = Secret("sk-very-secret")
    with serving(ChatServer(key="another")) as server:
        settings = endpoint(server, key=key)
        (error,) = complete(settings)
        assert isinstance(error, BackendError)
        assert "401" in str(error)
        assert "***" in str(error)
        for shown in (str(error), repr(error), repr(settings), str(settings.identity())):
            assert "very-secret" not in shown
    assert pickle.loads(pickle.dumps(key)).reveal() == "sk-very-secret"


def test_the_right_key_is_sent() -> None:
    with serving(ChatServer(key="sk-good")) as server:
        (reply,) = complete(endpoint(server, key=Secret("sk-good")))
        assert isinstance(reply, dict)


def test_how_a_model_is_reached_is_no_part_of_what_determines_replies() -> None:
    one = Endpoint(sampling=Sampling(model="m"), urls=("http://a/v1",), key=Secret("x"))
    other = Endpoint(sampling=Sampling(model="m"), urls=("http://b/v1",), max_in_flight=3)
    assert one.identity() == other.identity()
    assert one.identity() != Endpoint(sampling=Sampling(model="m", top_p=0.5)).identity()


def test_an_empty_content_is_a_reply_like_any_other() -> None:
    empty = first_times(1, lambda: completion({"model": MODEL, "messages": []}, ""))
    with serving(ChatServer(fault=empty)) as server:
        (reply,) = complete(endpoint(server))
        assert isinstance(reply, dict)
        assert reply["text"] == ""
