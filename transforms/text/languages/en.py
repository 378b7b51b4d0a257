"""English: its table. The words and the grammar of numbers are in transforms/text/english."""

import re

from transforms.text.english.say import say
from transforms.text.english.words import OPENERS, REQUESTS
from transforms.text.language import Language, Lists

_COUNTS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)

LANGUAGE = Language(
    code="en",
    say=say,
    chars_per_second=15.0,
    ascii_only=True,
    unspeakable=re.compile(r"[^A-Za-z ,.?!'\-]"),
    sentence_end=re.compile(r"(?<![.!?])[.!?]++[\"'”’)\]]*+(?=\s|$)|\n++"),
    joiner=" ",
    comma=",",
    period=".",
    question="?",
    either=" or ",
    dot=" dot ",
    blank=" blank ",
    abbreviations=frozenset(
        "mr mrs ms dr prof st jr sr vs etc e.g i.e no fig approx inc ltd co corp dept est gen col "
        "sgt capt rev hon gov sen rep u.s u.k u.n d.c ph.d a.m p.m al ca cf vol pp ed".split()
    ),
    intro_tails=tuple(
        "including include includes included are is was were as like by of for with to be "
        "that and or in from such also".split()
    ),
    intro_pauses=("follows", "following", "example", "instance"),
    dependent=tuple("when if while after before for to once although since".split()),
    fillers=("Hey,", "Hi,", "So,", "Um,", "Okay,", "Well,"),
    question_fillers=("Hey,", "So,", "Um,", "I was wondering,", "Just curious,"),
    request_fillers=("Please", "Could you please", "Hey, could you", "Um, can you", "Can you"),
    polite_question="you",
    requests=REQUESTS,
    openers=OPENERS,
    common=re.compile(r"[a-z]{3,}ing"),
    greetings=("hi", "hello", "hey", "please", "could you", "can you", "would you", "dear"),
    preambles=re.compile(
        r"(?:sure(?: thing)?|certainly|of course|absolutely|great question|good question|okay|ok|"
        r"no problem|yes, (?:of course|sure)|thanks? for (?:asking|your question))"
        r"[.!,]?(?: i(?:'d be happy to|'m happy to| can| will)? (?:help|do that).{0,40})?[.!]",
        re.IGNORECASE,
    ),
    questions=re.compile(
        r"(?:who|what|where|why|which|whose|how)(?:'s)?\b(?! (?:a|an) ).{3,}"
        r"|(?:is|are|was|were|does|did|can|could|would|should|will|has|am|isn't|aren't|don't|doesn't)"
        r" (?:i|you|we|they|he|she|it|there|the|a|an|this|that|my|your|these|those|[A-Z]\w+)\b.{3,}"
        r"|do (?:i|you|we|they|people)\b.{3,}",
        re.IGNORECASE,
    ),
    asks_sentences=re.compile(rf"\b({_COUNTS.replace(' ', '|')})[ -]sentences?\b", re.IGNORECASE),
    asks_result=re.compile(
        r"\b(?:solve|calculate|compute|evaluate|derive|prove|estimate|add|multiply|divide|formula|"
        r"equations?|how (?:many|much|long|far|old)|sum|average|mean|median|quartile|probability|"
        r"perimeter|area|volume|price|cost|find)\b",
        re.IGNORECASE,
    ),
    equals=re.compile(r"\b(?:equals|is equal to)\b"),
    closings=re.compile(
        r"(?:so|thus|hence|therefore|in conclusion)\b,? .{0,160}\b(?:equals|is equal to)\b"
        r"|(?:so|thus|hence|therefore|finally|in total|overall)?,? ?.{0,40}"
        r"(?:the (?:final |correct |right )?(?:answer|result|solution|total|sum|average|mean|value|"
        r"probability)\b.{0,60}\b(?:is|are|was|equals)\b)",
        re.IGNORECASE,
    ),
    about_emoji=re.compile(r"\b(?:emojis?|emoticons?|smileys?)\b", re.IGNORECASE),
    lists=Lists(
        separator=", ",
        pair=" and ",
        last=", and ",
        ordinals=tuple(
            f"{word}, "
            for word in "First Second Third Fourth Fifth Sixth Seventh Eighth Ninth Tenth".split()
        ),
        finally_="And finally, ",
        steps=("First, ", "Then, ", "Next, ", "After that, "),
        last_step="Finally, ",
        procedure=re.compile(
            r"\bsteps?\b|\brecipe\b|\bhow to (?:make|cook|bake|install|build|set up|do)\b"
            r"|\b(?:these|following|step-by-step) (?:instructions|directions)\b",
            re.IGNORECASE,
        ),
        opened=re.compile(
            r"(?:first(?:ly)?|second(?:ly)?|third(?:ly)?|then|next|finally|lastly|step \w+)\b",
            re.IGNORECASE,
        ),
        recipe=re.compile(
            r"(?:.{0,20} )?(?:ingredients|instructions|directions|method|preparation)"
            r"(?:, .{0,40})?[:.]",
            re.IGNORECASE,
        ),
        leads=re.compile(
            r"(?:(?:certainly|sure), )?(?:here(?:'s| is| are)|below (?:is|are))\b"
            r"|(?:however, |but )?i can (?:still )?"
            r"(?:provide|give|guide|offer|suggest|help|share)\b",
            re.IGNORECASE,
        ),
        announces=re.compile(
            r"(?:here (?:are|is)|here's|there are|these are|the following|some (?:of the )?|below)"
            r"\b.{0,200}$|.{0,200}\b(?:the following|as follows|below|these)\b.{0,60}$",
            re.IGNORECASE,
        ),
        counts=tuple(_COUNTS.split()),
    ),
)
