"""Reads and checks the fields of one raw row; what all adapters share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from jobs.sources.settings import AUTO_LANG
from schemas.conversation import Conversation, Turn
from schemas.errors import MalformedRow

ECHO_CHARS: Final = 80  # of a row's own data in any message
_CJK_SHARE: Final = 0.3
_CJK: Final = ((0x3007, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF),
               (0x20000, 0x323AF))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What holds for rows that do not say their own; ``lang`` is a code or "auto"."""

    license: str
    lang: str = AUTO_LANG


def malformed(who: str, arrived: str, wanted: str, cure: str) -> NoReturn:
    """Raise MalformedRow in the one form of this package."""
    raise MalformedRow(f"{who}: {arrived}; wanted {wanted}; {cure}")


def shown(value: object) -> str:
    """What arrived, in words, with at most 80 characters of it, all of them UTF-8."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"the number {echo(str(value))}"
    if isinstance(value, str):
        return f'the text "{echo(value)}"'
    if isinstance(value, dict):
        return f"an object with the keys {echo(', '.join(map(str, value)) or 'none')}"
    return f"a list of {len(value)}" if isinstance(value, list) else f"a {type(value).__name__}"


def echo(text: str) -> str:
    """At most 80 characters of ``text``, on one line, storable as UTF-8."""
    line = " ".join(text[:ECHO_CHARS].encode("utf-8", "backslashreplace").decode("utf-8").split())
    cut = len(text) > ECHO_CHARS or len(line) > ECHO_CHARS
    return line[: ECHO_CHARS - 3] + "..." if cut else line


def require_object(value: object, who: str, wanted: str) -> Mapping[str, object]:
    """``value`` if it is a JSON object."""
    if not isinstance(value, dict):
        malformed(who, f"the row is {shown(value)}", wanted, "write the row as a JSON object")
    return value


def require_list(row: Mapping[str, object], key: str, who: str) -> Sequence[object]:
    """The list under ``key``."""
    value = row.get(key)
    if not isinstance(value, list):
        what = shown(value) if key in row else "missing"
        malformed(who, f"'{key}' is {what}", "a list of turns", "correct the row")
    return value


def require_text(row: Mapping[str, object], key: str, who: str) -> str:
    """The text under ``key``; empty is a text, null and missing are not."""
    if row.get(key) is None:
        what = "null" if key in row else "missing"
        malformed(who, f"'{key}' is {what}", "a text", "fill the field")
    return optional_text(row, key, who)


def optional_text(row: Mapping[str, object], key: str, who: str) -> str:
    """The text under ``key``; null and missing are empty."""
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        malformed(who, f"'{key}' is {shown(value)}", "a text", "write the field as a string")
    return checked_text(value, f"{who}: '{key}'")


def turn_text(row: Mapping[str, object], key: str, who: str, role: str) -> str:
    """The text of a turn; an assistant's may be missing, for a row without an answer."""
    return (optional_text if role == "assistant" else require_text)(row, key, who)


def checked_text(value: str, who: str) -> str:
    """``value`` if it can be stored as UTF-8: no half of a UTF-16 pair stands alone."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        malformed(
            who,
            f"a lone surrogate, \\u{ord(value[error.start]):04x}, at character {error.start + 1}",
            "text that can be stored as UTF-8",
            "remove the broken character",
        )
    return value


def own_word(row: Mapping[str, object], key: str, default: str) -> str:
    """What the row says itself under ``key``; ``default`` if that is no text, or blank."""
    value = row.get(key)
    if not isinstance(value, str):
        return default
    return checked_text(value, f"'{key}'").strip() or default


def detect_lang(text: str) -> str:
    """ "zh" if over 0.3 of the letters of ``text`` are Chinese characters, else "en"."""
    letters = [ord(char) for char in text if char.isalpha() or char == "〇"]
    num_cjk = sum(any(first <= code <= last for first, last in _CJK) for code in letters)
    return "zh" if num_cjk > _CJK_SHARE * len(letters) else "en"


def conversation(
    row: Mapping[str, object],
    turns: Sequence[Turn],
    defaults: Defaults,
    who: str,
    *,
    image: str | None = None,
) -> Conversation:
    """The turns with the row's own id, licence and language, after a check of the turns' order."""
    _check_order([item["role"] for item in turns], who)
    number = row.get("id")
    is_int = isinstance(number, int) and not isinstance(number, bool)
    lang = own_word(row, "lang", defaults.lang)
    if lang == AUTO_LANG:
        said = (item["text"] for item in turns if item["role"] == "user")
        lang = detect_lang("\n".join(said))
    lang = lang.replace("_", "-").split("-")[0].lower()  # "zh-CN" is spoken as "zh"
    return {
        "source_id": str(number) if is_int else own_word(row, "id", ""),
        "license": own_word(row, "license", defaults.license),
        "lang": lang,
        "turns": list(turns),
        "image": image,
    }


def _check_order(roles: Sequence[str], who: str) -> None:
    num_system = next((i for i, role in enumerate(roles) if role != "system"), len(roles))
    spoken = roles[num_system:]
    alternating = all(
        role == ("assistant" if index % 2 else "user") for index, role in enumerate(spoken)
    )
    if not spoken or not alternating:
        malformed(
            who,
            f"turn order {echo(' '.join(roles) or '(no turns)')}",
            "system turns first, if any, then user and assistant in turn",
            "correct the order or remove the row",
        )
