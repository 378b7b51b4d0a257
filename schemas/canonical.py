"""Canonical JSON and the digests that identities are made of."""

import hashlib
import json
from collections.abc import Callable


def canonical_json(value: object, default: Callable[[object], str] | None = None) -> bytes:
    """JSON with sorted keys, no spaces and ASCII escapes: equal values give equal bytes.

    ``default`` stands in for values that JSON does not know. Raises ValueError for NaN and
    infinities, which JSON cannot hold.
    """
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        allow_nan=False,
        default=default,
    ).encode("ascii")


def pretty_json(value: object) -> bytes:
    """The same values for human eyes: indented, keys sorted, a newline at the end."""
    return (
        json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    ).encode("utf-8")


def sha256_hex(data: bytes | memoryview) -> str:
    """The sha256 of some bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def digest(value: object) -> str:
    """The sha256 of a value's canonical JSON, in hex."""
    return sha256_hex(canonical_json(value))
