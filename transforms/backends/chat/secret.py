"""A secret that travels to workers and shows itself nowhere."""

SHOWN = "***"


class Secret:
    """A string that prints as ``***``. Only `reveal` gives it away."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text, for the one header that carries it."""
        return self._text

    def redact(self, text: str) -> str:
        """``text`` without the secret: servers echo what they refuse."""
        return text.replace(self._text, SHOWN) if self._text else text

    def __repr__(self) -> str:
        return f"Secret({SHOWN})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)
