"""Markdown, HTML and other marks for the eye become plain text; what cannot be said is reported."""

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from transforms.text.clean import HAN
from transforms.text.formulas import plain_formulas

# A private-use character stands where something unsayable stood (`clean` removes them from the
# source), so that a caller who cuts the text knows whether it is before or after the cut.
MARKS = {
    "\ue000": "code", "\ue001": "table", "\ue002": "url", "\ue003": "math",
    "\ue004": "placeholder",
}  # fmt: skip
MARK = {code: mark for mark, code in MARKS.items()}
MARKED = re.compile("[\ue000-\ue004]")

Flag: TypeAlias = Callable[[str, str], str]

# Every repeat below is bounded or possessive: hostile text costs linear time.
MAX_TABLE_ROWS = 6  # of a table that is read in pairs
MAX_CELL_CHARS = 40
MIN_WRAP_CHARS = 50  # a shorter line was not broken for want of room: the next is another thing
_TABLE_RULE = re.compile(r"\|?(?:[ \t]*:?-{2,}:?[ \t]*\|?){1,20}")
_NUMBER = re.compile(r"\d{1,3}")
_FOOTNOTE = re.compile(r"[ \t]{0,3}\[\^[\w-]{1,20}\]:")
_NOTE_MARK = re.compile(
    r"\[\^[\w-]{1,20}\]|(?<=[.,!?\"])\[\d{1,3}\](?![\w(])|(?<=[a-z]{4})\[\d{1,3}\](?=[.,])"
)
_CLOSERS = "\"'”’」』)）]*_ \t"
_ENDS = ".!?。！？…；;:：,，、" + "".join(MARKS)
# Where a part of a song begins is for the eye.
_SONG_PART = re.compile(
    r"[ \t]{0,8}[*_]{0,3}(?:"
    r"[\[(](?:Verse|Chorus|Pre-?Chorus|Bridge|Refrain|Intro|Outro|Hook|Stanza)(?: \w{1,6})?[\])]:?|"
    r"(?:Verse|Chorus|Pre-?Chorus|Refrain|Stanza)(?: \w{1,6})?:)"
    r":?[*_]{0,3}:?[ \t]*$",
    re.IGNORECASE,
)
# [Your Name], [City, State]: to be filled in by a reader.
_PLACEHOLDER = re.compile(r"(?<!\w)\[[A-Z][\w'’&/-]{1,24}(?:,? [\w'’&/-]{1,24}){0,7}\](?![\w(\[])")
_FENCE = re.compile(r"[ \t]{0,8}(?:```|~~~)")
_RULE = re.compile(r"[ \t]{0,8}(?:-{3,}|={3,}|\*{3,}|_{3,})[ \t]*$")
_HEADING = re.compile(r"[ \t]{0,3}#{1,6}[ \t]++(.*)")
_BOLD_LINE = re.compile(r"[ \t]{0,3}\*\*([^*\n]{1,120})\*\*:?[ \t]*$")
_ITEM = re.compile(
    r"[ \t]*+(?:[-*+•·▪◦●○][ \t]++|\d{1,3}[.)）][ \t]++|\(\d{1,2}[)）][ \t]++(?!\d)"
    r"|\d{1,3}[、.．](?=[\u3400-\u9fff])"
    r"|[（(]\d{1,2}[)）](?!\s?\d)[ \t]*+)(?:\[[ xX]?\][ \t]*+)?(?=\S)"
)
# "Label: Sentence" is two sentences; the label keeps its colon, so that no cut ends on it.
_LABEL = re.compile(
    r"([^.!?:：。！？\n]{1,60}?)(?:[*_]{0,3}[:：][*_]{0,3} ?|[*_]{0,3} - )"
    r"(?=[*_\"]{0,3}[A-Z\u3400-\u9fff])"
)
_LETTERED = re.compile(r"[ \t]*+\(?([A-Ea-e])[.)][ \t]++(?=\S)")
_QUOTED = re.compile(r"[ \t]{0,3}(?:>[ \t]?){1,5}")
_CODE_LINE = re.compile(
    r"\s*+(?:def \w+\(|class \w+\s?[:({]|import \w[\w.]*;?$|from [\w.]+ import |#include\b|<\?php|"
    r"public \w+ |private \w+ |function\s?\w*\(|(?:var|let|const) \w+\s?=|print\(|"
    r"return .{0,80};$|(?:if|for|while|elif|switch)\s?\(.{0,200}\)\s?\{?$|for \w+ in .{0,80}:$|"
    r"while .{0,60}:$|else\s?:$|[{}\[\]();]+$|"
    r"SELECT\b.{1,200}\bFROM\b|INSERT INTO |CREATE TABLE |console\.|System\.)"
)
_ART = re.compile(r"[ \t]*+[-+|/\\_=#*.~^<>█]{5,}[ \t]*+$")
_URL = re.compile(
    r"(?<![A-Za-z0-9@])(?:https?|ftp)://[^\s<>\"'）)，。]++"
    r"|(?<![\w.@])www\.[^\s<>\"'）)，。]++"
    r"|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64}"
    r"|(?<![\w.-])(?:[\w-]{1,64}\.){1,4}(?:com|org|net|edu|gov|io)/[^\s<>\"'）)，。]*+"
)
_SAYABLE_ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.)?((?:[A-Za-z0-9-]{1,30}\.){1,3}[a-z]{2,6})/?"
    r"|([A-Za-z0-9.]{1,30}@(?:[A-Za-z0-9-]{1,30}\.){1,3}[a-z]{2,6})"
)
_LINK = re.compile(r"(!?)\[([^\[\]\n]{0,300})\]\([^()\[\s]{0,500}(?:[ ]\"[^\"()\[\n]{0,100}\")?\)")
_TICKS = re.compile(r"(?<!`)`([^`\n]{1,200})`(?!`)")
_SAYABLE_TICKS = re.compile(r"[\w ,.'’\-]+(?:\(\))?$")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TAG = re.compile(r"<(/?)([A-Za-z!][A-Za-z0-9]{0,20})([^<>\n]{0,200})>")
_FORMATTING = frozenset(
    "b i em strong u s p sub sup span small mark center font h1 h2 h3 h4 h5 h6 ul ol li".split()
)
_MATH = re.compile(
    r"\$\$[^$]{1,400}\$\$|\\\(.{1,300}?\\\)|\\\[.{1,300}?\\\]"
    r"|\$[^$\n\\^_]{0,100}[\\^_][^$\n]{0,150}\$"
    r"|\\(?:frac|sqrt|sum|int|begin|end|cdot|times|alpha|beta|pi|left|right|text|mathbb)(?![A-Za-z])"
    r"|[∫∑∏∂∇∀∃∈∉⊂⊆∪∩∧∨¬⊕⇔∴]|\^[{(]|[)}\]]\^|\)\s?[*/×÷+-]\s?\("
    # A sum in brackets that something is done to: said without them it would be another sum.
    r"|[(（][^()（）\n]{0,80}\w\s?[+*/×÷^=-]\s?\w[^()（）\n]{0,80}[)）]\s?[/*×÷^+=](?!\w*[A-Za-z]{2})"
    r"|[\d)/*×÷^=]\s?[/*×÷^=]\s?[(（][^()（）\n]{0,80}[\d]"
)
_COLOR = re.compile(r"(?<!\w)#(?=[0-9A-Fa-f]*\d)[0-9A-Fa-f]{6}\b")
_CALL = re.compile(
    r"(?<![\w.])[A-Za-z_][A-Za-z0-9_]{1,40}(?:\.[A-Za-z0-9_]{1,40}){0,3}"
    r"\((?:\)|(?!(?:s|es|ies|r|d|ed|ing|a|an|n|ren)\))(?:[a-z0-9]{1,3}(?:, ?[a-z0-9]{1,3}){0,5}"
    r"|[^()\n\"'=_]{0,100}[\"'=_][^()\n]{0,100})\))(?![A-Za-z])"
)
_STRONG = re.compile(r"(?<!\d)\*{2,3}|\*{2,3}(?!\d)|~~|(?<!\w)__(?=[^\W_])|(?<=[^\W_])__(?!\w)")
_EMPHASIS = re.compile(
    r"(?<![\w*])\*(?=[^\s*])|(?<=[^\s*])\*(?![\w*])|(?<!\w)_(?=[^\W_])|(?<=[^\W_])_(?!\w)"
)
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]#+.!>|~\-])")
_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z0-9 ,.?!'\"\u3400-\u9fff，。？！、“”]*")


