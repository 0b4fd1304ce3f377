"""TLS before servers that were built without it: a real handshake, real certificates, and the real server behind."""

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

# libpq asks in plain whether the server speaks TLS; 'S' says that it does (PostgreSQL, "SSL Session Encryption").
POSTGRES_REQUEST_BYTES = 8
NAME = "localhost"


@dataclass(frozen=True)
class Authority:
    """An authority, its certificate as a file, and what it signs."""

    ca: trustme.CA
    file: Path

    def context(self, name: str) -> ssl.SSLContext:
        """A server's context with a certificate for `name`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(name).configure_cert(context)
        return context


def authority(file: Path) -> Authority:
    """A new authority whose certificate lies in `file`."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(file)
    return Authority(ca, file)


def _relay(outer: ssl.SSLSocket, inner: socket.socket) -> None:
    while True:
        ready = [outer] if outer.pending() else select.select([outer, inner], [], [])[0]
        for one in ready:
            data = one.recv(65536)
            if not data:
                return
            (inner if one is outer else outer).sendall(data)


def _serve(connection: socket.socket, context: ssl.SSLContext, behind: Path, is_postgres: bool) -> None:
    # A client that trusts another authority, or goes away, ends its connection and nothing else.
    with contextlib.suppress(OSError), connection, socket.socket(socket.AF_UNIX) as inner:
        inner.connect(str(behind))
        if is_postgres:
            connection.recv(POSTGRES_REQUEST_BYTES, socket.MSG_WAITALL)
            connection.sendall(b"S")
        with context.wrap_socket(connection, server_side=True) as outer:
            _relay(outer, inner)


@contextlib.contextmanager
def tls_before(behind: Path, context: ssl.SSLContext, *, is_postgres: bool = False) -> Iterator[int]:
    """The port of 127.0.0.1 at which the server with the Unix socket `behind` is reached by TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):  # the listener is shut down at the end
                while True:
                    connection, _ = listener.accept()
                    arguments = (connection, context, behind, is_postgres)
                    threading.Thread(target=_serve, args=arguments, daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
