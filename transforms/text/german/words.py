"""The words around German numbers: months, units, currencies, abbreviations."""

MONTHS = (
    "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()
)

MONTH_SHORT = {
    "Jan.": "Januar", "Feb.": "Februar", "Febr.": "Februar", "Mär.": "März", "Apr.": "April",
    "Aug.": "August", "Sept.": "September", "Sep.": "September", "Okt.": "Oktober",
    "Nov.": "November", "Dez.": "Dezember",
}  # fmt: skip

# one, more, whether the one is feminine
UNITS: dict[str, tuple[str, str, bool]] = {
    "km/h": ("Kilometer pro Stunde", "Kilometer pro Stunde", False),
    "m/s": ("Meter pro Sekunde", "Meter pro Sekunde", False),
    "km^2": ("Quadratkilometer", "Quadratkilometer", False),
    "m^2": ("Quadratmeter", "Quadratmeter", False),
    "qm": ("Quadratmeter", "Quadratmeter", False),
    "cm^2": ("Quadratzentimeter", "Quadratzentimeter", False),
    "m^3": ("Kubikmeter", "Kubikmeter", False),
    "cm^3": ("Kubikzentimeter", "Kubikzentimeter", False),
    "km": ("Kilometer", "Kilometer", False),
    "cm": ("Zentimeter", "Zentimeter", False),
    "mm": ("Millimeter", "Millimeter", False),
    "nm": ("Nanometer", "Nanometer", False),
    "m": ("Meter", "Meter", False),
    "kg": ("Kilogramm", "Kilogramm", False),
    "mg": ("Milligramm", "Milligramm", False),
    "g": ("Gramm", "Gramm", False),
    "t": ("Tonne", "Tonnen", True),
    "l": ("Liter", "Liter", False),
    "L": ("Liter", "Liter", False),
    "ml": ("Milliliter", "Milliliter", False),
    "cl": ("Zentiliter", "Zentiliter", False),
    "EL": ("Esslöffel", "Esslöffel", False),
    "TL": ("Teelöffel", "Teelöffel", False),
    "ha": ("Hektar", "Hektar", False),
    "°C": ("Grad Celsius", "Grad Celsius", False),
    "° C": ("Grad Celsius", "Grad Celsius", False),
    "℃": ("Grad Celsius", "Grad Celsius", False),
    "°F": ("Grad Fahrenheit", "Grad Fahrenheit", False),
    "°": ("Grad", "Grad", False),
    "TB": ("Terabyte", "Terabyte", False),
    "GB": ("Gigabyte", "Gigabyte", False),
    "MB": ("Megabyte", "Megabyte", False),
    "KB": ("Kilobyte", "Kilobyte", False),
    "GHz": ("Gigahertz", "Gigahertz", False),
    "MHz": ("Megahertz", "Megahertz", False),
    "kHz": ("Kilohertz", "Kilohertz", False),
    "Hz": ("Hertz", "Hertz", False),
    "kWh": ("Kilowattstunde", "Kilowattstunden", True),
    "kW": ("Kilowatt", "Kilowatt", False),
    "MW": ("Megawatt", "Megawatt", False),
    "W": ("Watt", "Watt", False),
    "V": ("Volt", "Volt", False),
    "PS": ("PS", "PS", False),
    "kcal": ("Kilokalorie", "Kilokalorien", True),
    "ms": ("Millisekunde", "Millisekunden", True),
    "Sek.": ("Sekunde", "Sekunden", True),
    "s": ("Sekunde", "Sekunden", True),
    "Min.": ("Minute", "Minuten", True),
    "min": ("Minute", "Minuten", True),
    "Std.": ("Stunde", "Stunden", True),
    "h": ("Stunde", "Stunden", True),
    "%": ("Prozent", "Prozent", False),
    "‰": ("Promille", "Promille", False),
}

