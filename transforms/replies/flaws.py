"""What is wrong with an answer in itself: refusals, leaks, loops, another language, other names."""

import re
from collections import Counter

from transforms.replies.parse import Flaw
from transforms.text.clean import HAN

_REFUSALS = re.compile(
    r"^\W*(?:(?:i'?m|i am) (?:very |so |really )?sorry|sorry|unfortunately|i apologi[sz]e|"
    r"i (?:can(?:'t|not| not)|won'?t|am unable|'?m unable|am not able|must decline|do not feel))"
    r".{0,60}?\b(?:can(?:'t|not| not)|unable|not able|won'?t|decline|not comfortable|against)\b"
    r"|^\W*i (?:can(?:'t|not| not)|won'?t|must decline|am unable|'?m unable)"
    r" (?:to )?(?:help|assist|comply|fulfil|provide|do|answer|continue|rewrite|engage)",
    re.IGNORECASE,
)
_REFUSALS_ZH = re.compile(
    r"^\W*(?:(?:很|非常)?(?:抱歉|对不起|遗憾)|我).{0,12}?(?:无法|不能|不便|拒绝)"
    r".{0,8}(?:帮|提供|回答|协助|满足|完成|讨论|处理|改写)"
)
_REFUSALS_DE = re.compile(
    r"^\W*(?:(?:es )?tut mir (?:sehr |wirklich )?leid|leider|entschuldig\w*|ich bedau[er]+e?)\b"
    r".{0,60}?\b(?:(?:kann|darf|werde|möchte) (?:ich )?.{0,60}?\b(?:nicht|keine?n?)"
    r"|nicht (?:möglich|in der lage)|ablehnen)\b"
    r"|^\W*ich (?:kann|darf|werde|möchte) .{0,40}?\b(?:nicht|keine?n?)\b.{0,40}?"
    r"\b(?:helfen|beantworten|erfüllen|bereitstellen|weiterhelfen|unterstützen|umformulieren|tun)\b"
    r"|^\W*(?:ich muss (?:das |dies )?ablehnen|dabei kann ich .{0,20}nicht helfen)",
    re.IGNORECASE,
)
_PERSONA = re.compile(
    r"\bas an? (?:large )?(?:ai|a\.i\.|artificial intelligence|language)\b[\w ]{0,20}"
    r"|\b(?:chatgpt|gpt-?\d\w*|openai|anthropic|claude|llama(?:-?\d)?|qwen\d*|deepseek|gemini|"
    r"mistral|chatglm)\b|\bals (?:eine? |ein )?(?:großes )?(?:ki|künstliche intelligenz|"
    r"sprachmodell)\b|作为一[个名款](?:大型)?(?:人工智能|AI|语言模型)|通义千问|文心一言",
    re.IGNORECASE,
)
FUNCTION_WORDS = frozenset(
    "a about all am an and any are as at be been but by can could did do does for from had has "
    "have he her his how i if in into is it its just me more my no not of on one or our out she "
    "so some that the their them then there they this to up us was we were what when which who "
    "why will with would you your".split()
)
_FUNCTION_WORDS_DE = frozenset(
    "aber als am an auch auf aus bei bin bist da das dass dein deine dem den der des dich die dir "
    "du ein eine einem einen einer er es für hat hast ich ihr im in ist ja kann kannst man mein "
    "meine mich mir mit nach nicht noch nur oder schon sein sich sie sind so über um und uns vom "
    "von vor war was weil wenn werden wie wir wird zu zum zur".split()
)
MIN_WORDS = 10  # below them a text is too short to tell its language by
MIN_FUNCTION_WORDS = 0.12
MIN_HAN = 0.5
LEAK_WORDS = 9  # in a row, shared with the rules of the prompt
LOOP_GRAM, LOOPS, LOOP_SHARE = 5, 3, 0.3  # words, times, of all words
_TOKENS = re.compile(r"[\u3400-\u9fff]|[a-z']+")


