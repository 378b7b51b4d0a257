"""Markdown, HTML and other marks for the eye become plain text; what cannot be said is reported."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from transforms.text.clean import HAN

# A private-use character stands where something unsayable stood (`clean` removes them from the
# source), so that a caller who cuts the text knows whether it is before or after the cut.
MARKS = {"\ue000": "code", "\ue001": "table", "\ue002": "url", "\ue003": "math"}
MARK = {code: mark for mark, code in MARKS.items()}
MARKED = re.compile("[\ue000-\ue003]")

Flag: TypeAlias = Callable[[str, str], str]

# Every repeat below is bounded or possessive: hostile text costs linear time.
_CLOSERS = "\"'”’」』)）]*_ \t"
_ENDS = ".!?。！？…；;:：,，、" + "".join(MARKS)
_FENCE = re.compile(r"[ \t]{0,8}(?:```|~~~)")
_RULE = re.compile(r"[ \t]{0,8}(?:-{3,}|={3,}|\*{3,}|_{3,})[ \t]*$")
_HEADING = re.compile(r"[ \t]{0,3}#{1,6}[ \t]++(.*)")
_ITEM = re.compile(
    r"[ \t]*+(?:[-*+•·▪◦●○][ \t]++|\(?\d{1,3}[.)）][ \t]++|\d{1,3}[、.．](?=[\u3400-\u9fff])"
    r"|[（(]\d{1,3}[)）][ \t]*+)(?:\[[ xX]?\][ \t]*+)?(?=\S)"
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
_LINK = re.compile(r"(!?)\[([^\[\]\n]{0,300})\]\([^()\[\s]{0,500}(?:[ ]\"[^\"()\[\n]{0,100}\")?\)")
_TICKS = re.compile(r"(?<!`)`([^`\n]{1,200})`(?!`)")
_SAYABLE_TICKS = re.compile(r"[\w ,.'’\-]+$")
_TAG = re.compile(r"<(/?)([A-Za-z!][A-Za-z0-9]{0,20})([^<>\n]{0,200})>")
_FORMATTING = frozenset(
    "b i em strong u s p sub sup span small mark center font h1 h2 h3 h4 h5 h6 ul ol li".split()
)
_MATH = re.compile(
    r"\$\$[^$]{1,400}\$\$|\\\(.{1,300}?\\\)|\\\[.{1,300}?\\\]"
    r"|\$[^$\n\\^_]{0,100}[\\^_][^$\n]{0,150}\$"
    r"|\\(?:frac|sqrt|sum|int|begin|end|cdot|times|alpha|beta|pi|left|right|text|mathbb)\b"
    r"|[∫∑∏√∂∇∞∀∃∈∉⊂⊆∪∩∧∨¬⊕⇒⇔∴]|\^[{(]|[)}\]]\^|\)\s?[*/×÷+-]\s?\("
    # A sum in brackets that something is done to: said without them it would be another sum.
    r"|[(（][^()（）\n]{0,80}\w\s?[+*/×÷^=-]\s?\w[^()（）\n]{0,80}[)）]\s?[/*×÷^+=](?!\w*[A-Za-z]{2})"
    r"|[\d)/*×÷^=]\s?[/*×÷^=]\s?[(（][^()（）\n]{0,80}[\d]"
)
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
_ENTITIES = {"&nbsp;": " ", "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'"}
_ENTITY = re.compile("|".join(_ENTITIES))
_PLAIN = re.compile(r"[A-Za-z0-9 ,.?!'\"\u3400-\u9fff，。？！、“”]*")


@dataclass(frozen=True)
class Markup:
    """Plain text, a mark (`MARKS`) where something could not be said, and each such thing."""

    text: str
    problems: tuple[tuple[str, str], ...]


def strip_markup(text: str) -> Markup:
    """Headings, lists, emphasis, links and tags become sentences, one paragraph or item per line.

    Code, tables, URLs and formulas are not dropped silently: each leaves its mark in the text and
    one (code, detail) in ``problems``: fenced code and tables first, then the rest in order.
    """
    if _PLAIN.fullmatch(text):  # most instructions
        return Markup(_ended(text.strip()), ())
    problems: list[tuple[str, str]] = []

    def flag(code: str, detail: str) -> str:
        problems.append((code, " ".join(detail[:200].split())[:60]))
        return MARK[code]

    text = _ENTITY.sub(lambda match: _ENTITIES[match[0]], MARKED.sub("", text))
    blocks = list(_blocks(_BREAK.sub("\n", text).split("\n"), flag))
    joined = _join((kind, _inline(line, flag)) for kind, line in blocks)
    return Markup(joined, tuple(dict.fromkeys(problems)))


def _blocks(lines: list[str], flag: Flag) -> Iterator[tuple[str, str]]:
    """(kind, line) with kind ``text``, ``item``, ``heading`` or ``blank``."""
    fenced = False
    for number, line in enumerate(lines):
        if _FENCE.match(line):
            if not fenced:
                yield "heading", flag("code", next(iter(lines[number + 1 : number + 2]), line))
            fenced = not fenced and line.count("```") < 2
        elif fenced:
            continue
        elif not line.strip() or _RULE.match(line):
            yield "blank", ""
        elif line.count("|") >= 2 or line.count("\t") >= 3:
            yield "heading", flag("table", line)
        elif _CODE_LINE.match(line) or _ART.match(line):
            yield "heading", flag("table" if "|" in line else "code", line)
        elif heading := _HEADING.match(line):
            body = heading[1].rstrip()
            bare = body.rstrip("#")
            yield "heading", bare if not bare or bare[-1] == " " else body
        elif item := _ITEM.match(line):
            body = line[item.end() :]
            if label := _LABEL.match(body):
                yield "heading", label[1].rstrip(" :：*_") + ":"
                body = body[label.end() :]
            yield "item", body
        else:
            line = line[quoted.end() :] if (quoted := _QUOTED.match(line)) else line
            if lettered := _LETTERED.match(line):
                yield "item", f"{lettered[1]}, {line[lettered.end() :]}"
            else:
                yield "text", line


def _inline(line: str, flag: Flag) -> str:
    """One line without marks inside it."""
    if _PLAIN.fullmatch(line):
        return line
    line = _LINK.sub(lambda m: flag("url", m[0]) if m[1] else m[2], line)
    line = _TICKS.sub(lambda m: m[1] if _SAYABLE_TICKS.match(m[1]) else flag("code", m[1]), line)
    line = _URL.sub(lambda m: flag("url", m[0]), line)
    line = _TAG.sub(
        lambda m: (
            "" if m[2].lower() in _FORMATTING and not m[3].strip(" /") else flag("code", m[0])
        ),
        line,
    )
    line = _MATH.sub(lambda m: flag("math", m[0]), line)
    line = _CALL.sub(lambda m: flag("code", m[0]), line)
    line = _STRONG.sub("", line)
    return _ESCAPED.sub(r"\1", _EMPHASIS.sub("", line))


def _join(blocks: Iterator[tuple[str, str]]) -> str:
    """Lines as sentences: each item, heading and paragraph ends with a mark of punctuation."""
    out: list[str] = []
    is_open = False  # whether the last line may go on
    for kind, raw in blocks:
        line = raw.strip()
        if kind == "text" and is_open and line:
            last = out[-1].rstrip(_CLOSERS)[-1:]
            if last in ".!?。！？:：" or last in MARKS or not last:
                out.append(line)
            else:
                if len(line) > 60 and line[-1] in ".。" and last not in _ENDS:
                    out[-1] = _ended(out[-1])  # a title above its paragraph
                    out.append(line)
                    continue
                pause = "" if last in _ENDS or line[0].islower() else _comma(line)
                out.append(out.pop() + pause + ("" if HAN.match(line) else " ") + line)
            continue
        if is_open and out:
            out[-1] = _ended(out[-1])
        if line:
            out.append(line if kind in ("text", "item") else _ended(line))
        is_open = bool(line) and kind in ("text", "item")
    if out:
        out[-1] = _ended(out[-1])
    return "\n".join(out)


def _ended(line: str) -> str:
    bare = line.rstrip(_CLOSERS)
    if not bare or bare[-1] in _ENDS:
        return line
    return line + ("。" if HAN.search(line) else ".")


def _comma(line: str) -> str:
    return "，" if HAN.search(line) else ","
