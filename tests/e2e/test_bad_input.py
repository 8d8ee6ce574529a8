"""Bad input: Redis's own words, and the connection closed exactly where Redis closes it."""

import random
import socket
import struct
import time

import pytest

from support.resp import Closed, Conn, Deadline, encode, poll
from support.servers import Larder, Redis

CRLF = b"\r\n"
PE = b"-ERR Protocol error: "
MULTIBULK = PE + b"invalid multibulk length" + CRLF
BULK = PE + b"invalid bulk length" + CRLF
PONG = b"+PONG\r\n"
QUIET = 0.04          # seconds without a byte that say that nothing comes
UNKNOWN = b"-ERR unknown command '%s', with args beginning with: %s\r\n"

# (input, Redis's bytes, how it ends): "closed"; "open" is proved by a PING afterwards; "waits" is
# an input that swallows whatever follows, so it is only watched for a moment
TABLE = {
    **{f"count {n}": (b"*%s\r\n" % n.encode(), b"", "open")
       for n in ("-10", "0", "-1", "-9223372036854775808")},
    **{f"count {n!r}": (b"*%s\r\n" % n.encode(), MULTIBULK, "closed")
       for n in ("2147483648", "18446744073709551615", "abc", "", "+1", "01", " 1", "1 ", "1.5",
                 "0x1", "1048577000000", "9223372036854775808")},
    "count of 70 kB": (b"*" + b"1" * 70000, PE + b"too big mbulk count string" + CRLF, "closed"),
    "count twice": (b"*1\r\n*1\r\n", PE + b"expected '$', got '*'" + CRLF, "closed"),
    "colon for dollar": (b"*1\r\n:1\r\n", PE + b"expected '$', got ':'" + CRLF, "closed"),
    **{f"length {n!r}": (b"*1\r\n$%s\r\n" % n.encode(), BULK, "closed")
       for n in ("-10", "-1", "blabla", "", "04", "536870913", "18446744073709551615", "+4", " 4",
                 "4 ", "-0", "4a")},
    "length of 70 kB": (b"*1\r\n$" + b"1" * 70000, PE + b"too big bulk count string" + CRLF,
                        "closed"),
    "wrong trailer": (b"*1\r\n$4\r\nPINGxx", PONG, "open"),
    "wrong trailer, LF CR": (b"*1\r\n$4\r\nPING\n\r", PONG, "open"),
    "empty name": (b"*1\r\n$0\r\n\r\n", UNKNOWN % (b"", b""), "open"),
    "CR LF in a name": (encode(b"fo\r\n+OK"), UNKNOWN % (b"fo  +OK", b""), "open"),
    "a name of 200": (encode(b"n" * 200), UNKNOWN % (b"n" * 128, b""), "open"),
    "CR LF in an argument": (encode("nosuch", "a\r\nb"), UNKNOWN % (b"nosuch", b"'a  b' "), "open"),
    "65537 without a newline": (b"x" * 65537, PE + b"too big inline request" + CRLF, "closed"),
    "unbalanced quotes": (b'set "a b\r\n', PE + b"unbalanced quotes in request" + CRLF, "closed"),
    "unbalanced single": (b"set 'a b\r\n", PE + b"unbalanced quotes in request" + CRLF, "closed"),
    "text behind a quote": (b'set "a"b\r\n', PE + b"unbalanced quotes in request" + CRLF,
                            "closed"),
    "POST inline": (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", b"", "closed"),
    "Host inline": (b"Host: a\r\n", b"", "closed"),
    "POST as bulk": (encode("POST", "/"), b"", "closed"),
    "host: as bulk": (encode("host:", "a"), b"", "closed"),
    "GET / is a command": (b"GET / HTTP/1.1\r\n", None, "open"),
    "HELLO 4": (b"HELLO 4\r\n", b"-NOPROTO unsupported protocol version\r\n", "open"),
    "a good one, then a bad one": (b"PING\r\n*x\r\n", PONG + MULTIBULK, "closed"),
    "a bad one, then a good one": (b"*x\r\nPING\r\n", MULTIBULK, "closed"),
    "nothing but newlines": (b"\r\n\r\n\n\r\n", b"", "open"),
    "blanks": (b"   \r\n", b"", "open"),
    "LF alone": (b"PING\n", PONG, "open"),
    "tabs": (b"\tECHO\t hello \t\r\n", b"$5\r\nhello\r\n", "open"),
    "quotes": (b'ECHO "a\\x41\\r\\n\\"b\\\\"\r\n', b'$7\r\naA\r\n"b\\\r\n', "open"),
    "single quotes": (b"ECHO 'a\\'b\\n'\r\n", b"$5\r\na'b\\n\r\n", "open"),
    "empty quotes": (b'ECHO ""\r\n', b"$0\r\n\r\n", "open"),
    "an empty name inline": (b'""\r\n', UNKNOWN % (b"", b""), "open"),
    "a reply as a command": (b"+OK\r\n", UNKNOWN % (b"+OK", b""), "open"),
    "an error as a command": (b"-ERR x\r\n", UNKNOWN % (b"-ERR", b"'x' "), "open"),
    "a map as a command": (b"%1\r\n", UNKNOWN % (b"%1", b""), "open"),
    "a push as a command": (b">1\r\n", UNKNOWN % (b">1", b""), "open"),
    # Redis looks for the end of a line with strchr, so a NUL hides it.
    "NUL for dollar": (b"*1\r\n\0\r\n", b"", "waits"),
    "NUL in a count": (b"*1\0\r\n$4\r\nPING\r\n", b"", "waits"),
    "a NUL inline": (b"PI\0NG\r\n", b"", "waits"),
    "NULs": (b"\0\0\0\0\r\n", b"", "waits"),
    "a NUL behind a good one": (b"PING\r\n\0\r\nPING\r\n", PONG, "waits"),
    "a count without CR": (b"*1\n$4\r\nPING\r\n", None, "closed"),
    "a length without CR": (b"*1\r\n$4\nPING\r\n", None, "closed"),
    "huge count": (b"*2147483647\r\n", b"", "waits"),
    "a count of a million": (b"*1048576\r\n", b"", "waits"),
    "huge length": (b"*1\r\n$536870912\r\n", b"", "waits"),
    "half a count": (b"*1", b"", "waits"),
    "half a length": (b"*1\r\n$4", b"", "waits"),
    "half a value": (b"*1\r\n$4\r\nPI", b"", "waits"),
    "half an inline": (b"PIN", b"", "waits"),
    "a CR at the end": (b"*1\r\n$4\r\nPING\r", PONG, None),
}
BEFORE_AUTH = {
    "11 arguments": (b"*11\r\n", PE + b"unauthenticated multibulk length" + CRLF, "closed"),
    "16385 bytes": (b"*1\r\n$16385\r\n", PE + b"unauthenticated bulk length" + CRLF, "closed"),
    "10 arguments": (b"*10\r\n", b"", "waits"),
    "16384 bytes": (b"*1\r\n$16384\r\n", b"", "waits"),
    "a command": (b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", b"-NOAUTH Authentication required.\r\n", None),
    "bad count": (b"*x\r\n", MULTIBULK, "closed"),
    "unknown": (b"NOSUCH\r\n", None, None),
}


def pieces(data, bytewise):
    """All at once; or byte by byte, where a long input's middle goes in small pieces."""
    if not bytewise:
        return [data]
    rng = random.Random(len(data))
    out, at = [], 0
    while at < len(data):
        edge = at < 64 or at > len(data) - 64
        step = 1 if edge else min(rng.randrange(1, 3000), len(data) - 64 - at) or 1
        out.append(data[at:at + step])
        at += step
    return out


def transcript(address, data, bytewise, end):
    """What the server sends for the input, and whether it closes."""
    with Conn(address) as conn:
        try:
            for piece in pieces(data, bytewise):
                conn.send(piece)
            if end == "waits":
                return conn.quiet(QUIET)
            if end != "closed":
                conn.send(b"\r\nECHO end-of-input\r\n")
        except Closed:
            pass
        mark = b"$12\r\nend-of-input\r\n"
        try:
            while not conn.buf.endswith(mark):
                conn.fill(time.monotonic() + conn.deadline)
        except Closed as closed:
            return closed.rest, True
        return bytes(conn.buf[:-len(mark)]), False


def both(case, bytewise, direct, larder):
    data, stated, end = case
    want = transcript(direct, data, bytewise, end)
    got = transcript(larder, data, bytewise, end)
    if stated is not None:
        assert want[0] == stated, "redis-server itself"
    if end is not None:
        assert want[1] == (end == "closed"), "redis-server itself"
    assert got == want


@pytest.mark.parametrize("bytewise", (False, True), ids=("whole", "bytewise"))
@pytest.mark.parametrize("name", TABLE)
def test_bad_input(name, bytewise, redis, larder):
    both(TABLE[name], bytewise, redis.address, larder.address)
    assert larder.once("PING") == b"PONG"


@pytest.mark.direct
@pytest.mark.parametrize("bytewise", (False, True), ids=("whole", "bytewise"))
@pytest.mark.parametrize("name", TABLE)
def test_the_table_is_rediss(name, bytewise, redis):
    both(TABLE[name], bytewise, redis.address, redis.address)


@pytest.fixture(scope="module")
def locked():
    """A redis-server and a larder, both with a password."""
    l2 = Redis()
    direct = Redis("--requirepass", "secret")
    larder = Larder(l2, "--requirepass", "secret")
    yield direct, larder
    larder.stop()
    for server in (direct, larder, l2):
        server.discard()


@pytest.mark.parametrize("bytewise", (False, True), ids=("whole", "bytewise"))
@pytest.mark.parametrize("name", BEFORE_AUTH)
def test_before_auth(name, bytewise, locked):
    data, stated, end = BEFORE_AUTH[name]
    got = []
    for server in locked:
        with Conn(server.address) as conn:
            for piece in pieces(data, bytewise):
                conn.send(piece)
            if end == "closed":
                got.append((conn.until_closed(), True))
            elif end == "waits":
                got.append(conn.quiet(QUIET))
            else:
                got.append((conn.read().raw, False))
    assert got[0] == got[1]
    assert stated is None or got[0][0] == stated


def test_before_auth_unread_replies_are_dropped(locked):
    """Who hasn't authenticated can't make the server keep megabytes of replies."""
    for server in locked:
        before = server.memory()
        with Conn(server.address, deadline=1) as conn:
            try:
                for _ in range(200):
                    conn.send(encode("GET", "k") * 5000)
            except (Closed, Deadline):
                pass
            assert server.memory() - before < 32 << 20
        with server.conn() as conn:
            conn("AUTH", "secret")
            assert conn("PING") == b"PONG"


@pytest.mark.parametrize("data,count", [(b"*2147483647\r\n", 100),
                                        (b"*1\r\n$536870912\r\n", 20),
                                        (b"*1048576\r\n$1\r\n", 100)])
def test_declared_sizes_allocate_nothing(data, count, larder):
    before = larder.memory()
    conns = [larder.conn() for _ in range(count)]
    for conn in conns:
        conn.send(data)
    assert larder.once("PING") == b"PONG"
    poll(lambda: larder.once("CLIENT", "LIST").count(b"\n") >= count, 5.0)
    assert larder.memory() - before < 24 << 20
    for conn in conns:
        assert conn.quiet(0.001) == (b"", False)
        conn.close()


def test_half_commands_and_close(larder):
    """Each prefix of a pipeline, then a close; every third one with a reset."""
    data = encode("SET", "k", "v" * 20) + b"GET k\r\n" + encode("MGET", "k", "missing")
    for cut in range(len(data) + 1):
        conn = Conn(larder.address)
        conn.send(data[:cut])
        if cut % 3 == 0:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()
    with larder.conn() as conn:
        poll(lambda: conn("CLIENT", "LIST").count(b"\n") == 1, 5.0)
        assert conn("PING") == b"PONG"
