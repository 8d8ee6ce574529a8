"""Every reply in which larder differs from redis-server 7.0.15 on purpose, and why.

Each name stands in doc/protocol.md under "Deviations"; test_deviations.py checks that. A deviation
that is listed here and no longer happens makes its row fail.
"""

from support.resp import OK, Error


class Deviation:
    """Why, and larder's own reply: a value, or a function of the value."""

    def __init__(self, reason, reply):
        self.reason = reason
        self.reply = reply

    def accepts(self, value):
        if callable(self.reply):
            return self.reply(value)
        return type(value) is type(self.reply) and value == self.reply


def starts(prefix):
    return lambda value: isinstance(value, Error) and value.startswith(prefix)


DEVIATIONS = {
    "client-setinfo": Deviation(
        "CLIENT SETINFO came with Redis 7.2; clients of 2026 send it on connect, so it is taken.",
        OK),
    "client-no-touch": Deviation(
        "CLIENT NO-TOUCH came with Redis 7.2; it is taken for the same reason.",
        OK),
    "loglevel-nothing": Deviation(
        "Redis 7.2's log level nothing is known, so the error that lists the levels names it.",
        Error(b"ERR CONFIG SET failed (possibly related to argument 'loglevel') - argument(s) must "
              b"be one of the following: debug, verbose, notice, warning, nothing")),
    "admin": Deviation(
        "Commands that act on the server behind larder as a process are refused.",
        starts(b"ERR ")),
}
