"""A raw RESP client: bytes out, reply trees and their exact bytes back, never without a deadline.

Owns the reader of RESP2 and RESP3 and the blocking connection. Must not know of tests or servers.
A reply keeps its raw bytes, so two servers can be compared to the byte; its tree is for assertions.
"""

import socket
import time

DEADLINE = 5.0
CRLF = b"\r\n"


class Simple(bytes):
    """+OK"""


class Error(bytes):
    """-ERR …, or RESP3's !"""


class Verbatim(bytes):
    """=15 txt:…, without its format"""


class Double(bytes):
    """,1.5 as its text"""


class Big(bytes):
    """(123"""


class Null:
    """Any of $-1, *-1 and _; they compare equal in trees, and differ in raw bytes."""

    def __eq__(self, other):
        return isinstance(other, Null) or other is None

    def __hash__(self):
        return 0

    def __bool__(self):
        return False

    def __repr__(self):
        return "NIL"


class Map(list):
    """%2 …: a list of pairs, so that order and doubles show"""

    def __getitem__(self, key):
        if isinstance(key, (int, slice)):
            return list.__getitem__(self, key)
        for name, value in self:
            if name == key:
                return value
        raise KeyError(key)


class Set(list):
    """~2 …"""


class Push(list):
    """>2 …"""


NIL = Null()
OK = Simple(b"OK")


class Incomplete(Exception):
    """The bytes end inside a reply."""


class ProtocolError(Exception):
    """The server sent what is no RESP."""


class Closed(Exception):
    """The server closed the connection; what came before is in .rest"""

    def __init__(self, rest=b""):
        super().__init__(f"connection closed by the server, after {rest[:200]!r}")
        self.rest = rest


class Deadline(Exception):
    """No complete reply in time."""


class Reply:
    """A value and the very bytes that it came in."""

    __slots__ = ("value", "raw")

    def __init__(self, value, raw):
        self.value = value
        self.raw = raw

    def __repr__(self):
        return f"{self.raw[:400]!r}" + ("…" if len(self.raw) > 400 else "")


def line(buf, pos):
    end = buf.find(CRLF, pos)
    if end < 0:
        raise Incomplete
    return bytes(buf[pos:end]), end + 2


def blob(buf, pos, size):
    if len(buf) < pos + size + 2:
        raise Incomplete
    if buf[pos + size:pos + size + 2] != CRLF:
        raise ProtocolError(f"blob of {size} bytes without its end")
    return bytes(buf[pos:pos + size]), pos + size + 2


def many(buf, pos, count):
    items = []
    for _ in range(count):
        item, pos = parse(buf, pos)
        items.append(item)
    return items, pos


def parse(buf, pos=0):
    """The value that starts at pos, and the position after it."""
    if pos >= len(buf):
        raise Incomplete
    kind = bytes(buf[pos:pos + 1])
    text, pos = line(buf, pos + 1)
    if kind == b"+":
        return Simple(text), pos
    if kind == b"-":
        return Error(text), pos
    if kind == b":":
        return int(text), pos
    if kind == b"_":
        return NIL, pos
    if kind == b",":
        return Double(text), pos
    if kind == b"#":
        if text not in (b"t", b"f"):
            raise ProtocolError(f"boolean {text!r}")
        return text == b"t", pos
    if kind == b"(":
        return Big(text), pos
    try:
        size = int(text)
    except ValueError:
        raise ProtocolError(f"{kind!r} with the length {text!r}") from None
    if size < 0:
        return NIL, pos
    return sized(kind, size, buf, pos)


def sized(kind, size, buf, pos):
    if kind in b"$!=":
        text, pos = blob(buf, pos, size)
        if kind == b"=":
            return Verbatim(text[4:]), pos
        return (Error(text) if kind == b"!" else text), pos
    if kind in b"*~>":
        items, pos = many(buf, pos, size)
        return {b"*": list, b"~": Set, b">": Push}[kind](items), pos
    if kind in b"%|":
        flat, pos = many(buf, pos, 2 * size)
        pairs = Map(zip(flat[::2], flat[1::2]))
        return parse(buf, pos) if kind == b"|" else (pairs, pos)
    raise ProtocolError(f"unknown type {kind!r}")


