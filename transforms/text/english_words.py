"""The words of `english`: units, currencies, abbreviations and what stands around a year."""

MONTHS = (
    "January February March April May June July August September October November December".split()
)

CURRENCIES = {
    "$": ("dollar", "cent"),
    "€": ("euro", "cent"),
    "£": ("pound", "penny"),
    "¥": ("yuan ", ""),
}

SCALES = {
    "hundred": "hundred", "thousand": "thousand", "million": "million", "billion": "billion",
    "trillion": "trillion", "k": "thousand", "K": "thousand", "m": "million", "M": "million",
    "bn": "billion", "b": "billion", "B": "billion",
}  # fmt: skip

UNITS = {
    written: (one, many)
    for written, one, many in (
        ("km/h", "kilometer per hour", "kilometers per hour"),
        ("kmh", "kilometer per hour", "kilometers per hour"),
        ("mph", "mile per hour", "miles per hour"),
        ("m/s", "meter per second", "meters per second"),
        ("km^2", "square kilometer", "square kilometers"),
        ("m^2", "square meter", "square meters"),
        ("cm^2", "square centimeter", "square centimeters"),
        ("m^3", "cubic meter", "cubic meters"),
        ("cm^3", "cubic centimeter", "cubic centimeters"),
        ("sq ft", "square foot", "square feet"),
        ("km", "kilometer", "kilometers"),
        ("cm", "centimeter", "centimeters"),
        ("mm", "millimeter", "millimeters"),
        ("nm", "nanometer", "nanometers"),
        ("m", "meter", "meters"),
        ("ft", "foot", "feet"),
        ("kg", "kilogram", "kilograms"),
        ("mg", "milligram", "milligrams"),
        ("g", "gram", "grams"),
        ("lbs", "pound", "pounds"),
        ("lb", "pound", "pounds"),
        ("oz", "ounce", "ounces"),
        ("ml", "milliliter", "milliliters"),
        ("mL", "milliliter", "milliliters"),
        ("L", "liter", "liters"),
        ("ha", "hectare", "hectares"),
        ("°C", "degree Celsius", "degrees Celsius"),
        ("° C", "degree Celsius", "degrees Celsius"),
        ("℃", "degree Celsius", "degrees Celsius"),
        ("°F", "degree Fahrenheit", "degrees Fahrenheit"),
        ("° F", "degree Fahrenheit", "degrees Fahrenheit"),
        ("°", "degree", "degrees"),
        ("TB", "terabyte", "terabytes"),
        ("GB", "gigabyte", "gigabytes"),
        ("MB", "megabyte", "megabytes"),
        ("KB", "kilobyte", "kilobytes"),
        ("kB", "kilobyte", "kilobytes"),
        ("GHz", "gigahertz", "gigahertz"),
        ("MHz", "megahertz", "megahertz"),
        ("kHz", "kilohertz", "kilohertz"),
        ("Hz", "hertz", "hertz"),
        ("kWh", "kilowatt hour", "kilowatt hours"),
        ("kW", "kilowatt", "kilowatts"),
        ("W", "watt", "watts"),
        ("V", "volt", "volts"),
        ("ms", "millisecond", "milliseconds"),
        ("min", "minute", "minutes"),
        ("hrs", "hour", "hours"),
        ("hr", "hour", "hours"),
        ("cal", "calorie", "calories"),
        ("kcal", "kilocalorie", "kilocalories"),
        ("%", "percent", "percent"),
    )
}

SIGNS = {
    "&": "and", "+": "plus", "=": "equals", "%": "percent", "@": "at", "×": "times",
    "÷": "divided by", "±": "plus or minus", "≈": "is about", "≤": "is at most",
    "≥": "is at least", "≠": "is not equal to", "°": "degrees", "$": "dollar", "€": "euro",
    "£": "pound", "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "Δ": "delta",
    "θ": "theta", "λ": "lambda", "μ": "mu", "π": "pi", "σ": "sigma", "Σ": "sigma", "ω": "omega",
    "Ω": "ohms",
}  # fmt: skip

# What is said, and whether the period may end the sentence (None: it never does, and the word
# takes the capital of the abbreviation).
ABBREVIATIONS: dict[str, tuple[str, bool | None]] = {
    "e.g.,": ("for example,", None),
    "e.g.": ("for example,", None),
    "i.e.,": ("that is,", None),
    "i.e.": ("that is,", None),
    "etc.": ("et cetera", True),
    "vs.": ("versus", None),
    "vs": ("versus", None),
    "dr.": ("Doctor", False),
    "mr.": ("Mister", False),
    "mrs.": ("Missus", False),
    "ms.": ("Miss", False),
    "prof.": ("Professor", False),
    "approx.": ("approximately", None),
    "a.m.": ("AM", True),
    "p.m.": ("PM", True),
    "u.s.a.": ("USA", True),
    "u.s.": ("US", False),
    "u.k.": ("UK", False),
    "u.n.": ("UN", False),
    "d.c.": ("DC", True),
    "ph.d.": ("PhD", True),
    "w/o": ("without", None),
    "w/": ("with ", None),
    "n/a": ("not applicable", None),
    "and/or": ("and or", None),
}

YEAR_BEFORE = frozenset(
    "in since by from until till of year during before after circa around between early late mid "
    "january february march april may june july august september october november december "
    "spring summer autumn fall winter class the founded born".split()
)

NOT_A_YEAR_AFTER = frozenset(
    "words calories people dollars miles kilometers meters years days hours minutes seconds times "
    "pounds grams students books units points items characters feet square per pages employees "
    "euros copies steps votes tons degrees percent million billion thousand cups km kg".split()
)
