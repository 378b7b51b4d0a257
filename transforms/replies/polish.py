"""A model's answer as a voice reads it: typography into pauses, leftover numbers into words.

Models are told to write so, and mostly do; a stray semicolon or digit is mended by the text rules
and costs no second request. What the rules cannot say (code, URLs, formulas) stays for the check.
"""

from transforms.text.clean import clean
from transforms.text.language import language
from transforms.text.markup import strip_markup
from transforms.text.sentences import join, split
from transforms.text.spoken import finish, introduce, soften
from transforms.text.verbalize import verbalize


def polish(answer: str, lang: str) -> str:
    """The answer in whole sentences, in the characters that its language's voices can say."""
    table = language(lang)
    plain = verbalize(strip_markup(clean(answer, table.code)).text, table.code)
    said = [finish(sentence, table) for sentence in split(soften(plain, table), table)]
    said = [sentence for sentence in said if sentence]
    if not said:
        return ""
    *before, last = said
    if last[-1] in ":：":
        last = last[:-1].rstrip() + table.period
    return join([*(introduce(sentence, table) for sentence in before), last], table)