def encode(*words):
    """A command as an array of bulk strings."""
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        if isinstance(word, str):
            word = word.encode()
        elif isinstance(word, (int, float)):
            word = str(word).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(out)


def dial(address, deadline=DEADLINE, source=None):
    """A connected socket to (host, port) or to a unix socket's path."""
    if isinstance(address, tuple):
        sock = socket.create_connection(address, deadline, source_address=source)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(deadline)
    sock.connect(str(address))
    return sock


class Conn:
    """One client connection. Every read ends by the deadline, in seconds, with an exception."""

    def __init__(self, address, proto=2, deadline=DEADLINE, source=None):
        self.deadline = deadline
        self.sock = dial(address, deadline, source)
        self.buf = bytearray()
        self.pushes = []
        if proto == 3:
            hello = self("HELLO", 3)
            if isinstance(hello, Error):
                raise AssertionError(f"HELLO 3: {hello}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.settimeout(self.deadline)
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed(bytes(self.buf)) from None
        except socket.timeout:
            raise Deadline("the server does not read") from None

    def fill(self, until):
        """One receive into the buffer; Closed at the end, Deadline when until passes."""
        left = until - time.monotonic()
        if left <= 0:
            raise Deadline(f"no complete reply; so far {bytes(self.buf[:200])!r}")
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(1 << 18)
        except socket.timeout:
            raise Deadline(f"no complete reply; so far {bytes(self.buf[:200])!r}") from None
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(bytes(self.buf))
        self.buf += data

    def take(self, deadline=None):
        """The next reply, whatever its type, as Reply."""
        until = time.monotonic() + (self.deadline if deadline is None else deadline)
        while True:
            try:
                value, end = parse(self.buf)
                break
            except Incomplete:
                self.fill(until)
        raw = bytes(self.buf[:end])
        del self.buf[:end]
        return Reply(value, raw)

    def read(self, deadline=None):
        """The next reply as Reply; pushes are put aside."""
        while True:
            reply = self.take(deadline)
            if not isinstance(reply.value, Push):
                return reply
            self.pushes.append(reply.value)

    def __call__(self, *words):
        """Sends one command; the value of its reply."""
        return self.ask(*words).value

    def ask(self, *words):
        """Sends one command; its Reply."""
        self.send(encode(*words))
        return self.read()

    def pipeline(self, commands):
        """Sends all commands in one go; the values of their replies."""
        commands = list(commands)
        self.send(b"".join(encode(*c) for c in commands))
        return [self.read().value for _ in commands]

    def until_closed(self, deadline=None):
        """All bytes up to the server's close."""
        until = time.monotonic() + (self.deadline if deadline is None else deadline)
        while True:
            try:
                self.fill(until)
            except Closed as end:
                self.buf.clear()
                return end.rest

    def quiet(self, seconds):
        """The bytes that came within seconds, and whether the server closed."""
        until = time.monotonic() + seconds
        closed = False
        try:
            while True:
                self.fill(until)
        except Deadline:
            pass
        except Closed:
            closed = True
        data = bytes(self.buf)
        self.buf.clear()
        return data, closed


def poll(what, deadline=20.0, every=0.005, why=""):
    """Calls what() until it is true; its value. Fails at the deadline (seconds), which is far off:
    a busy machine takes long for everything."""
    until = time.monotonic() + deadline
    while True:
        got = what()
        if got:
            return got
        if time.monotonic() > until:
            raise AssertionError(f"not within {deadline} s: {why or what}")
        time.sleep(every)


def flat_map(value):
    """A map from either protocol's form of it: keys as text."""
    if isinstance(value, Map):
        pairs = list(value)
    else:
        assert isinstance(value, list) and len(value) % 2 == 0, f"not a map: {value!r}"
        pairs = list(zip(value[::2], value[1::2]))
    return {k.decode() if isinstance(k, bytes) else k: v for k, v in pairs}
