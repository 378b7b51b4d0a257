"""The words around English numbers: months, units, currencies, abbreviations, cues of a year."""

MONTHS = (
    "January February March April May June July August September October November December".split()
)

# unit, units, cent, cents
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "", ""),
    "￥": ("yuan", "yuan", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "", ""),
    "₽": ("ruble", "rubles", "kopeck", "kopecks"),
    "₿": ("bitcoin", "bitcoins", "", ""),
}

CURRENCY_CODES = {
    "USD": ("US dollar", "US dollars"),
    "EUR": ("euro", "euros"),
    "GBP": ("pound", "pounds"),
    "CAD": ("Canadian dollar", "Canadian dollars"),
    "AUD": ("Australian dollar", "Australian dollars"),
    "JPY": ("yen", "yen"),
    "CNY": ("yuan", "yuan"),
    "RMB": ("yuan", "yuan"),
    "INR": ("rupee", "rupees"),
    "CHF": ("Swiss franc", "Swiss francs"),
}

SCALES = {
    "hundred": "hundred", "thousand": "thousand", "million": "million", "billion": "billion",
    "trillion": "trillion", "k": "thousand", "K": "thousand", "m": "million", "M": "million",
    "mn": "million", "mm": "million", "bn": "billion", "b": "billion", "B": "billion",
    "T": "trillion",
}  # fmt: skip

_REGULAR = {  # what is written: what is said of one; more take an s
    "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer", "m": "meter",
    "mi": "mile", "yd": "yard", "kg": "kilogram", "mg": "milligram", "g": "gram", "lb": "pound",
    "lbs": "pound", "oz": "ounce", "ml": "milliliter", "mL": "milliliter", "L": "liter",
    "gal": "gallon", "qt": "quart", "tbsp": "tablespoon", "Tbsp": "tablespoon", "tsp": "teaspoon",
    "ha": "hectare", "TB": "terabyte", "GB": "gigabyte", "MB": "megabyte", "KB": "kilobyte",
    "kB": "kilobyte", "kWh": "kilowatt hour", "MWh": "megawatt hour", "kW": "kilowatt",
    "MW": "megawatt", "GW": "gigawatt", "W": "watt", "kV": "kilovolt", "V": "volt",
    "mA": "milliampere", "mAh": "milliampere hour", "dB": "decibel", "db": "decibel",
    "ms": "millisecond",
    "sec": "second", "secs": "second", "min": "minute", "mins": "minute", "h": "hour",
    "hr": "hour", "hrs": "hour", "yr": "year", "yrs": "year", "cal": "calorie",
    "kcal": "kilocalorie", "kJ": "kilojoule", "J": "joule", "kPa": "kilopascal", "Pa": "pascal",
    "mol": "mole", "px": "pixel",
    "μm": "micrometer", "µm": "micrometer", "μg": "microgram", "µg": "microgram",
    "mcg": "microgram",
}  # fmt: skip

UNITS = {written: (one, one + "s") for written, one in _REGULAR.items()} | {
    written: (one, many)
    for written, one, many in (
        ("km/h", "kilometer per hour", "kilometers per hour"),
        ("kmh", "kilometer per hour", "kilometers per hour"),
        ("kph", "kilometer per hour", "kilometers per hour"),
        ("mph", "mile per hour", "miles per hour"),
        ("mi/h", "mile per hour", "miles per hour"),
        ("mpg", "mile per gallon", "miles per gallon"),
        ("m/s", "meter per second", "meters per second"),
        ("m/s^2", "meter per second squared", "meters per second squared"),
        ("g/cm^3", "gram per cubic centimeter", "grams per cubic centimeter"),
        ("kg/m^3", "kilogram per cubic meter", "kilograms per cubic meter"),
        ("km^2", "square kilometer", "square kilometers"),
        ("m^2", "square meter", "square meters"),
        ("cm^2", "square centimeter", "square centimeters"),
        ("mm^2", "square millimeter", "square millimeters"),
        ("m^3", "cubic meter", "cubic meters"),
        ("cm^3", "cubic centimeter", "cubic centimeters"),
        ("ft^2", "square foot", "square feet"),
        ("in^2", "square inch", "square inches"),
        ("sq ft", "square foot", "square feet"),
        ("sq. ft.", "square foot", "square feet"),
        ("sq mi", "square mile", "square miles"),
        ("sq km", "square kilometer", "square kilometers"),
        ("sq m", "square meter", "square meters"),
        ("ft", "foot", "feet"),
        ("fl oz", "fluid ounce", "fluid ounces"),
        ("°C", "degree Celsius", "degrees Celsius"),
        ("° C", "degree Celsius", "degrees Celsius"),
        ("℃", "degree Celsius", "degrees Celsius"),
        ("°F", "degree Fahrenheit", "degrees Fahrenheit"),
        ("° F", "degree Fahrenheit", "degrees Fahrenheit"),
        ("℉", "degree Fahrenheit", "degrees Fahrenheit"),
        ("°", "degree", "degrees"),
        ("degrees F", "degree Fahrenheit", "degrees Fahrenheit"),
        ("degrees C", "degree Celsius", "degrees Celsius"),
        ("GHz", "gigahertz", "gigahertz"),
        ("MHz", "megahertz", "megahertz"),
        ("kHz", "kilohertz", "kilohertz"),
        ("Hz", "hertz", "hertz"),
        ("kbps", "kilobit per second", "kilobits per second"),
        ("Mbps", "megabit per second", "megabits per second"),
        ("Gbps", "gigabit per second", "gigabits per second"),
        ("rpm", "revolution per minute", "revolutions per minute"),
        ("bpm", "beat per minute", "beats per minute"),
        ("fps", "frame per second", "frames per second"),
        ("psi", "pound per square inch", "pounds per square inch"),
        ("%", "percent", "percent"),
        ("‰", "per mille", "per mille"),
        ("¢", "cent", "cents"),
    )
}