Kind: TypeAlias = Literal["text", "more", "heading", "choice", "item", "label", "blank"]


@dataclass(frozen=True)
class Line:
    """What a line was: a paragraph, a heading, an answer to choose ("A. Paris"), part of a list.

    An ``item`` opens an item of a list, a ``label`` too ("Plan:", its text follows as ``more``);
    ``more`` goes on with the paragraph or item above. ``indent`` is in spaces. ``number`` is what
    was written before the item, None for a bullet.
    """

    kind: Kind
    indent: int = 0
    number: int | None = None


_TEXT, _HEADING_LINE, _BLANK = Line("text"), Line("heading"), Line("blank")


@dataclass(frozen=True)
class Markup:
    """Plain text, a mark (`MARKS`) where something could not be said, and each such thing.

    ``lines`` has an entry for each line of ``text``, and one if it is empty.
    """

    text: str
    problems: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]


def strip_markup(text: str) -> Markup:
    """Headings, lists, emphasis, links and tags become sentences, one paragraph or item per line.

    Code, tables, URLs and formulas are not dropped silently: each leaves its mark in the text and
    one (code, detail) in ``problems``: fenced code and tables first, then the rest in order.
    """
    if _PLAIN.fullmatch(text):  # most instructions
        return Markup(_ended(text.strip()), (), (_TEXT,))
    problems: list[tuple[str, str]] = []

    def flag(code: str, detail: str) -> str:
        problems.append((code, " ".join(detail[:200].split())[:60]))
        return MARK[code]

    text = html.unescape(MARKED.sub("", text)) if "&" in text else MARKED.sub("", text)
    text = _BREAK.sub("\n", text)
    blocks = list(_blocks(text.split("\n"), flag))
    joined = _join((line, _inline(raw, flag)) for line, raw in blocks)
    return Markup(
        "\n".join(raw for _, raw in joined),
        tuple(dict.fromkeys(problems)),
        tuple(line for line, _ in joined) or (_TEXT,),
    )


