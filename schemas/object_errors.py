"""What an object store answers, as an error that names the cure. No secret gets into a message."""

import re
from typing import Final

from schemas.errors import StoreError, UnreachableError
from schemas.redaction import redacted

LATER: Final = "run the same command again: finished work is kept"
# Codes in the body of an answer, or words of the client, and what helps. The first that fits.
_CURES: Final = (
    (
        "169.254.169.254|InstanceMetadata|Missing region|metadata.google.internal",
        "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        "AWS_PROFILE, or run where a role is attached (docs/storage.md)",
    ),
    (
        "scheme is not allowed|builder error",
        "this endpoint is http and not https; set output.store.allow_http, or AWS_ALLOW_HTTP=true",
    ),
    (
        "NoSuchBucket|BucketNotFound|ContainerNotFound|specified bucket does not exist",
        "the bucket is not there; create it, or correct --output or output.store.endpoint",
    ),
    (
        "ExpiredToken|TokenRefreshRequired|token included in the request is expired|RequestExpired",
        "the credentials have expired; renew them (such as `aws sso login`) and run the same "
        "command again: finished work is kept",
    ),
    (
        "InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|AuthorizationHeaderMalformed|"
        "AuthFailure|InvalidAuthenticationInfo",
        "the store does not know these credentials; check AWS_ACCESS_KEY_ID and its secret, "
        "AWS_PROFILE or the machine's role, and the region",
    ),
    (
        "RequestTimeTooSkewed",
        "this machine's clock is wrong by more than the store allows; set the clock",
    ),
    (
        "QuotaExceeded|StorageFull|InsufficientStorage|507 Insufficient|EntityTooLarge|NoSpaceLeft|"
        "InsufficientCapacity",
        "the bucket is full; free some space, raise its quota, or move the output with --output, "
        "then run the same command again: finished work is kept",
    ),
    (
        "non-partial response",
        "this server, or a proxy before it, ignores Range and sent the whole object; its bytes are "
        "not used. Correct output.store.endpoint, or use a server that knows ranges",
    ),
    (
        "PermanentRedirect|IllegalLocationConstraint|301 Moved",
        "the bucket is in another region; set output.store.region or AWS_REGION",
    ),
    (
        "AccessDenied|AllAccessDisabled|AccountProblem|403 Forbidden|401 Unauthorized|"
        "Unauthenticated",
        "access is denied; the credentials need to get, put, list and delete objects there",
    ),
    (
        "error sending request|dns error|Connection refused|tcp connect",
        "no server answers there; check output.store.endpoint or AWS_ENDPOINT_URL, and the network",
    ),
    (
        "ConditionalRequestConflict",
        "another writer kept this object busy; " + LATER,
    ),
    (
        "response body error|error decoding response body|before message length|IncompleteBody",
        "answers break off on the way; look at the network and at any proxy before the store, then "
        + LATER,
    ),
    (
        "SlowDown|Service Unavailable|TooManyRequests|429 Too",
        "the store asks to slow down and went on asking; run the same command again later, or "
        "with fewer --workers: finished work is kept",
    ),
    (
        "timed out|(?<!retry_)timeout",
        "the store did not answer in time; try again, or raise output.store.timeout_s",
    ),
    (
        "404 Not Found|405 Method Not Allowed|501 Not Implemented",
        "this may be no object store, or the bucket is gone; check --output and "
        "output.store.endpoint, then " + LATER,
    ),
)
# What no repetition cures: the rest (5xx, resets, cut bodies, timeouts) is tried again.
_FINAL: Final = re.compile("|".join(pattern for pattern, _ in _CURES[:10]))
_WRONG_PLACE: Final = re.compile(_CURES[-1][0])  # tried again too, since a proxy may say it once


def is_final(error: Exception) -> bool:
    """Whether trying again cannot help."""
    return bool(_FINAL.search(_first_part(error)))


def explained(error: Exception, verb: str, place: str) -> StoreError:
    """The error in words: what could not be done where, what the store said, and the cure."""
    text = _first_part(error)
    cure = next((cure for pattern, cure in _CURES if re.search(pattern, text)), LATER)
    lasting = is_final(error) or _WRONG_PLACE.search(text)
    kind = StoreError if lasting else UnreachableError
    return kind(f"cannot {verb} {place}: {cure} (the store said: {_said(text)})")


def _first_part(error: Exception) -> str:
    """Without the client's dump of its own structures, which repeats the text before it."""
    return str(error).partition("Debug source")[0]


def _said(text: str) -> str:
    """The store's code and message if there is one, else the client's words; no query, no user."""
    code = re.search(r"<Code>([^<]*)</Code>", text)
    message = re.search(r"<Message>([^<]*)</Message>", text)
    if code:
        text = f"{code[1]}: {message[1] if message else ''}".rstrip(": ")
    return redacted(" ".join(text.split()))[:300]
