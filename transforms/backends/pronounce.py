"""How an English word sounds: flite's lexicon and its letter-to-sound rules, as ARPABET.

Used for words that a recognizer's dictionary lacks. It is the very front end that flite speaks
with, so a made-up word is expected as flite says it. Without flite there is no pronunciation, and
clips with unknown words cannot be aligned: the identity says which of the two holds.
"""

import ctypes
import hashlib
import threading
from collections.abc import Mapping
from functools import cache
from typing import Final, Protocol

from schemas.errors import BackendError
from transforms.backends.flite import Flite

MAX_LETTERS: Final = 40  # as speakable.max_word_chars; a lookup takes time by the letter
# Phones of cmulex that the en-us model calls otherwise; stress digits go.
_RENAMED: Final = {"ax": "AH", "axr": "ER", "ix": "IH", "nx": "N", "dx": "T", "el": "L"}
_LOCK: Final = threading.Lock()


class Pronounce(Protocol):
    """A pronouncing lexicon."""

    def identity(self) -> Mapping[str, object]:
        """What its phones depend on."""

    def phones(self, word: str) -> list[str]:
        """The word's ARPABET phones without stress; none where it cannot be pronounced."""


class NoLexicon:
    """Where flite is absent: no unknown word can be pronounced."""

    def identity(self) -> Mapping[str, object]:
        """Nothing to name."""
        return {"lexicon": "absent"}

    def phones(self, word: str) -> list[str]:
        """None, ever."""
        return []


class _FliteLexicon:
    def __init__(self) -> None:
        paths = Flite().lexicon_paths()
        self._digests = {
            name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()
        }
        flite = ctypes.CDLL(str(paths["libflite.so.1"]), ctypes.RTLD_GLOBAL)
        cmulex = ctypes.CDLL(str(paths["libflite_cmulex.so.1"]), ctypes.RTLD_GLOBAL)
        cmulex.cmu_lex_init.restype = ctypes.c_void_p
        self._lexicon = cmulex.cmu_lex_init()
        self._lookup = flite.lex_lookup
        self._lookup.restype = ctypes.c_void_p
        self._lookup.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
        self._sayable = ctypes.CDLL(
            str(paths["libflite_usenglish.so.1"]), ctypes.RTLD_GLOBAL
        ).us_aswd
        self._sayable.restype, self._sayable.argtypes = ctypes.c_int, [ctypes.c_char_p]
        self._car, self._cdr, self._text = flite.val_car, flite.val_cdr, flite.val_string
        for function in (self._car, self._cdr, self._text):
            function.restype, function.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        self._text.restype = ctypes.c_char_p
        self._delete = flite.delete_val
        self._delete.restype, self._delete.argtypes = None, [ctypes.c_void_p]

    def identity(self) -> Mapping[str, object]:
        return {"lexicon": "flite", "libraries": self._digests}

    def phones(self, word: str) -> list[str]:
        if not (word.isascii() and len(word) <= MAX_LETTERS and any(map(str.isalpha, word))):
            return []
        with _LOCK:
            lower = word.lower()
            head, mark, tail = lower.partition("'")
            # What flite cannot say as a word, such as VPN, it spells.
            sayable = self._sayable(head.encode("ascii"))
            parts = [lower] if sayable else [*head, *([mark + tail] if tail else [])]
            found = [phone for part in parts for phone in self._looked_up(part)]
        plain = [phone.rstrip("0123456789") for phone in found]
        return [_RENAMED.get(phone, phone.upper()) for phone in plain]

    def _looked_up(self, word: str) -> list[str]:
        # As a noun ("nn"), or else the letter A would be the article.
        value = self._lookup(self._lexicon, word.encode("ascii"), b"nn", None)
        found, cell = [], value
        while cell:
            found.append(self._text(self._car(cell)).decode("ascii"))
            cell = self._cdr(cell)
        if value:
            self._delete(value)
        return found


@cache
def lexicon() -> Pronounce:
    """Flite's lexicon if flite loads here, else the empty one."""
    try:
        return _FliteLexicon()
    except BackendError:
        return NoLexicon()
