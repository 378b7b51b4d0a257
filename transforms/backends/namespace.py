"""C libraries loaded with a libc of their own, so that no other thread touches its state.

``rand()`` has one state per libc, shared by all threads of a process; Arrow, PyTorch and ONNX
Runtime call it too. ``dlmopen(3)`` loads a library into a new namespace with its own copies of
everything that it depends on, libc included. Such a libc is made ready for the thread that loads
it and for no other: whatever is loaded here must be called in that thread, see OneThread.
"""

import ctypes
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
_NEW: Final = -1  # LM_ID_NEWLM
_RTLD_DI_LMID: Final = 1


class Namespace:
    """A place for libraries of one kind. Where there is no dlmopen, the process's own (musl)."""

    def __init__(self) -> None:
        self._process = ctypes.CDLL(None)
        self.private = hasattr(self._process, "dlmopen")
        self._number = _NEW

    def load(self, name: str | Path) -> ctypes.CDLL:
        """The library at this path or of this name; its dependencies may have been loaded before.

        Raises OSError from the loader.
        """
        if not self.private:  # global, because libraries may look up each other's symbols
            return ctypes.CDLL(str(name), ctypes.RTLD_GLOBAL)
        handle = self._open(str(name))
        if self._number == _NEW:
            self._number = self._ask_number(handle)
        return ctypes.CDLL(str(name), handle=handle)

    def libc(self) -> ctypes.CDLL:
        """The libc that the loaded libraries call."""
        return self.load("libc.so.6") if self.private else self._process

    def _open(self, name: str) -> int:
        dlmopen = self._process.dlmopen
        dlmopen.restype = ctypes.c_void_p
        dlmopen.argtypes = [ctypes.c_long, ctypes.c_char_p, ctypes.c_int]
        handle = dlmopen(self._number, name.encode(), os.RTLD_NOW)
        if not handle:
            raise OSError(self._error())
        return int(handle)

    def _ask_number(self, handle: int) -> int:
        dlinfo = self._process.dlinfo
        dlinfo.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        number = ctypes.c_long()
        if dlinfo(handle, _RTLD_DI_LMID, ctypes.byref(number)):
            raise OSError(self._error())
        return number.value

    def _error(self) -> str:
        dlerror = self._process.dlerror
        dlerror.restype = ctypes.c_char_p
        return (dlerror() or b"unknown error of the loader").decode(errors="replace")


class OneThread:
    """Runs calls one after the other in one thread, which starts with the first of them.

    A daemon: a call that never returns does not keep the process from ending. After a fork the
    child starts a thread of its own.
    """

    def __init__(self) -> None:
        self._start = threading.Lock()
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] | None = None
        os.register_at_fork(after_in_child=self._forget)

    def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What ``call`` returns, or raises. Not to be used by calls themselves."""
        with self._start:
            if self._calls is None:
                self._calls = SimpleQueue()
                threading.Thread(target=_serve, args=(self._calls,), daemon=True).start()
        future: Future[R] = Future()
        self._calls.put((future, lambda: call(*args, **kwargs)))
        return future.result()

    def _forget(self) -> None:
        self._start, self._calls = threading.Lock(), None


def _serve(calls: "SimpleQueue[tuple[Future[Any], Callable[[], Any]]]") -> None:
    while True:
        future, call = calls.get()
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            future.set_exception(error)
        del future, call
