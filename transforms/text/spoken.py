"""The last touch: punctuation for the eye becomes pauses, and sentences end as they should."""

import re

from transforms.text.language import Language

_L = "A-Za-zÀ-ÖØ-öø-ÿẞœŒ"  # letters of Latin script, as far as voices here read them
_SPACES = re.compile(r"[ \t]+")
_COMMAS = re.compile(r" ?,(?: ?,)*+ ?")
_COMMA_BEFORE_END = re.compile(r",(?= ?(?:[.?!:\n]|$))")
_COMMA_AT_START = re.compile(r"(?:^|(?<=[.?!\n])) ?, ?", re.MULTILINE)
_ENDS = re.compile(r" ?[.?!][.?!]++")
_GAP = re.compile(r"_{2,}|(?<![.])\.{5,}")
_OPTIONAL_PLURAL = re.compile(r"(?<=[a-z])\((s|es)\)")
# The moon is "high." is one sentence, and so is "estás? (informal)".
_END_INSIDE = re.compile(r"[.!?](?=\"[ ,][a-zß-öø-ÿ])|[.!?](?= ?\([a-zß-öø-ÿ])")
_BRACKETS = re.compile(r"[()\[\]]")
_QUOTES = re.compile(rf"\"|(?<![{_L}])'|'(?![{_L}])|`(?=[{_L}])|''")
_DASH = re.compile(rf" ?--+ ?| - |(?<![{_L}])-|-(?![{_L}])")
_LOOSE_HYPHEN = re.compile(rf"(?<=[{_L}])- (?!(?:and|or|to|und|oder|bis)\b)")
_COLON = re.compile(r" ?:(?! ?(?:\n|$))|;")
_SLASH = re.compile(rf"(?<=[{_L}]) ?/ ?(?=[{_L}])")
_INITIALS = re.compile(rf"\b(?:[{_L}]\.){{2,}}(?=([^\n]?))")
_DOT_INSIDE = re.compile(rf"(?<=[{_L}])\.(?=[{_L}])")
_MISSING_SPACE = re.compile(rf"(?<=[,?!])(?=[{_L}])")
_LOOSE_SPACE = re.compile(r" (?=[.,?!:])|(?<=\n) | (?=\n)")

_ZH_SAID = str.maketrans(
    {
        ",": "，", "?": "？", "!": "！", ";": "。", "；": "。", ":": "：", "(": "，", ")": "，",
        "（": "，", "）": "，", "[": "，", "]": "，", "【": "，", "】": "，", "…": "，", "—": "，",
        "～": "，", '"': None, "“": None, "”": None, "《": None, "》": None, "〈": None, "〉": None,
        "「": None, "」": None, "『": None, "』": None, "·": None, "•": None, "‘": None, "’": None,
        "｡": "。", "．": "。", "–": "-", "−": "-",
    }
)  # fmt: skip
_ZH_OWNER = re.compile(r"[)）](?=的)")  # 万维网（Web）的发明人: no pause before 的
_ZH_DOT = re.compile(r"\.(?![A-Za-z])")
_ZH_HYPHEN = re.compile(r"-+(?![A-Za-z])|(?<![A-Za-z])-+|--+")
_ZH_SPACE = re.compile(r"(?<![A-Za-z']) | (?![A-Za-z])")
_ZH_QUOTE = re.compile(r"(?<![A-Za-z])'|'(?![A-Za-z])")
_ZH_SLASH = re.compile(r" ?/ ?")
_ZH_COLON = re.compile(r"：(?!(?:\n|$))")
_ZH_PAUSES = re.compile(r"[，、]*，[，、]*")
_ZH_PAUSE_AT_EDGE = re.compile(
    r"(?:^|(?<=[。？！\n]))[，、]+|[，、]+(?=[。？！：\n]|$)", re.MULTILINE
)
_ZH_ENDS = re.compile(r"[。？！]([。？！])+")


def soften(text: str, table: Language) -> str:
    """Brackets, quotes, dashes, colons and slashes as pauses or words; content is kept.

    A colon at the end of a line stays: it introduces what follows (see `finish`).
    """
    text = _GAP.sub(table.blank, _SPACES.sub(" ", text))
    return _soften_latin(text, table) if table.joiner else _soften_wide(text, table)


