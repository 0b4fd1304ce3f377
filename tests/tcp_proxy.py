"""A TCP proxy before a Unix socket that can lose the link in the ways that networks do."""

import selectors
import socket
import threading
from pathlib import Path
from typing import Self


class TcpProxy:
    """Forwards TCP connections on 127.0.0.1 to the Unix socket `target`.

    `drop` makes the link silent: connections stay open, and nothing passes any more, without an RST. `forget` lets new
    connections through while those that were silenced stay so for ever, as behind a firewall that was restarted.
    `cut` closes all connections and refuses new ones; `mend` lets everything pass again. With `slow`, what passes waits
    that many seconds first.
    """

    def __init__(self, target: Path) -> None:
        self._target = str(target)
        self._listener: socket.socket | None = None
        self._lock = threading.RLock()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._silenced: set[socket.socket] = set()
        self._silent = False
        self._selector = selectors.DefaultSelector()
        self._ending = threading.Event()
        self._delay = 0.0
        self._listen(0)
        self._thread = threading.Thread(target=self._run, name="tcp-proxy", daemon=True)
        self._thread.start()

    def _listen(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ)

    @property
    def url(self) -> str:
        """The broker's URL through this proxy."""
        return f"redis://127.0.0.1:{self.port}/0"

    def drop(self) -> None:
        """Let nothing pass from now on, on old and on new connections, and say nothing."""
        with self._lock:
            self._silent = True
            for end in self._peers:
                self._silence(end)

    def forget(self) -> None:
        """Let new connections pass; the silenced ones never do again."""
        with self._lock:
            self._silent = False

    def mend(self) -> None:
        """Let everything pass again, what was held back first."""
        with self._lock:
            self._silent = False
            if self._listener is None:
                self._listen(self.port)
            for end in self._silenced:
                self._selector.register(end, selectors.EVENT_READ)
            self._silenced.clear()

    def slow(self, seconds: float) -> None:
        """Pass things later."""
        self._delay = seconds

    def cut(self) -> None:
        """Close all connections, and refuse new ones."""
        with self._lock:
            if self._listener is not None:
                self._selector.unregister(self._listener)
                self._listener.close()
                self._listener = None
            for end in list(self._peers):
                self._close(end)

    def close(self) -> None:
        """End it."""
        self.cut()
        self._ending.set()
        self._thread.join()
        self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            ready = self._selector.select(0.02)
            if self._delay:
                self._ending.wait(self._delay)
            with self._lock:
                for key, _ in ready:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._peers:
                        self._pass(key.fileobj)

    def _accept(self) -> None:
        assert self._listener is not None
        near, _ = self._listener.accept()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(self._target)
        except OSError:
            near.close()
            far.close()
            return
        for end, peer in ((near, far), (far, near)):
            self._peers[end] = peer
            self._selector.register(end, selectors.EVENT_READ)
            if self._silent:
                self._silence(end)

    def _pass(self, end: socket.socket) -> None:
        if end in self._silenced:
            return
        try:
            data = end.recv(1 << 16)
            if data:
                self._peers[end].sendall(data)
                return
        except OSError:
            pass
        self._close(end)

    def _silence(self, end: socket.socket) -> None:
        if end not in self._silenced:
            self._silenced.add(end)
            self._selector.unregister(end)

    def _close(self, end: socket.socket) -> None:
        peer = self._peers.get(end)
        for one in (end, peer):
            if one is None or one not in self._peers:
                continue
            if one in self._silenced:
                self._silenced.discard(one)
            else:
                self._selector.unregister(one)
            del self._peers[one]
            one.close()
