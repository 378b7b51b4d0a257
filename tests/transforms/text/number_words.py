"""Reads number words back: the tests' own parsers, written without the code under test."""

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_GERMAN = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn "
    "fünfzehn sechzehn siebzehn achtzehn neunzehn"
).split()
_GERMAN_TENS = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()


def english_value(words: str) -> int:
    """One thousand two hundred thirty-four -> 1234; a year in pairs is not one."""
    total = part = 0
    for word in words.replace("-", " ").split():
        if word in _UNITS:
            part += _UNITS.index(word)
        elif word in _TENS:
            part += 10 * (_TENS.index(word) + 2)
        elif word == "hundred":
            part *= 100
        else:
            total, part = total + part * _SCALES[word], 0
    return total + part


def german_value(words: str) -> int:
    """Tausendzweihundertvierunddreißig -> 1234."""
    total = 0
    for name, scale in (("Milliarde", 10**9), ("Million", 10**6)):
        for ending in ("en ", "n ", " ", "en", "n", ""):
            head, found, tail = words.partition(name + ending)
            if found and not head.startswith(name):
                total += (_german_below_million(head.strip()) or 1) * scale
                words = tail
                break
    return total + _german_below_million(words.strip())


def _german_below_million(word: str) -> int:
    if not word or word in ("eine", "ein"):
        return 1 if word else 0
    head, found, tail = word.partition("tausend")
    if found:
        return (_german_below_million(head) if head else 1) * 1000 + _german_below_million(tail)
    head, found, tail = word.partition("hundert")
    if found:
        return (_german_below_million(head) if head else 1) * 100 + _german_below_million(tail)
    if word in _GERMAN:
        return _GERMAN.index(word)
    one, found, tens = word.partition("und")
    if found:
        return (1 if one == "ein" else _GERMAN.index(one)) + 10 * (_GERMAN_TENS.index(tens) + 2)
    return 10 * (_GERMAN_TENS.index(word) + 2)
