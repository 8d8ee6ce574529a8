"""A client that fills, warms and checks servers; it is never what is measured.

Knows as much of RESP2 as the replies to its few commands need.
"""

import socket

BATCH = 500


class ReplyError(Exception):
    """The server answered with an error."""


class Connection:
    """One connection to 127.0.0.1:port. Times out, so that a server that hangs ends the run."""

    def __init__(self, port, timeout=30.0):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb", 1 << 16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._file.close()
        self._socket.close()

    def _read_line(self):
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        return line[:-2]

    def _read_reply(self):
        line = self._read_line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"-":
            raise ReplyError(rest.decode("utf-8", "replace"))
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self._file.read(length + 2)[:-2]
        if kind == b"*":
            return [self._read_reply() for _ in range(int(rest))]
        raise ConnectionError(f"unexpected reply {line[:60]!r}")

    def command(self, *argv):
        self._socket.sendall(encode(*argv))
        return self._read_reply()

    def pipeline(self, requests):
        """Sends what encode() made, a batch at a time, and yields the replies in order."""
        batch = []
        for request in requests:
            batch.append(request)
            if len(batch) == BATCH:
                yield from self._exchange(batch)
                batch = []
        if batch:
            yield from self._exchange(batch)

    def _exchange(self, batch):
        self._socket.sendall(b"".join(batch))
        for _ in batch:
            yield self._read_reply()

    def info(self):
        """The fields of INFO as a dictionary of strings."""
        text = self.command("INFO").decode("utf-8", "replace")
        fields = (line.split(":", 1) for line in text.splitlines() if ":" in line)
        return dict(fields)


def encode(*argv):
    parts = [b"*%d\r\n" % len(argv)]
    for arg in argv:
        data = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)
