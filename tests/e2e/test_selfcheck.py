"""The machinery can fail: fake replies, missing replies and surplus replies are noticed."""

import socket
import threading

import pytest

from support.resp import (NIL, OK, Closed, Conn, Deadline, Double, Error, Incomplete, Map,
                          ProtocolError, Push, Reply, Set, Simple, Verbatim, parse)
from support.table import (MODES, Deviates, Masked, Near, Row, Same, Shape, Step, Unordered,
                           differences, err, near, play, same_tree, table, unexpected, words)

pytestmark = pytest.mark.direct


class Fake:
    """A server that answers FLUSHALL and HELLO, and then what the test says, whatever is asked."""

    def __init__(self, *answers):
        self.answers = answers
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        sock, _ = self.listener.accept()
        todo = list(self.answers)
        with sock:
            buf = bytearray()
            while True:
                try:
                    data = sock.recv(65536)
                except ConnectionResetError:
                    return
                if not data:
                    return
                buf += data
                while b"\n" in buf:
                    try:
                        command, end = parse(buf)
                    except Incomplete:
                        break
                    del buf[:end]
                    if command[0] == b"FLUSHALL":
                        sock.sendall(b"+OK\r\n")
                    elif command[0] == b"ECHO":
                        sock.sendall(b"$%d\r\n%s\r\n" % (len(command[1]), command[1]))
                    elif todo:
                        answer = todo.pop(0)
                        if answer is None:
                            return
                        sock.sendall(answer)


def reply(raw):
    return Reply(parse(raw)[0], raw)


def run(row, *answers, mode=MODES[0]):
    return play(Fake(*answers).address, row, mode, deadline=0.5)


ROW = Row("self", "self", [Step("SET k v"), Step("GET k")])
GOOD = (b"+OK\r\n", b"$1\r\nv\r\n")


@pytest.mark.parametrize("mode", [m for m in MODES if m.proto == 2 and not m.twice], ids=str)
def test_equal_replies_pass(mode):
    assert differences(ROW, run(ROW, *GOOD, mode=mode), run(ROW, *GOOD, mode=mode)) == []


@pytest.mark.parametrize("fake", [
    (b"+OK\r\n", b"$1\r\nw\r\n"), (b"+OK\r\n", b"$-1\r\n"), (b"+OK\r\n", b"+v\r\n"),
    (b"+KO\r\n", b"$1\r\nv\r\n"), (b":1\r\n", b"$1\r\nv\r\n"), (b"-ERR no\r\n", b"$1\r\nv\r\n"),
    (b"+OK\r\n", b"_\r\n"), (b"+OK\r\n", b"*-1\r\n"), (b"+OK\r\n", b"*1\r\n$1\r\nv\r\n")])
def test_a_fake_reply_is_noticed(fake):
    assert differences(ROW, run(ROW, *GOOD), run(ROW, *fake))


def test_nulls_of_different_kinds_differ():
    assert Same().differ(reply(b"$-1\r\n"), reply(b"*-1\r\n"))
    assert Same().differ(reply(b"$-1\r\n"), reply(b"_\r\n"))


@pytest.mark.parametrize("mode", [m for m in MODES if m.proto == 2 and not m.twice], ids=str)
def test_a_reply_too_many_is_noticed(mode):
    with pytest.raises(AssertionError, match="too many"):
        run(ROW, b"+OK\r\n", b"$1\r\nv\r\n+surplus\r\n", mode=mode)


def test_a_missing_reply_is_noticed():
    with pytest.raises((AssertionError, Deadline)):
        run(ROW, b"+OK\r\n", b"")


def test_a_closed_connection_is_noticed():
    with pytest.raises(AssertionError, match="closed"):
        run(ROW, b"+OK\r\n", None)


def test_half_a_reply_meets_the_deadline():
    with pytest.raises(Deadline):
        run(ROW, b"+OK\r\n", b"$5\r\nhe")


def test_bytes_that_are_no_resp_are_noticed():
    with pytest.raises(ProtocolError):
        run(ROW, b"+OK\r\n", b"HTTP/1.1 200 OK\r\n")


def test_stated_replies_are_checked():
    step = Step("GET k")
    step.expect = {2: b"v", 3: b"v"}
    assert unexpected([(step, reply(b"$1\r\nv\r\n"))], 2) == []
    assert unexpected([(step, reply(b"$1\r\nw\r\n"))], 2)
    assert unexpected([(step, reply(b"+v\r\n"))], 2)
    assert unexpected([(step, reply(b"$-1\r\n"))], 2)