def flaws_of_reply(finish_reason: str, refusal: str) -> list[Flaw]:
    """What the server itself says."""
    if refusal or finish_reason == "content_filter":
        return [("refusal", (refusal or "content_filter")[:60])]
    if finish_reason == "length":
        return [("truncated", "it reached max_tokens")]
    return []


def flaws_of_answer(answer: str, lang: str, *, told: str, source: str) -> list[Flaw]:
    """What is wrong with an answer, whatever was asked.

    ``told`` are the rules that the model was given, ``source`` what the row itself says: a name or
    a refusal that stands there may stand in the answer.
    """
    found: list[Flaw] = []
    refusals = {"zh": _REFUSALS_ZH, "de": _REFUSALS_DE}.get(lang[:2], _REFUSALS)
    if (match := refusals.search(answer[:300])) and not refusals.search(source[:300]):
        found.append(("refusal", match[0][:60]))
    names = {match[0].lower() for match in _PERSONA.finditer(answer)}
    strange = sorted(name for name in names if name not in source.lower())
    if strange:
        found.append(("names_a_model", ", ".join(strange)[:60]))
    if problem := other_language(answer, lang):
        found.append(("wrong_language", problem))
    if leaked := shared_run(answer, told, source):
        found.append(("prompt_leak", leaked[:60]))
    if looped := loop(answer):
        found.append(("loop", looped[:60]))
    return found


def other_language(text: str, lang: str) -> str:
    """Why ``text`` is hardly in ``lang``; empty if it may be, or for a language without a test."""
    letters = [char for char in text if char.isalpha()]
    han = len(HAN.findall(text))
    if lang.startswith("zh"):
        words = len(re.findall(r"[^\W\d_\u3400-\u9fff]+", text))  # a name counts as one character
        few = han < MIN_HAN * (han + words)
        return f"{han} Chinese characters, {words} other words" if few or not han else ""
    common, name = {
        "en": (FUNCTION_WORDS, "English"),
        "de": (_FUNCTION_WORDS_DE, "German"),
    }.get(lang[:2], (frozenset[str](), ""))
    if not common:
        return ""
    latin = sum(char.isascii() or char < "\u0250" for char in letters)
    if latin < 0.8 * len(letters):
        return f"{latin} of {len(letters)} letters are Latin"
    said = re.findall(r"[a-zäöüß']+", text.lower())
    known = sum(word in common for word in said)
    if len(said) >= MIN_WORDS and known < MIN_FUNCTION_WORDS * len(said):
        return f"{known} of {len(said)} words are common {name} ones"
    return ""


def shared_run(answer: str, told: str, source: str) -> str:
    """A run of words of the prompt's rules in the answer that the row itself does not hold."""
    rules, own = grams(told, LEAK_WORDS), grams(source, LEAK_WORDS)
    return next((gram for gram in sorted(grams(answer, LEAK_WORDS)) if gram in rules - own), "")


def loop(answer: str) -> str:
    """A run of words that comes again and again, or nothing."""
    tokens = _TOKENS.findall(answer.lower())
    runs = Counter(" ".join(tokens[n : n + LOOP_GRAM]) for n in range(len(tokens) - LOOP_GRAM + 1))
    gram, count = max(runs.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    looped = count > LOOPS and count * LOOP_GRAM > LOOP_SHARE * len(tokens)
    return f"'{gram}' {count} times" if looped else ""


def repeats(answer: str, asked: str) -> bool:
    """Whether an answer only says again what was asked, or begins with all of it."""
    said, question = _TOKENS.findall(answer.lower()), _TOKENS.findall(asked.lower())
    return len(question) >= 4 and said[: len(question)] == question


def grams(text: str, size: int) -> set[str]:
    """Every run of ``size`` words (or Chinese characters) of a text."""
    tokens = _TOKENS.findall(text.lower())
    return {" ".join(tokens[n : n + size]) for n in range(len(tokens) - size + 1)}
