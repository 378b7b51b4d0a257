"""Where replies are kept: the first one that is committed for a request stands for ever."""

from threading import Lock
from typing import Protocol

from transforms.backends.chat.protocol import ChatError, Reply


class Desk(Protocol):
    """The replies of one partition. Called from several threads."""

    def look(self, key: str) -> Reply | None:
        """The committed reply to a request, or None."""

    def keep(self, key: str, reply: Reply) -> Reply:
        """Commit a reply, and give the one that stands: an earlier one, if there is one."""

    def failure(self, key: str) -> ChatError | None:
        """How the request failed earlier in this very run, if it did: it is not sent again."""

    def fail(self, key: str, error: ChatError) -> None:
        """Take note of a failure, for as long as this run lasts."""


class MemoryDesk:
    """Replies that live as long as this object."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self._lock = Lock()

    def look(self, key: str) -> Reply | None:
        return self.replies.get(key)

    def keep(self, key: str, reply: Reply) -> Reply:
        with self._lock:
            return self.replies.setdefault(key, reply)

    def failure(self, key: str) -> ChatError | None:
        return None  # whoever asks one of these again means it

    def fail(self, key: str, error: ChatError) -> None:
        """Forget it."""
