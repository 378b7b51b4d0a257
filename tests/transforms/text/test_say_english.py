"""How English says what is written, class by class."""

import pytest

from transforms.text.verbalize import verbalize

SAID = {
    "cardinals and decimals": [
        ("1,234 people", "one thousand two hundred thirty-four people"),
        ("-7 and 1,000,000", "minus seven and one million"),
        ("It is 3.14.", "It is three point one four."),
        ("2,5,10", "two, five, ten"),
        ("agent 007", "agent zero zero seven"),
        ("a 1 and a 0", "a one and a zero"),
        (
            "12345678901234567",
            "one two three four five six seven eight nine zero one two three four five six seven",
        ),
    ],
    "ordinals": [
        ("the 1st and 22nd", "the first and twenty-second"),
        ("the 100th", "the one hundredth"),
    ],
    "ranges": [
        ("3-5 apples", "three to five apples"),
        ("pages 10-12", "pages ten to twelve"),
        ("10-20 kg", "ten to twenty kilograms"),
        ("1990-1995", "nineteen ninety to nineteen ninety-five"),
    ],
    "fractions": [
        ("1/2 or 3/4", "one half or three quarters"),
        ("3 1/2 cups", "three and one half cups"),
        ("1/2 oz", "one half ounce"),
        ("1½ cups", "one and one half cups"),
        ("2/3 of 9", "two thirds of nine"),
    ],
    "years": [
        ("in 1999", "in nineteen ninety-nine"),
        ("the 2010s", "the twenty tens"),
        ("the '90s", "the nineties"),
        ("1500 words", "one thousand five hundred words"),
        ("The total is 1950.", "The total is one thousand nine hundred fifty."),
        ("between 1368 and 1644", "between thirteen sixty-eight and sixteen forty-four"),
        ("from 1000 to 2000 words", "from one thousand to two thousand words"),
        ("(1368-1644)", "(thirteen sixty-eight to sixteen forty-four)"),
        ("the year 2008", "the year two thousand eight"),
    ],
    "dates": [
        ("on 2024-01-15", "on January fifteenth, twenty twenty-four"),
        ("1/2/2020", "January second, twenty twenty"),
        ("June 12, 2020", "June twelfth, twenty twenty"),
        ("5 May 2020", "the fifth of May, twenty twenty"),
        ("Jan. 5-7", "January fifth to seventh"),
        ("01/2020", "January twenty twenty"),
        ("2024-01-15T10:30:00Z", "January fifteenth, twenty twenty-four at ten thirty"),
    ],
    "times": [
        ("at 3:30 pm", "at three thirty PM"),
        ("at 3:05 p.m. Then", "at three oh five PM. Then"),
        ("at 9:00", "at nine o'clock"),
        ("14:30", "fourteen thirty"),
        ("10:30:15", "ten thirty and fifteen seconds"),
        ("5-6pm", "five to six PM"),
        ("from 9 a.m. to 5 p.m. daily", "from nine AM to five PM daily"),
    ],
    "money": [
        ("$5.20", "five dollars and twenty cents"),
        ("$1", "one dollar"),
        ("$0.99", "ninety-nine cents"),
        ("$3.5 million", "three point five million dollars"),
        ("$10-$20", "ten to twenty dollars"),
        ("$10-20", "ten to twenty dollars"),
        ("£3 or €4", "three pounds or four euros"),
        ("100 USD", "one hundred US dollars"),
        ("5¢", "five cents"),
        ("¥100", "one hundred yen"),
        ("¥100 in China", "one hundred yuan in China"),
        ("1.5M users and 10k likes", "one point five million users and ten thousand likes"),
    ],
    "units": [
        ("60 km/h and 5kg", "sixty kilometers per hour and five kilograms"),
        ("1 cm", "one centimeter"),
        ("5'10\"", "five feet ten inches"),
        ("5 ft 10 in", "five feet ten inches"),
        ("a 5 km run", "a five kilometer run"),
        ("12V", "twelve volts"),
        ("100 m^2", "one hundred square meters"),
        ("x² and 5 m²", "x squared and five square meters"),
    ],
    "percentages and temperatures": [
        ("10-20%", "ten to twenty percent"),
        ("100%", "one hundred percent"),
        ("-5 °C", "minus five degrees Celsius"),
        ("350°F", "three hundred fifty degrees Fahrenheit"),
        ("in °C", "in degrees Celsius"),
    ],
    "telephones": [
        ("call 555-1234", "call five five five, one two three four"),
        ("+1 (555) 123-4567", "plus one, five five five, one two three, four five six seven"),
        ("1-800-555-0199", "one, eight zero zero, five five five, zero one nine nine"),
    ],
    "versions and addresses": [
        ("version 3.14.2", "version three point fourteen point two"),
        ("v2.0", "version two point zero"),
        ("Python 3.10", "Python three point ten"),
        ("192.168.0.1", "one hundred ninety-two dot one hundred sixty-eight dot zero dot one"),
    ],
    "abbreviations": [
        ("Dr. Smith vs. me", "Doctor Smith versus me"),
        ("e.g. cats, etc.", "for example, cats, et cetera."),
        ("No. 5", "number five"),
        ("St. Louis", "Saint Louis"),
        ("Main St. is long", "Main Street is long"),
        ("Mr. and Mrs. Lee", "Mister and Missus Lee"),
        ("Martin Luther King Jr. said", "Martin Luther King Junior said"),
    ],
    "acronyms and names": [
        ("R&D", "R and D"),
        ("NASA and the FBI", "NASA and the FBI"),
        ("john@example.com", "john at example.com"),
    ],
    "maths": [
        ("2 + 3 = 5", "two plus three equals five"),
        ("10 - 3 = 7", "ten minus three equals seven"),
        ("9 - 2 x 3", "nine minus two times three"),
        ("$50 * 1.10 = $55", "fifty dollars times one point one zero equals fifty-five dollars"),
        ("3 x 4", "three times four"),
        ("1920x1080", "one thousand nine hundred twenty by one thousand eighty"),
        ("√16", "the square root of sixteen"),
        ("5 ± 2", "five plus or minus two"),
        ("x^10", "x to the power of ten"),
        ("10^-5", "ten to the power of minus five"),
        ("2.5e-3", "two point five times ten to the power of minus three"),
        ("a <= b", "a is at most b"),
        ("x != 5", "x is not equal to five"),
        ("2x faster", "two times faster"),
    ],
    "Roman numerals": [
        ("World War II", "World War Two"),
        ("WWII", "World War Two"),
        ("Louis XIV", "Louis the Fourteenth"),
        ("Henry VIII's wives", "Henry the Eighth's wives"),
        ("Chapter IV", "Chapter Four"),
        ("the XIX century", "the nineteenth century"),
        ("I and Elizabeth I.", "I and Elizabeth the First."),
    ],
    "signs": [
        ("I ❤ NY", "I love NY"),
        ("C# and C++", "C sharp and C plus plus"),
        ("#GoodMorning", "hashtag Good Morning"),
        ("@home", "at home"),
    ],
    "formulas and codes": [
        ("CO₂ and H2O", "CO two and H two O"),
        ("MP3", "MP three"),
        ("COVID-19", "COVID nineteen"),
        ("make -x", "make minus x"),
        ("Tony Stark - a billionaire", "Tony Stark - a billionaire"),
    ],
    "odd signs and digits": [
        ("a -> b", "a to b"),
        ("$5/month", "five dollars per month"),
        ("５ cats", "five cats"),
        ("٣ cats", "three cats"),
        ("24/7", "twenty-four seven"),
        ("rated 4.5/5", "rated four point five out of five"),
        ("8/10", "eight out of ten"),
        ("#1", "number one"),
        ("~50", "about fifty"),
    ],
    "plain": [
        ("plain words stay, as they are!", "plain words stay, as they are!"),
    ],
}
PAIRS = [pair for pairs in SAID.values() for pair in pairs]


@pytest.mark.parametrize(("written", "said"), PAIRS)
def test_written_forms_are_said(written: str, said: str) -> None:
    assert verbalize(written, "en") == said


@pytest.mark.parametrize(("written", "said"), PAIRS)
def test_what_is_said_stays_as_it_is(written: str, said: str) -> None:
    assert verbalize(said, "en") == said
