"""A prompt: a file in three parts, with holes that are checked before anything runs.

``=== system`` holds the rules (first, and equal for all rows of a language, so that servers cache
it), ``=== user`` the request, ``=== again`` what a model is told about a reply that cannot be used.
An optional ``=== problems`` says what each flaw is called there, a line each: ``code: words``.
A line whose holes are all empty is left out. A dollar sign is written ``$$``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template

from schemas.canonical import digest
from schemas.errors import SettingsError

PARTS = ("system", "user", "again")
OPTIONAL = "problems"
HOLES = {
    "rewrite": ("max_chars", "text", "input", "history"),
    "respond": ("max_chars", "question", "system", "history", "reference"),
}
WANTED = {"rewrite": "text", "respond": "question"}
ANSWER_KEYS = {"rewrite": "question", "respond": "response"}
VERSION = 1
SHIPPED = ("de", "en", "zh")  # languages that have prompts
_PART = re.compile(r"^=== (\w+)[ \t]*\n", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The three parts for one step and one language. ``problems`` says what each flaw is called."""

    system: str
    user: str
    again: str
    problems: tuple[tuple[str, str], ...] = ()

    @property
    def sha256(self) -> str:
        """What stands for the prompt in a fingerprint."""
        return digest([self.system, self.user, self.again, [list(item) for item in self.problems]])

    def to_text(self) -> str:
        """The prompt as a file that `parse_prompt` reads back: what a manifest keeps."""
        parts = [f"=== {part}\n{getattr(self, part).strip()}\n" for part in PARTS]
        lines = [f"{code}: {words}\n" for code, words in self.problems]
        return "".join([*parts, f"=== {OPTIONAL}\n", *lines])

    def messages(self, values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """The system and the user message."""
        return (
            ("system", Template(self.system).substitute(max_chars=values["max_chars"]).strip()),
            ("user", _filled(self.user, values)),
        )

    def correction(self, flaws: list[tuple[str, str]]) -> str:
        """The message that says what was wrong with a reply."""
        known = dict(self.problems)
        told = "; ".join(
            f"{known.get(code, code)} ({detail})" if detail else known.get(code, code)
            for code, detail in flaws
        )
        return Template(self.again).substitute(problems=told).strip()


def _filled(template: str, values: Mapping[str, str]) -> str:
    lines = []
    for line in template.strip().splitlines():
        holes = Template(line).get_identifiers()
        if holes and not any(values.get(name) for name in holes):
            continue
        lines.append(Template(line).substitute(values))
    return "\n".join(lines)


def parse_prompt(text: str, step: str, name: str, problems: str = "") -> Prompt:
    """The prompt in a text. Raises SettingsError for a missing part, or an unknown hole."""
    pieces = _PART.split(text)
    found = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    if missing := [part for part in PARTS if not found.get(part, "").strip()]:
        raise SettingsError(
            f"prompt {name}: lacks the part '=== {missing[0]}'; wanted {', '.join(PARTS)}"
        )
    if strange := sorted(set(found) - {*PARTS, OPTIONAL}):
        raise SettingsError(f"prompt {name}: unknown part '{strange[0]}'; wanted {PARTS}")
    allowed = {"system": ("max_chars",), "user": HOLES[step], "again": ("problems",)}
    for part, holes in allowed.items():
        template = Template(found[part])
        if not template.is_valid():
            raise SettingsError(
                f"prompt {name}: a '$' in '=== {part}' starts no hole; write $$ for a dollar sign"
            )
        unknown = sorted(set(template.get_identifiers()) - set(holes))
        if unknown:
            raise SettingsError(
                f"prompt {name}: '=== {part}' has the hole ${unknown[0]}; there are "
                f"{', '.join('$' + hole for hole in holes)}"
            )
    for part, hole in (("user", WANTED[step]), ("again", "problems")):
        if hole not in Template(found[part]).get_identifiers():
            raise SettingsError(f"prompt {name}: '=== {part}' lacks the hole ${hole}")
    told = found.get(OPTIONAL) or problems
    lines = [line.partition(":") for line in told.splitlines() if line.strip()]
    return Prompt(
        **{part: found[part].strip() + "\n" for part in PARTS},
        problems=tuple((code.strip(), told.strip()) for code, _, told in lines),
    )


@cache
def packaged_prompt(step: str, lang: str) -> Prompt:
    """The prompt that ships for a step and a language."""
    name = f"{step}.{lang}.v{VERSION}.txt"
    return parse_prompt(_packaged(name), step, name, packaged_problems(lang))


def packaged_problems(lang: str) -> str:
    """What each flaw is called in a language; English where there is no such file."""
    name = f"corrections.{lang}.v{VERSION}.txt"
    folder = resources.files("transforms.prompts")
    return _packaged(name if folder.joinpath(name).is_file() else f"corrections.en.v{VERSION}.txt")


def _packaged(name: str) -> str:
    return resources.files("transforms.prompts").joinpath(name).read_text(encoding="utf-8")
