"""Canonical JSON: equal values give equal bytes, different values different ones."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.canonical import canonical_json, digest, pretty_json, sha256_hex

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def reordered(value: object) -> object:
    """The same value with its keys inserted the other way round."""
    if isinstance(value, dict):
        return {key: reordered(inner) for key, inner in reversed(value.items())}
    if isinstance(value, list):
        return [reordered(inner) for inner in value]
    return value


@given(JSON)
def test_the_order_of_keys_is_not_part_of_the_bytes(value: object) -> None:
    assert canonical_json(reordered(value)) == canonical_json(value)
    assert pretty_json(reordered(value)) == pretty_json(value)


@given(JSON)
def test_nothing_is_lost(value: object) -> None:
    assert json.loads(canonical_json(value)) == value
    assert json.loads(pretty_json(value)) == value


@given(JSON)
def test_the_bytes_are_ascii_without_spaces_between(value: object) -> None:
    text = canonical_json(value).decode("ascii")
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


def test_the_bytes_are_frozen() -> None:
    """An identity of an old corpus must stay computable: these bytes may never change."""
    value = {"b": [1, 2.5, None, True], "a": "héllo 中 👋"}
    assert canonical_json(value) == (
        rb'{"a":"h\u00e9llo \u4e2d \ud83d\udc4b","b":[1,2.5,null,true]}'
    )
    assert digest({}) == sha256_hex(b"{}")
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_text_with_half_a_surrogate_pair_has_bytes_too() -> None:
    assert canonical_json("\ud800") == rb'"\ud800"'


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf], {"a": {"b": math.nan}}])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)


def test_other_values_are_refused_unless_something_stands_in_for_them() -> None:
    with pytest.raises(TypeError):
        canonical_json({"a": b"x"})
    assert canonical_json({"a": b"x"}, default=lambda value: "bytes") == b'{"a":"bytes"}'


def test_pretty_json_is_for_eyes() -> None:
    assert pretty_json({"b": "é", "a": 1}) == '{\n  "a": 1,\n  "b": "é"\n}\n'.encode()
