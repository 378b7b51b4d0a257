"""The name of a corpus as plain words, for cards."""

from schemas.snapshot import Manifest


def plain_name(manifest: Manifest) -> str:
    """The job's name, a user's text, as plain words on one line."""
    return plain_words(str(manifest["settings"]["name"]))


def plain_words(text: str) -> str:
    """Letters, digits, and - _ . of a text."""
    return " ".join("".join(c if c.isalnum() or c in "-_." else " " for c in text).split())