SIGNS = {
    "&": "and", "+": "plus", "=": "equals", "%": "percent", "@": "at", "×": "times",
    "÷": "divided by", "±": "plus or minus", "≈": "is about", "≤": "is at most",
    "≥": "is at least", "≠": "is not equal to", "°": "degrees", "$": "dollar", "€": "euro",
    "£": "pound", "¢": "cents", "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta",
    "Δ": "delta", "ε": "epsilon", "θ": "theta", "λ": "lambda", "μ": "mu", "µ": "micro", "π": "pi",
    "ρ": "rho", "σ": "sigma", "Σ": "sigma", "τ": "tau", "φ": "phi", "ω": "omega", "Ω": "ohms",
    "√": "the square root of", "∞": "infinity", "→": "to", "⇒": "gives", "↔": "to and from",
    "≡": "is equivalent to", "℃": "degrees Celsius", "℉": "degrees Fahrenheit", "‰": "per mille",
    "§": "section", "❤": "love", "➕": "plus", "➖": "minus", "➗": "divided by", "✕": "times",
    "✖": "times", "⋅": "times", "−": "minus",
}  # fmt: skip

# What is said, and whether the period may end the sentence (None: it never does, and the word
# takes the capital of the abbreviation).
ABBREVIATIONS: dict[str, tuple[str, bool | None]] = {
    "e.g.,": ("for example,", None),
    "e.g.": ("for example,", None),
    "i.e.,": ("that is,", None),
    "i.e.": ("that is,", None),
    "etc.": ("et cetera", True),
    "et al.": ("and others", True),
    "vs.": ("versus", None),
    "vs": ("versus", None),
    "dr.": ("Doctor", False),
    "mr.": ("Mister", False),
    "mrs.": ("Missus", False),
    "ms.": ("Miss", False),
    "prof.": ("Professor", False),
    "sr.": ("Senior", True),
    "jr.": ("Junior", True),
    "inc.": ("Incorporated", True),
    "ltd.": ("Limited", True),
    "corp.": ("Corporation", True),
    "dept.": ("department", False),
    "govt.": ("government", False),
    "approx.": ("approximately", None),
    "avg.": ("average", None),
    "a.m.": ("AM", True),
    "p.m.": ("PM", True),
    "u.s.a.": ("USA", True),
    "u.s.": ("US", False),
    "u.k.": ("UK", False),
    "u.n.": ("UN", False),
    "d.c.": ("DC", True),
    "ph.d.": ("PhD", True),
    "b.c.": ("BC", True),
    "a.d.": ("AD", True),
    "w/o": ("without", None),
    "w/": ("with ", None),
    "n/a": ("not applicable", None),
    "and/or": ("and or", None),
    "24/7": ("twenty-four seven", None),
    "9/11": ("nine eleven", None),
}

# Titles that are only titles before a name.
TITLES = {
    "Gen.": "General", "Col.": "Colonel", "Capt.": "Captain", "Sgt.": "Sergeant",
    "Lt.": "Lieutenant", "Rev.": "Reverend", "Hon.": "Honorable", "Gov.": "Governor",
    "Sen.": "Senator", "Rep.": "Representative", "Pres.": "President", "Mt.": "Mount",
    "St.": "Saint", "Ft.": "Fort",
}  # fmt: skip