def _soften_latin(text: str, table: Language) -> str:
    text = _END_INSIDE.sub(",", _OPTIONAL_PLURAL.sub(r"\1", text))
    text = _LOOSE_HYPHEN.sub(", ", text)
    text = _QUOTES.sub("", _BRACKETS.sub(", ", text))
    text = _COLON.sub(", ", _DASH.sub(_dash, text))
    if "/" in text:
        text = _SLASH.sub(table.either, text).replace("/", " ")
    text = _INITIALS.sub(
        lambda m: m[0].replace(".", "") + ("." if m[1] in ("", "\n") else ""), text
    )
    text = _DOT_INSIDE.sub(lambda m: _dot(m, table), text)
    text = _ENDS.sub(lambda m: "?" if "?" in m[0] else "!" if "!" in m[0] else ".", text)
    text = _COMMAS.sub(", ", _SPACES.sub(" ", text))
    text = _COMMA_BEFORE_END.sub("", _COMMA_AT_START.sub(" ", text))
    text = _LOOSE_SPACE.sub("", _SPACES.sub(" ", text))
    return _MISSING_SPACE.sub(" ", text).strip(" ,")


def _dash(match: re.Match[str]) -> str:
    return ", " if len(match[0]) > 1 else " "


def _dot(match: re.Match[str], table: Language) -> str:
    """amazon.com is said with its dot; "end.Next" lacks a space."""
    following = match.string[match.end() : match.end() + 2]
    lone = not following[1:].isalpha()  # "end.A" is a sentence, "Node.JS" is a name
    return ". " if following[0].isupper() and (following[1:].islower() or lone) else table.dot


def _soften_wide(text: str, table: Language) -> str:
    text = _DOT_INSIDE.sub(table.dot, _ZH_OWNER.sub("", text).translate(_ZH_SAID))
    text = _ZH_DOT.sub("。", text).replace(".", " ")
    text = _ZH_HYPHEN.sub("，", _ZH_QUOTE.sub("", text))
    text = _ZH_SLASH.sub(table.either, text)
    text = _ZH_COLON.sub("，", _ZH_SPACE.sub("", text))
    text = _ZH_ENDS.sub(r"\1", _ZH_PAUSES.sub("，", text))
    return _ZH_PAUSE_AT_EDGE.sub("", text)


def finish(sentence: str, table: Language, *, capital: bool = True) -> str:
    """A sentence with its capital and its end; one that ends with a colon keeps it."""
    body = sentence.strip(" ,，、-'\n\t")
    if not any(char.isalnum() for char in body):
        return body.strip(" .?!:。？！：")  # a mark of `markup`, or nothing
    body = upper_first(body, table) if capital else body
    if body[-1] in ".?!。？！:：":
        return body
    return body + table.period


def upper_first(sentence: str, table: Language) -> str:
    """``sentence`` with a capital, unless its first word has one elsewhere (iPhone)."""
    word = sentence.partition(" ")[0]
    if not table.joiner or not sentence[0].islower() or word[1:] != word[1:].lower():
        return sentence
    return sentence[0].upper() + sentence[1:]


def introduce(sentence: str, table: Language) -> str:
    """A sentence that ends with a colon, with the pause that leads over to what it introduces."""
    if sentence[-1:] not in (":", "："):
        return sentence
    body = sentence[:-1].rstrip(" ,，")
    leads_over = _has_tail(body, (*table.intro_tails, *table.intro_pauses), table)
    leads_over = leads_over or _is_dependent(body, table)
    return body + (table.comma if leads_over else table.period)


def _is_dependent(body: str, table: Language) -> bool:
    """ "When the weather changes" wants more; "To begin, do this" has it."""
    return body.partition(" ")[0].lower() in table.dependent and "," not in body


def lead_over(sentence: str, table: Language) -> str:
    """An introduction before items that go on with it: "They are:" loses its colon."""
    if sentence[-1:] not in (":", "："):
        return sentence
    body = sentence[:-1].rstrip(" ,，")
    return body if _has_tail(body, table.intro_tails, table) else sentence


def _has_tail(body: str, tails: tuple[str, ...], table: Language) -> bool:
    return body.rpartition(" ")[2].lower() in tails if table.joiner else body.endswith(tails)