def _blocks(lines: list[str], flag: Flag) -> Iterator[tuple[Line, str]]:
    fenced = False
    above: Kind = "blank"
    table: list[str] = []
    for number, line in enumerate([*lines, ""]):
        if table and not _is_row(line):
            yield from _table(table, flag)
            table = []
        if _FENCE.match(line):
            if not fenced:
                yield _HEADING_LINE, flag("code", next(iter(lines[number + 1 : number + 2]), line))
            fenced = not fenced and line.count("```") < 2
        elif fenced:
            continue
        elif not line.strip() or _RULE.match(line) or _SONG_PART.match(line):
            yield _BLANK, ""
        elif _is_row(line):
            table.append(line)
        elif _CODE_LINE.match(line) or _ART.match(line):
            yield _HEADING_LINE, flag("table" if "|" in line else "code", line)
        elif heading := _HEADING.match(line):
            body = heading[1].rstrip()
            bare = body.rstrip("#")
            yield _HEADING_LINE, bare if not bare or bare[-1] == " " else body
        elif bold := _BOLD_LINE.match(line):
            yield _HEADING_LINE, bold[1]
        elif not _FOOTNOTE.match(line):
            found = list(_line(line, above))
            yield from found
            above = found[0][0].kind
            continue
        above = "heading"


def _line(line: str, above: Kind) -> Iterator[tuple[Line, str]]:
    """An item of a list, or a line of text."""
    indent = _indent(line)
    if item := _ITEM.match(line):
        body = line[item.end() :]
        digits = _NUMBER.search(item[0])
        number = int(digits[0]) if digits else None
        if label := _LABEL.match(body):
            yield Line("label", indent, number), label[1].rstrip(" :：*_") + ":"
            yield Line("more", indent), body[label.end() :]
        else:
            yield Line("item", indent, number), body
        return
    line = line[quoted.end() :] if (quoted := _QUOTED.match(line)) else line
    if lettered := _LETTERED.match(line):
        yield Line("choice"), f"{lettered[1]}, {line[lettered.end() :]}"
    else:
        yield Line("more" if _goes_on(line, indent, above) else "text", indent), line


def _goes_on(line: str, indent: int, above: Kind) -> bool:
    """Whether a line belongs to what is above it. After an item, a new sentence does not."""
    if above in ("item", "label"):
        return indent >= 2 or line[:1].islower()
    return above in ("text", "more") or indent >= 2


def _indent(line: str) -> int:
    spaces = line[: len(line) - len(line.lstrip(" \t"))]
    return len(spaces.replace("\t", "    "))


def _is_row(line: str) -> bool:
    return line.count("|") >= 2 or line.count("\t") >= 3