STREETS = {
    "St.": "Street", "Ave.": "Avenue", "Blvd.": "Boulevard", "Rd.": "Road", "Ln.": "Lane",
    "Dr.": "Drive",
}  # fmt: skip

YEAR_BEFORE = frozenset(
    "in since by from until till of year during before after circa around between early late mid "
    "january february march april may june july august september october november december "
    "spring summer autumn fall winter class the founded born".split()
)

NO_YEAR_BEFORE = frozenset("is equals total number plus about over approximately nearly".split())

NOT_A_YEAR_AFTER = frozenset(
    "words calories people dollars miles kilometers meters years days hours minutes seconds times "
    "pounds grams students books units points items characters feet square per pages employees "
    "euros copies steps votes tons degrees percent million billion thousand cups km kg word page "
    "plus minus equals divided by times".split()
)

# Before a number with points: it is a version, 3.11 is "three point eleven".
VERSIONED = (
    "version release Python iOS Android Ubuntu Java Node PHP Ruby Windows macOS Firefox Chrome "
    "Linux TensorFlow PyTorch Django HTML CSS Bluetooth USB TLS Swift Kotlin".split()
)

REGNAL = (
    "Louis Henry Elizabeth George Edward Charles James Richard William Napoleon Catherine Peter "
    "Nicholas Alexander Frederick Philip Paul Benedict Pius Ramses Ramesses Thutmose Rama Mary "
    "Francis Ivan Wilhelm Otto Ludwig Leo Gregory Innocent Clement Urban Felipe Carlos Leopold "
    "Ptolemy Darius Xerxes Cyrus Mehmed Selim Murad Akbar Amenhotep Constantine Justinian Sixtus "
    "Julius Boniface Adrian Albert Victor Umberto Gustav Harald Olav Christian Margrethe Cleopatra "
    "Queen King Pope Tsar Emperor".split()
)

PARTS = (
    "World War|Chapter|Part|Act|Scene|Volume|Vol\\.|Book|Section|Phase|Type|Level|Title|Article|"
    "Grade|Stage|Class|Super Bowl|Final Fantasy|Episode|Division|Schedule|Appendix|Figure|Table|"
    "Unit|Group|Model|Mark|Factor|Rocky|Tier|Category|Round|Season|Amendment|Canto|Sonnet|"
    "Symphony No\\.|Vatican|Apollo|Saturn"
)

GREETING_WORDS = frozenset("hi hello hey thanks goodbye bye".split())

REQUESTS = frozenset(
    "write generate create describe explain identify provide give find list name design "
    "summarize summarise suggest rewrite re-write make compare come classify construct "
    "categorize determine calculate take change edit choose add analyze analyse convert "
    "compose develop rearrange answer implement brainstorm select pick paraphrase invent "
    "predict define translate rank formulate transform reword sort outline tell complete "
    "expand draft decide solve fill detect improve organize insert read indicate connect "
    "correct propose compute arrange build assign review estimate help extract produce adapt "
    "evaluate validate reorganize reverse devise divide craft proofread merge delete share "
    "replace link parse deduce offer multiply substitute derive research count concatenate "
    "simplify discuss recommend assess specify differentiate introduce prove verify "
    "prepare plan discover search format turn elaborate show draw teach check illustrate "
    "report explore modify point put infer restate shorten group label match alter cut number "
    "reply respond rephrase debug order".split()
)

# First words of a sentence or an item that are no names: they lose their capital inside one.
OPENERS = frozenset(
    "what how why who which when where whose is are do does did can could would should will "
    "has have had given in the a an using based if as for from this these those there it on "
    "to of by with during over after before imagine think suppose assume consider pretend "
    "act use state output look we you my your our their his her "
    "considering choosing some any all each one two three four five "
    # what the items of an answer's list begin with
    "head wait keep avoid start try get eat drink cook mix pour place bake boil stir heat preheat "
    "serve let set open close click enter press go walk run exercise practice learn study sleep "
    "stay be focus reduce increase limit maintain ensure encourage support promote protect save "
    "spend invest buy sell call ask listen speak talk follow join visit engage seek manage track "
    "clean wash dry remove cover apply attach install update test measure repeat continue stop "
    "begin finish combine blend chop slice spread season simmer fry roast drain rinse soak "
    "allow bring gather decorate celebrate encourage establish monitor offer encourage regular "
    "high low good better best more less most many few new old long short fast slow big small "
    "large strong weak healthy fresh dark light clear simple easy hard increased improved reduced "
    "better enhanced greater higher lower proper adequate strong effective efficient natural "
    "it's they he she not no yes at or and but so then also when while because since although "
    "physical mental social economic political cultural environmental emotional personal public "
    "time food water air energy money work health climate".split()
)
