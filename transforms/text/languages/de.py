"""German: its table. The words and the grammar of numbers are in transforms/text/german."""

import re

from transforms.text.german.say import say
from transforms.text.language import Language, Lists

_COUNTS = "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf"

LANGUAGE = Language(
    code="de",
    say=say,
    chars_per_second=15.0,
    ascii_only=False,
    unspeakable=re.compile(r"[^A-Za-zÀ-ÖØ-öø-ÿẞœŒ ,.?!'\-]"),
    sentence_end=re.compile(r"(?<![.!?])[.!?]++[\"'”’)\]]*+(?=\s|$)|\n++"),
    joiner=" ",
    comma=",",
    period=".",
    question="?",
    either=" oder ",
    dot=" Punkt ",
    blank=" Lücke ",
    abbreviations=frozenset(
        "dr prof nr st bzw ca usw evtl ggf inkl z.b d.h u.a abb bd kap str tel vgl sog hr "
        "fr".split()
    ),
    intro_tails=tuple("sind ist wie zum beispiel nämlich und oder heißt lautet waren war".split()),
    intro_pauses=("folgt", "folgende", "folgendes"),
    dependent=tuple("wenn falls während bevor nachdem für bei um sobald".split()),
    fillers=("Hallo,", "Also,", "Ähm,", "Okay,", "Na ja,"),
    question_fillers=("Sag mal,", "Ähm,", "Eine Frage,", "Ich frage mich,"),
    request_fillers=("Bitte", "Ähm, bitte", "Okay, bitte"),
    polite_question="",
    requests=frozenset(
        "schreibe schreib nenne nenn erkläre erklär beschreibe beschreib gib gebe finde erstelle "
        "entwirf formuliere übersetze fasse vergleiche liste zähle berechne wandle ändere ordne "
        "sortiere wähle schlage mache mach erzähle erzähl definiere analysiere bestimme ergänze "
        "verbessere korrigiere entwickle bewerte begründe plane zeige hilf sage sag".split()
    ),
    openers=frozenset(
        "was wie warum wieso wer wann wo welche welcher welches ist sind kann können soll sollte "
        "der die das ein eine einen mein meine dein deine unser unsere in im auf mit von für "
        "wenn als es gibt darf muss hat haben wird werden zu zum zur nach bei".split()
    ),
    common=re.compile(r"(?!)"),
    greetings=("hallo", "hi", "guten", "bitte", "könntest du", "kannst du", "können sie", "sehr "),
    preambles=re.compile(
        r"(?:natürlich|klar|gern(?:e)?|selbstverständlich|sicher|gute frage|okay)"
        r"(?:, (?:gerne|ich helfe .{1,20}|kein problem))?[.!]",
        re.IGNORECASE,
    ),
    questions=re.compile(
        r"(?:wer|was|wo|warum|wieso|wann|wie|welche[rsn]?|woher|wohin)\b.{3,}"
        r"|(?:ist|sind|war|kann|kannst|können|könntest|hast|hat|haben|gibt|soll|muss|darf|wird|bist)"
        r" (?:ich|du|wir|sie|er|es|man|der|die|das|ein|eine|mein|dein)\b.{3,}",
        re.IGNORECASE,
    ),
    asks_sentences=re.compile(rf"\b({_COUNTS.replace(' ', '|')}) sätzen?\b", re.IGNORECASE),
    asks_result=re.compile(
        r"\b(?:berechne|löse|wie ?viele?|bestimme|beweise|summe|mittelwert|gleichung|fläche)\b",
        re.IGNORECASE,
    ),
    equals=re.compile(r"\b(?:gleich|geteilt durch|mal)\b"),
    closings=re.compile(
        r"(?:also|somit|daher|insgesamt)?,? ?.{0,40}"
        r"\b(?:die (?:antwort|lösung|summe)|das (?:ergebnis|resultat)|der (?:mittelwert|"
        r"durchschnitt))\b.{0,40}\b(?:ist|sind|lautet|beträgt)\b"
        r"|(?:die )?(?:antwort|lösung) lautet",
        re.IGNORECASE,
    ),
    about_emoji=re.compile(r"\b(?:emojis?|smileys?|emoticons?)\b", re.IGNORECASE),
    lists=Lists(
        separator=", ",
        pair=" und ",
        last=" und ",
        ordinals=tuple(
            f"{word}, "
            for word in "Erstens Zweitens Drittens Viertens Fünftens Sechstens Siebtens Achtens "
            "Neuntens Zehntens".split()
        ),
        finally_="Und schließlich, ",
        steps=("Erster Schritt, ", "Nächster Schritt, "),
        last_step="Letzter Schritt, ",
        procedure=re.compile(r"schritt|anleitung|rezept|zubereitung|so geht", re.IGNORECASE),
        opened=re.compile(
            r"(?:erstens|zweitens|drittens|zuerst|dann|danach|schließlich|schritt \w+)\b",
            re.IGNORECASE,
        ),
        recipe=re.compile(r"(?:zutaten|zubereitung|anleitung)(?: .{0,30})?[:.]", re.IGNORECASE),
        leads=re.compile(r"(?:hier (?:sind|ist|kommt)|im folgenden|nachfolgend)\b", re.IGNORECASE),
        announces=re.compile(
            r"(?:hier (?:sind|ist)|es gibt|das sind|folgende|diese)\b.{0,200}$"
            r"|.{0,200}\b(?:folgende[nrs]?|wie folgt)\b.{0,60}$",
            re.IGNORECASE,
        ),
        counts=tuple(_COUNTS.split()),
    ),
)