CURRENCIES = {
    "€": ("Euro", "Euro"), "EUR": ("Euro", "Euro"), "Euro": ("Euro", "Euro"),
    "$": ("Dollar", "Dollar"), "US-$": ("US-Dollar", "US-Dollar"),
    "USD": ("US-Dollar", "US-Dollar"),
    "£": ("Pfund", "Pfund"), "¥": ("Yen", "Yen"), "CHF": ("Franken", "Franken"),
    "Fr.": ("Franken", "Franken"),
}  # fmt: skip

SCALES = {
    "Mio.": ("Million", "Millionen"), "Millionen": ("Million", "Millionen"),
    "Million": ("Million", "Millionen"), "Mrd.": ("Milliarde", "Milliarden"),
    "Milliarden": ("Milliarde", "Milliarden"), "Milliarde": ("Milliarde", "Milliarden"),
    "Billionen": ("Billion", "Billionen"), "Tsd.": ("tausend", "tausend"),
}  # fmt: skip

SIGNS = {
    "&": "und", "+": "plus", "=": "gleich", "%": "Prozent", "@": "at", "×": "mal", "·": "mal",
    "⋅": "mal", "÷": "geteilt durch", "±": "plus minus", "≈": "ungefähr", "≤": "höchstens",
    "≥": "mindestens", "≠": "ungleich", "°": "Grad", "$": "Dollar", "€": "Euro", "£": "Pfund",
    "√": "Wurzel aus", "∞": "unendlich", "→": "zu", "⇒": "ergibt", "§": "Paragraf", "‰": "Promille",
    "α": "Alpha", "β": "Beta", "γ": "Gamma", "δ": "Delta", "Δ": "Delta", "λ": "Lambda", "μ": "Mü",
    "µ": "Mikro", "π": "Pi", "σ": "Sigma", "Σ": "Sigma", "ω": "Omega", "Ω": "Ohm", "❤": "Herz",
    "➕": "plus", "➖": "minus", "➗": "geteilt durch", "✕": "mal", "✖": "mal", "℃": "Grad Celsius",
    "−": "minus",
}  # fmt: skip

ABBREVIATIONS = {
    "z.B.": "zum Beispiel", "z. B.": "zum Beispiel", "d.h.": "das heißt", "d. h.": "das heißt",
    "u.a.": "unter anderem", "u. a.": "unter anderem", "usw.": "und so weiter",
    "etc.": "et cetera", "bzw.": "beziehungsweise", "ca.": "circa", "evtl.": "eventuell",
    "ggf.": "gegebenenfalls", "inkl.": "inklusive", "exkl.": "exklusive", "z.T.": "zum Teil",
    "z. T.": "zum Teil", "o.ä.": "oder ähnliches", "o. ä.": "oder ähnliches",
    "i.d.R.": "in der Regel", "i. d. R.": "in der Regel",
    "u.U.": "unter Umständen", "u. U.": "unter Umständen",
    "s.o.": "siehe oben", "s.u.": "siehe unten", "v.a.": "vor allem", "v. a.": "vor allem",
    "v. Chr.": "vor Christus", "v.Chr.": "vor Christus", "n. Chr.": "nach Christus",
    "n.Chr.": "nach Christus", "Dr.": "Doktor", "Prof.": "Professor", "Hr.": "Herr",
    "Fr.": "Frau", "St.": "Sankt", "Nr.": "Nummer", "Abb.": "Abbildung", "Bd.": "Band",
    "Kap.": "Kapitel", "Str.": "Straße", "Tel.": "Telefon", "max.": "maximal", "min.": "minimal",
    "vgl.": "vergleiche", "sog.": "sogenannte", "Jh.": "Jahrhundert", "vs.": "gegen",
}  # fmt: skip

MAY_END = frozenset(
    ("usw.", "etc.", "v. Chr.", "v.Chr.", "n. Chr.", "n.Chr.", "o.ä.", "o. ä.", "Jh.")
)

# After one of these an ordinal ends with n: am 3. Mai is "am dritten Mai".
TAKES_N = frozenset(
    "am im vom zum beim dem den des einem einen eines zur dieser diesem diesen seit ab bis "
    "jedem jeden nach".split()
)

FEMININE_ENDINGS = ("e", "ung", "heit", "keit", "schaft", "ion", "tät", "ik", "ur")