def test_trees_compare_by_type():
    for a, b in ((OK, b"OK"), (Set([1]), [1]), (Map([(1, 2)]), [1, 2]), (Double(b"1"), b"1"),
                 (Error(b"x"), Simple(b"x")), (1, True), (Verbatim(b"x"), b"x"), (b"", NIL),
                 ([1, 2], [2, 1]), ([1], [1, 1]), (0, NIL)):
        assert not same_tree(a, b), (a, b)
        assert same_tree(a, a) and same_tree(b, b)


def test_comparators_can_fail():
    assert Near(50).differ(reply(b":100\r\n"), reply(b":151\r\n"))
    assert not Near(50).differ(reply(b":100\r\n"), reply(b":150\r\n"))
    assert Near(50).differ(reply(b":-1\r\n"), reply(b":-2\r\n"))
    assert Near(50).differ(reply(b":10\r\n"), reply(b":-1\r\n"))
    assert Unordered().differ(reply(b"*2\r\n:1\r\n:2\r\n"), reply(b"*2\r\n:1\r\n:1\r\n"))
    assert not Unordered().differ(reply(b"*2\r\n:1\r\n:2\r\n"), reply(b"*2\r\n:2\r\n:1\r\n"))
    assert Unordered().differ(reply(b"*1\r\n:1\r\n"), reply(b"~1\r\n:1\r\n"))
    assert Shape().differ(reply(b":1\r\n"), reply(b"$1\r\n1\r\n"))
    assert Masked(rb"id=\d+").differ(reply(b"+id=1 a\r\n"), reply(b"+id=2 b\r\n"))
    assert not Masked(rb"id=\d+").differ(reply(b"+id=1 a\r\n"), reply(b"+id=2 a\r\n"))


def test_a_deviation_must_deviate_as_listed():
    redis = reply(b"-ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.\r\n")
    deviation = Deviates("client-setinfo")
    assert deviation.differ(redis, reply(b"+OK\r\n")) is None
    assert deviation.differ(redis, redis), "a stale deviation"
    assert deviation.differ(redis, reply(b"-ERR something else\r\n"))


def test_notation():
    assert words('SET "a b" "\\x00\\r\\n" ""') == [b"SET", b"a b", b"\0\r\n", b""]
    assert words(("SET", b"\xff", 5)) == [b"SET", b"\xff", b"5"]
    rows_before = []
    add = table("self")
    from support.table import TABLE
    rows_before[:] = TABLE
    add("SET k v", OK, near("PTTL k"), "GET k", err("ERR x"))
    row = TABLE.pop()
    assert TABLE == rows_before
    assert [str(s) for s in row.steps] == ["SET k v", "PTTL k", "GET k"]
    assert row.steps[2].expect[3] == Error(b"ERR x") and not row.steps[1].expect


@pytest.mark.parametrize("raw,value", [
    (b"+OK\r\n", OK), (b"-ERR x\r\n", Error(b"ERR x")), (b":-5\r\n", -5), (b"$0\r\n\r\n", b""),
    (b"$-1\r\n", NIL), (b"*-1\r\n", NIL), (b"_\r\n", NIL), (b"*0\r\n", []), (b",inf\r\n",
    Double(b"inf")), (b"#t\r\n", True), (b"%1\r\n+a\r\n:1\r\n", Map([(b"a", 1)])),
    (b"~1\r\n:1\r\n", Set([1])), (b">1\r\n:1\r\n", Push([1])), (b"=5\r\ntxt:x\r\n",
    Verbatim(b"x")), (b"!5\r\nERR x\r\n", Error(b"ERR x")),
    (b"*2\r\n*1\r\n$2\r\n\r\n\r\n%0\r\n", [[b"\r\n"], Map()]),
    (b"|1\r\n+ttl\r\n:1\r\n$1\r\nv\r\n", b"v")])
def test_the_reader(raw, value):
    got, end = parse(raw)
    assert end == len(raw) and got == value and type(got) is type(value)
    for cut in range(len(raw)):
        with pytest.raises(Incomplete):
            parse(raw[:cut])


def test_the_client_sees_the_end():
    conn = Conn(Fake(None).address, deadline=1)
    with pytest.raises(Closed):
        conn("PING")
