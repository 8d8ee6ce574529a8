"""A relay between larder and a redis-server, of threads, that puts words into either's mouth.

For replies that no server gives; what the network does is support.faults's. Must not know of tests.
"""

import socket
import threading

from support.resp import encode


class Relay:
    """Passes on what both sides say. `inject`, once set, is called with the next data of redis-server,
    and what it returns is passed on in its place; so is `rewrite` with all that larder says."""

    def __init__(self, real):
        self.real = real
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.inject = None
        self.rewrite = None
        self.behind = None
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            sock, _ = self.listener.accept()
            self.behind = behind = socket.create_connection(self.real.address)
            threading.Thread(target=self.pump, args=(sock, behind, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(behind, sock, True), daemon=True).start()

    def say(self, *words):
        """A command of our own on the newest connection; its +OK is kept from larder."""
        def without_ok(data):
            if b"+OK\r\n" not in data:
                self.inject = without_ok
            return data.replace(b"+OK\r\n", b"", 1)
        self.inject = without_ok
        self.behind.sendall(encode(*words))

    def pump(self, source, target, replies):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if replies and self.inject:
                    inject, self.inject = self.inject, None
                    data = inject(data)
                if not replies and self.rewrite:
                    data = self.rewrite(data)
                target.sendall(data)
        except OSError:
            pass
        for sock in (source, target):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
