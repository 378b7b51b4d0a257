"""Whether a rewritten instruction is near the instruction in a sentence model's eyes: optional."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from transforms.backends.embedding import SentenceModel
from transforms.replies.parse import Flaw
from transforms.step import Identity

Compare: TypeAlias = Callable[[str, str, str], list[Flaw]]  # source, said, lang


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """The least cosine, -1 to 1, for texts in the languages that the model knows."""

    model: SentenceModel
    min: float
    langs: tuple[str, ...]

    def identity(self) -> Identity:
        """What changes a verdict."""
        return {"model": self.model.identity(), "min": self.min, "langs": sorted(self.langs)}

    @contextmanager
    def open(self) -> Iterator[Compare]:
        """Load the model; gives the check, whose flaw is meaning_changed."""
        with self.model.open() as embedder:

            def compare(source: str, said: str, lang: str) -> list[Flaw]:
                if lang.replace("_", "-").split("-")[0].lower() not in self.langs:
                    return []
                cosine = embedder.cosine(source, said)
                if cosine >= self.min:
                    return []
                return [("meaning_changed", f"similarity {cosine:.2f}, at least {self.min:g}")]

            yield compare
