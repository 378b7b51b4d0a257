"""What the text steps share: the columns in which spoken turns travel."""

from typing import Final, TypedDict

import pyarrow as pa

from schemas.columns import REASON, Reason, field

SPOKEN: Final = pa.list_(
    pa.field(
        "item",
        pa.struct(
            [
                field("turn", pa.int32(), "index of the turn", unit="turns"),
                field("spoken_text", pa.string(), "the turn as it is to be said"),
                field(
                    "reasons",
                    pa.list_(pa.field("item", REASON, nullable=False)),
                    "why the turn cannot be said; empty if it can",
                ),
            ]
        ),
        nullable=False,
    )
)


class SpokenTurn(TypedDict):
    """One turn in its spoken form."""

    turn: int
    spoken_text: str
    reasons: list[Reason]
