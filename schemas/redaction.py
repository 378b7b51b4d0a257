"""What a secret looks like, by its name and by its shape: to refuse one, and to blank it out.

Both are guesses by design. A name says what a value is for; shapes are those that services
document for their keys (OpenAI, Hugging Face, AWS, GitHub, GitLab, Slack, Google, RFC 7519, 7468).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

HIDDEN: Final = "***"
# A word that makes a name a secret's, and what may stand right before or after it without harm.
_PLAIN_TOKENS: Final = frozenset(
    "MAX MIN NUM N STOP EOS BOS PAD UNK MASK SEP CLS SPECIAL PROMPT COMPLETION OUTPUT INPUT "
    "GENERATED NEW BATCHED RETURN ALLOWED BAD BANNED SUPPRESS FORCED DECODER START END IMAGE "
    "AUDIO TEXT SPEECH THINKING REASONING TOTAL PER IGNORE CACHED SUPPRESSED AS CONTEXT".split()
)
_PLAIN_KEYS: Final = frozenset("CACHE SORT PRIMARY FOREIGN PUBLIC PARTITION GROUP HOT".split())
_PLAIN_PASSES: Final = frozenset("HIGH LOW BAND ALL SINGLE ONE TWO MULTI FIRST SECOND BY".split())
_ALWAYS: Final[frozenset[str]] = frozenset()
_PLAIN_BEFORE: Final[Mapping[str, frozenset[str]]] = {
    "TOKEN": _PLAIN_TOKENS,
    "KEY": _PLAIN_KEYS,
    "PASS": _PLAIN_PASSES,
    **dict.fromkeys(
        "SECRET PASSWORD PASSWD PWD PASSPHRASE PASSCODE CREDENTIAL CRED AUTH AUTHORIZATION "
        "BEARER JWT COOKIE".split(),
        _ALWAYS,
    ),
}
_PLAIN_AFTER: Final = frozenset(
    "FILE PATH DIR ENV MODE TYPE URL URI METHOD ENABLED DISABLED PROVIDER TIMEOUT TTL LENGTH SIZE "
    "COUNT COUNTS LIMIT BUDGET IDS PER BIAS THROUGH PARALLELISM".split()
)
_GLUED: Final = re.compile(  # DBPASSWORD, HFTOKENS, APIKEY: two words in one
    r"(.+)(SECRET|PASSWORD|PASSWD|PWD|PASSPHRASE|CREDENTIAL|TOKEN|AUTH)|"
    r"(.*)(API|ACCESS|SECRET|PRIVATE|AUTH|ACCOUNT|SUBSCRIPTION|MASTER|ENCRYPTION|SIGNING)(KEY)"
)
_WORD: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_TOKEN: Final = r"(?<![A-Za-z0-9])(?:%s)"
_SHAPES: Final = (
    _TOKEN % r"sk-(?=[\w-]{0,80}\d)[\w-]{16,}",
    _TOKEN % r"hf_[A-Za-z0-9]{20,}",
    _TOKEN % r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    _TOKEN % r"gh[pousr]_[A-Za-z0-9]{30,}",
    _TOKEN % r"github_pat_\w{20,}",
    _TOKEN % r"glpat-[\w-]{20,}",
    _TOKEN % r"xox[abeprs]-[\w-]{10,}",
    _TOKEN % r"AIza[\w-]{35}",
    _TOKEN % r"(?:nvapi-|gsk_|r8_)[\w-]{20,}",
    _TOKEN % r"eyJ[\w-]{8,400}\.eyJ[\w-]{8,}\.[\w-]*",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----|.*)",
    r"(?i:\bbearer\s+)(?=\S*\d)[\w.~+/=-]{8,}",
    r"(?i:\bbasic\s+)(?=\S*[\d=])[A-Za-z0-9+/]{8,}={0,2}",
    r"(?i:\b(?:AccountKey|SharedAccessKey|password|passwd|pwd)=)[^;\s&]{4,}",
)
_SHAPE: Final = re.compile("|".join(_SHAPES), re.DOTALL)
_USER: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}://)[^\s/'\"]*@")
_PASSWORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s/:'\"]*:[^\s/'\"]+@")
_QUERY: Final = re.compile(r"\?[^\s|'\"<>)]*=[^\s|'\"<>)]*[^\s|'\"<>):;,]")
_SIGNED: Final = re.compile(
    r"(?i)[?&](?:x-(?:amz|goog)-(?:signature|credential|security-token)|sig|signature|"
    r"awsaccesskeyid|googleaccessid|token|access_token|api_?key|key)=[^&\s]+"
)


def names_secret(name: str) -> bool:
    """Whether a name (HF_TOKEN, apiKey, x-api-key) is that of a value nobody should write down.

    MAX_TOKENS, TOKENIZERS_PARALLELISM, RAY_AUTH_MODE and AWS_WEB_IDENTITY_TOKEN_FILE are not.
    """
    words = [part for word in _WORD.findall(name) for part in _unglued(word.upper())]
    for place, word in enumerate(words):
        harmless = _PLAIN_BEFORE.get(word)
        before = words[place - 1] if place else ""
        after = words[place + 1] if place + 1 < len(words) else ""
        if harmless is not None and before not in harmless and after not in _PLAIN_AFTER:
            return True
    return False


def looks_secret(value: str) -> bool:
    """Whether a text holds what is made like a key, a signed address or one with a password."""
    return any(shape.search(value) for shape in (_SHAPE, _PASSWORD, _SIGNED))


def secrets_in(value: object, place: str = "") -> Iterator[str]:
    """Where a JSON-like value holds what must not be published: ``headers.Authorization``, ``0``.

    By names of keys, unless what they hold is empty, true, false or null; and by shapes.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            inner = f"{place}.{key}" if place else str(key)
            if looks_secret(str(key)):
                yield f"{place}.(a key)" if place else "(a key)"
            elif not isinstance(item, bool) and item not in (None, "") and names_secret(str(key)):
                yield inner
            else:
                yield from secrets_in(item, inner)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from secrets_in(item, f"{place}.{number}" if place else str(number))
    elif isinstance(value, str) and looks_secret(value):
        yield place


def redacted(text: str) -> str:
    """A message without users and queries of addresses, and without what is made like a key."""
    text = _USER.sub(lambda found: f"{found[1]}{HIDDEN}@", text)
    return _SHAPE.sub(HIDDEN, _QUERY.sub("?...", text))


def _unglued(word: str) -> list[str]:
    """A word as one or several, in the singular where it is a secret's."""
    single = word.removesuffix("S") if word.removesuffix("S") in _PLAIN_BEFORE else word
    if single in _PLAIN_BEFORE:
        return [single]
    found = _GLUED.fullmatch(word.removesuffix("S"))
    return [part for part in found.groups() if part] if found else [word]
