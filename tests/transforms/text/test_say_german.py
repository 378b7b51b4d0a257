"""How German says what is written, class by class."""

import pytest

from transforms.text.verbalize import verbalize

SAID = {
    "numbers": [
        ("1.234 Menschen", "tausendzweihundertvierunddreißig Menschen"),
        ("3,14 und 3.14", "drei Komma eins vier und drei Komma eins vier"),
        ("-7", "minus sieben"),
        ("21, 101, 1100", "einundzwanzig, hunderteins, elfhundert"),
        ("007", "null null sieben"),
    ],
    "dates and ordinals": [
        ("am 3. Mai 2020", "am dritten Mai zweitausendzwanzig"),
        ("der 3. Mai", "der dritte Mai"),
        ("im 19. Jahrhundert", "im neunzehnten Jahrhundert"),
        ("5. Klasse", "fünfte Klasse"),
        ("12.03.2024", "zwölfte März zweitausendvierundzwanzig"),
        ("2024-01-15", "fünfzehnte Januar zweitausendvierundzwanzig"),
    ],
    "years": [
        ("1999 und 2024", "neunzehnhundertneunundneunzig und zweitausendvierundzwanzig"),
        ("die 90er Jahre", "die neunziger Jahre"),
    ],
    "times": [
        ("um 14:30 Uhr", "um vierzehn Uhr dreißig"),
        ("um 8 Uhr", "um acht Uhr"),
        ("14:05", "vierzehn Uhr fünf"),
    ],
    "money": [
        ("5,20 €", "fünf Euro zwanzig"),
        ("1 €", "ein Euro"),
        ("3 Mio. Euro", "drei Millionen Euro"),
        ("$5", "fünf Dollar"),
    ],
    "units": [
        ("10-20 %", "zehn bis zwanzig Prozent"),
        ("60 km/h", "sechzig Kilometer pro Stunde"),
        ("1 Stunde und 1 Apfel", "eine Stunde und ein Apfel"),
        ("2,5 kg", "zwei Komma fünf Kilogramm"),
        ("3-5 Tage", "drei bis fünf Tage"),
        ("-5 °C", "minus fünf Grad Celsius"),
    ],
    "fractions and codes": [
        ("1/2 oder 3/4", "ein halb oder drei Viertel"),
        ("030 1234567", "null drei null, eins zwei drei vier fünf sechs sieben"),
        ("Version 3.10", "Version drei Punkt zehn"),
        ("192.168.0.1", "hundertzweiundneunzig Punkt hundertachtundsechzig Punkt null Punkt eins"),
    ],
    "abbreviations": [
        ("z. B. Äpfel usw.", "zum Beispiel Äpfel und so weiter."),
        ("Dr. Müller, Nr. 5", "Doktor Müller, Nummer fünf"),
        ("500 v. Chr. war", "fünfhundert vor Christus war"),
    ],
    "others": [
        ("Ludwig XIV. war", "Ludwig der Vierzehnte war"),
        ("bob@x.de", "bob at x.de"),
    ],
    "maths and signs": [
        ("2 + 3 = 5", "zwei plus drei gleich fünf"),
        ("x² + 1", "x Quadrat plus eins"),
        ("√16", "Wurzel aus sechzehn"),
        ("C#", "C Sharp"),
        ("#Hallo", "Hashtag Hallo"),
        ("CO₂", "CO zwei"),
        ("Straße & Café", "Straße und Café"),
    ],
}
PAIRS = [pair for pairs in SAID.values() for pair in pairs]


@pytest.mark.parametrize(("written", "said"), PAIRS)
def test_written_forms_are_said(written: str, said: str) -> None:
    assert verbalize(written, "de") == said


@pytest.mark.parametrize(("written", "said"), PAIRS)
def test_what_is_said_stays_as_it_is(written: str, said: str) -> None:
    assert verbalize(said, "de") == said
