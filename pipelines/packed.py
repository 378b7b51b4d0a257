"""Many short names in the memory of one text."""

from collections.abc import Iterable, Iterator, Sequence
from typing import overload


class Packed(Sequence[str]):
    """Names without line breaks, kept as one text.

    Ten million ids as strings of their own take over 800 MB, and lie between what is freed, so that
    all that follows is spread over more memory.
    """

    __slots__ = ("_text",)

    def __init__(self, names: Iterable[str] = ()) -> None:
        """Raises ValueError for a name with a line break."""
        given = list(names)
        self._text = "\n".join(given) if given else None
        if self._split() != given:
            raise ValueError(f"names with line breaks: {given!r}")

    def _split(self) -> list[str]:
        return [] if self._text is None else self._text.split("\n")

    def __len__(self) -> int:
        return 0 if self._text is None else self._text.count("\n") + 1

    def __iter__(self) -> Iterator[str]:
        return iter(self._split())

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        return self._split()[place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packed) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"Packed({self._split()!r})"