def _table(rows: list[str], flag: Flag) -> Iterator[tuple[Line, str]]:
    """A small table of two columns is read in pairs; any other cannot be followed by ear."""
    cells = [
        [cell.strip() for cell in row.strip().strip("|").split("|")]
        for row in rows
        if not _TABLE_RULE.fullmatch(row.strip())
    ]
    small = (
        2 <= len(cells) <= MAX_TABLE_ROWS + 1
        and len(cells) < len(rows)
        and all(
            len(row) == 2 and all(0 < len(cell) <= MAX_CELL_CHARS for cell in row) for row in cells
        )
    )
    if not small:
        yield _HEADING_LINE, flag("table", rows[0])
        return
    yield _HEADING_LINE, ", ".join(cells[0]) + ":"
    for first, second in cells[1:]:
        yield Line("label"), first.rstrip(":") + ":"
        yield Line("more"), second


def _inline(line: str, flag: Flag) -> str:
    """One line without marks inside it."""
    if _PLAIN.fullmatch(line):
        return line
    line = _LINK.sub(lambda m: flag("url", m[0]) if m[1] else m[2], line)
    line = _TICKS.sub(
        lambda m: _identifier(m[1]) if _SAYABLE_TICKS.match(m[1]) else flag("code", m[1]), line
    )
    if "[" in line:
        line = _NOTE_MARK.sub("", line)
        line = _PLACEHOLDER.sub(lambda m: flag("placeholder", m[0]), line)
    line = _URL.sub(lambda m: _address(m[0]) or flag("url", m[0]), line)
    line = _TAG.sub(
        lambda m: (
            "" if m[2].lower() in _FORMATTING and not m[3].strip(" /") else flag("code", m[0])
        ),
        line,
    )
    if "\\" in line or "$" in line:
        line = plain_formulas(line)
    line = _MATH.sub(lambda m: flag("math", m[0]), line)
    line = _COLOR.sub(lambda m: flag("code", m[0]), line)
    line = _CALL.sub(lambda m: flag("code", m[0]), line)
    line = _STRONG.sub("", line)
    return _ESCAPED.sub(r"\1", _EMPHASIS.sub("", line))


def _identifier(code: str) -> str:
    """user_name and getUserName as the words that they are made of."""
    if " " in code:
        return code
    return _HUMP.sub(" ", code.removesuffix("()").replace("_", " ")).strip()


def _address(url: str) -> str:
    """A short address as it may be said (its points are the verbalizer's), or nothing."""
    match = _SAYABLE_ADDRESS.fullmatch(url.rstrip(".?!"))
    if match is None:
        return ""
    return (match[1] or match[2]) + url[len(url.rstrip(".?!")) :]


def _join(blocks: Iterator[tuple[Line, str]]) -> list[tuple[Line, str]]:
    """Lines as sentences: each item, heading and paragraph ends with a mark of punctuation."""
    out: list[tuple[Line, str]] = []
    is_open = False  # whether the last line may go on
    wide = 0
    for line, raw_line in blocks:
        raw = raw_line.strip()
        width, wide = wide, len(raw)  # of the line above
        if line.kind == "more" and is_open and raw:
            above, text = out[-1]
            last = text.rstrip(_CLOSERS)[-1:]
            if above.kind == "label" or last in ".!?。！？:：" or last in MARKS or not last:
                out.append((line, raw))
            elif len(raw) > 60 and raw[-1] in ".。" and last not in _ENDS:
                out[-1] = above, _ended(text)  # a title above its paragraph
                out.append((line, raw))
            else:
                wrapped = raw[0].islower() and width >= MIN_WRAP_CHARS
                pause = "" if last in _ENDS or wrapped else _comma(raw)
                out[-1] = above, text + pause + ("" if HAN.match(raw) else " ") + raw
            continue
        if is_open and out:
            out[-1] = out[-1][0], _ended(out[-1][1])
        if raw:
            end = {"heading": _headed, "choice": _ended}.get(line.kind)
            out.append((line, end(raw) if end else raw))
        is_open = bool(raw) and line.kind not in ("heading", "choice")
    if out:
        out[-1] = out[-1][0], _ended(out[-1][1])
    return out


def _headed(line: str) -> str:
    """A heading introduces what is below it, like a sentence with a colon."""
    bare = line.rstrip(_CLOSERS)
    if not bare or bare[-1] in _ENDS:
        return line
    return line + ("：" if HAN.search(line) else ":")


def _ended(line: str) -> str:
    bare = line.rstrip(_CLOSERS)
    if not bare or bare[-1] in _ENDS:
        return line
    return line + ("。" if HAN.search(line) else ".")


def _comma(line: str) -> str:
    return "，" if HAN.search(line) else ","
