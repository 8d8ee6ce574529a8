#!/usr/bin/env python3
"""Takes down what redis-server says in RESP2 and in RESP3 to the same commands on the same data.

Reads the commands from resp2_resp3_cases.txt, runs each in both protocols against private servers
that it starts and stops (one plain, one in cluster mode), and writes the pairs of replies as
vectors for tests/unit/test_translate.c. Along the way it applies the generic mapping of types to each RESP3
reply and names the commands for which that is not enough: those need a rule in
src/resp/translate_rules.c. It fails (status 1) when a command of the server is neither in the cases
nor in LEFT_OUT below.

    tests/tools/resp2_resp3_table.py [--server PROGRAM] [--output FILE] [--list]

It is a tool, not a test: the vectors are committed, so the unit test needs no server. It knows
nothing of larder's own code, so that vectors and translation can't share a mistake.
"""
import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "resp2_resp3_cases.txt")
VECTORS = os.path.join(HERE, "..", "unit", "data", "translate_vectors.txt")

LEFT_OUT = {
    "hello": "names the protocol itself; larder answers it",
    "monitor": "has no reply but a stream of them",
    "shutdown": "ends the server",
    "psync": "replication, no RESP reply",
    "sync": "replication, no RESP reply",
    "replconf": "replication, may have no reply",
}

WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^\s"]+)')
ESCAPE = re.compile(rb'\\(x[0-9a-fA-F]{2}|.)', re.S)
PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def unescape(text):
    def one(match):
        code = match.group(1)
        return bytes([int(code[1:], 16)]) if code[:1] == b"x" and len(code) == 3 else \
            PLAIN.get(code, code)
    return ESCAPE.sub(one, text)


def escape(data):
    out = []
    for byte in data:
        if byte in b"\r\n":
            out.append("\\r" if byte == 13 else "\\n")
        elif byte in b'\\"':
            out.append("\\" + chr(byte))
        elif 32 <= byte < 127:
            out.append(chr(byte))
        else:
            out.append("\\x%02x" % byte)
    return "".join(out)


def split_words(text):
    return [unescape(m.group(1)) if m.group(1) is not None else m.group(2)
            for m in WORD.finditer(text)]


def join_words(words):
    return " ".join('"%s"' % escape(w) if w == b"" or re.search(rb'[\s"\\]|[^ -~]', w)
                    else w.decode() for w in words)


class Reply:
    """A parsed reply: its type byte, and text, list of replies, or None for a null."""

    def __init__(self, kind, value):
        self.kind = kind
        self.value = value


class Connection:
    def __init__(self, path, protocol=2):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")
        self.path = path
        if protocol == 3:
            self.call([b"HELLO", b"3"])

    def send(self, words):
        self.socket.sendall(b"*%d\r\n" % len(words) +
                            b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def read(self):
        """One reply as (parsed, raw bytes)."""
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("connection closed")
        kind, text, raw = line[:1], line[1:-2], [line]
        if kind in b"$=" and text != b"-1":
            body = self.file.read(int(text) + 2)
            return Reply(kind, body[:-2]), line + body
        if kind in b"*~>%|" and text != b"-1":
            items = []
            for _ in range(int(text) * (2 if kind in b"%|" else 1)):
                item, item_raw = self.read()
                items.append(item)
                raw.append(item_raw)
            if kind == b"|":
                item, item_raw = self.read()
                return Reply(b"|", [items, item]), b"".join(raw) + item_raw
            return Reply(kind, items), b"".join(raw)
        return Reply(kind, None if text == b"-1" and kind in b"$*" else text), line

    def call(self, words):
        self.send(words)
        return self.read()

    def do(self, line, checked=True):
        """A command of set-up, as the cases' file has it."""
        reply, raw = self.call(split_words(line))
        if checked and reply.kind == b"-":
            raise SystemExit("%s: %s" % (line.decode(), raw.decode(errors="replace")))
        return reply

    def close(self):
        self.file.close()
        self.socket.close()


class Server:
    """A private redis-server in a folder of its own."""

    def __init__(self, program, cluster):
        self.folder = tempfile.mkdtemp(prefix="larder-table-")
        self.path = os.path.join(self.folder, "redis.sock")
        for _ in range(20):
            if self.start(program, cluster):
                return
        raise SystemExit("can't start %s" % program)

    def start(self, program, cluster):
        port = 0
        if cluster:
            # A cluster node wants a port and the one 10,000 above it; taken ones end the attempt.
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1] % 20000 + 30000
        self.process = subprocess.Popen(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--unixsocket", "redis.sock",
             "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", self.folder,
             "--enable-debug-command", "yes", "--databases", "4", "--cluster-enabled",
             "yes" if cluster else "no"], stdout=subprocess.DEVNULL, cwd=self.folder)
        for _ in range(200):
            if self.process.poll() is not None:
                return False
            if os.path.exists(self.path):
                break
            time.sleep(0.02)
        if cluster:
            admin = Connection(self.path)
            admin.do(b"CLUSTER ADDSLOTSRANGE 0 16383")
            while b"cluster_state:ok" not in admin.do(b"CLUSTER INFO").value:
                time.sleep(0.05)
            admin.close()
        return True

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


class Case:
    def __init__(self, block, line):
        self.block = block
        self.mode, rest = "exact", line
        for mode in ("digits", "opaque", "unwritten", "multi", "abort", "wake"):
            if line.startswith(mode.encode() + b":"):
                self.mode, rest = mode, line[len(mode) + 1:]
        words = split_words(rest)
        self.wake = None
        self.queued = None
        if self.mode in ("multi", "abort"):
            self.queued = split_at(words, b";")
            self.words = [b"EXEC"]
        elif self.mode == "wake":
            self.words, self.wake = split_at(words, b"<-")
        else:
            self.words = words

    def run(self, server, protocol):
        """The reply in one protocol on fresh data, as (parsed, raw)."""
        admin = Connection(server.path)
        if not self.block.cluster:
            for line in (b"FLUSHALL", b"FUNCTION FLUSH", b"SCRIPT FLUSH"):
                admin.do(line)
        for line in self.block.before:
            admin.do(line, checked=b"wrong" not in line)
        client = Connection(server.path, protocol)
        try:
            return self.run_on(client, admin)
        finally:
            client.close()
            for line in self.block.after:
                admin.do(line)
            admin.close()

    def run_on(self, client, admin):
        if self.queued is not None:
            if self.mode == "abort":
                client.do(b"WATCH watched")
                admin.do(b"SET watched changed")
            client.do(b"MULTI")
            for words in self.queued:
                client.call(words)
        if self.wake is None:
            return client.call(self.words)
        client.send(self.words)
        while b"blocked_clients:1" not in admin.do(b"INFO clients").value:
            time.sleep(0.002)
        admin.call(self.wake)
        return client.read()

    def commands(self):
        return self.queued + [self.words] if self.queued is not None else [self.words]


class Block:
    def __init__(self, header):
        self.cluster = header.endswith(b"] cluster")
        self.before = []
        self.after = []
        self.cases = []


def split_at(words, separator):
    parts = [[]]
    for word in words:
        if word == separator:
            parts.append([])
        else:
            parts[-1].append(word)
    return [p for p in parts if p]


def read_blocks(path):
    blocks = []
    with open(path, "rb") as file:
        for line in file.read().split(b"\n"):
            line = line.strip()
            if not line or line[:2] == b"# " or line == b"#":
                continue
            if line[:1] == b"[":
                blocks.append(Block(line))
            elif line[:2] == b"+ ":
                blocks[-1].before.append(line[2:])
            elif line[:2] == b"- ":
                blocks[-1].after.append(line[2:])
            else:
                blocks[-1].cases.append(Case(blocks[-1], line))
    return blocks


def mask(reply, mode):
    """Takes out what varies from run to run; errors keep their words."""
    if isinstance(reply.value, list) and reply.kind != b"|":
        return Reply(reply.kind, [mask(item, mode) for item in reply.value])
    if reply.value is None or reply.kind in b"|-_#":
        return reply
    prefix = reply.value[:4] if reply.kind == b"=" else b""
    text = reply.value[len(prefix):]
    text = re.sub(rb"[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?", b"0", text) if mode == "digits" else b"0"
    return Reply(reply.kind, prefix + text)


def serialise(reply):
    kind, value = reply.kind, reply.value
    if value is None:
        return kind + b"-1\r\n"
    if kind == b"|":
        items, item = value
        return b"|%d\r\n" % (len(items) // 2) + b"".join(map(serialise, items)) + serialise(item)
    if isinstance(value, list):
        n = len(value) // 2 if kind == b"%" else len(value)
        return kind + b"%d\r\n" % n + b"".join(map(serialise, value))
    if kind in b"$=":
        return kind + b"%d\r\n%s\r\n" % (len(value), value)
    return kind + value + b"\r\n"


def generic(reply):
    """RESP2 by the types alone."""
    kind, value = reply.kind, reply.value
    if kind == b"|":
        return generic(value[1])
    if kind in b"*~>%" and value is not None:
        return Reply(b"*", [generic(item) for item in value])
    if kind in b",(":
        return Reply(b"$", value)
    if kind == b"=":
        return Reply(b"$", value[4:])
    if kind == b"#":
        return Reply(b":", b"1" if value == b"t" else b"0")
    if kind == b"_":
        return Reply(b"$", None)
    return reply


def take_down(case, server):
    replies = []
    for protocol in (2, 3):
        reply, raw = case.run(server, protocol)
        assert serialise(reply) == raw
        replies.append(mask(reply, case.mode) if case.mode in ("digits", "opaque") else reply)
    return replies


def names_of(words):
    name = words[0].lower().decode(errors="replace") if words else ""
    sub = words[1].lower().decode(errors="replace") if len(words) > 1 else ""
    return {name, name + "|" + sub}


def check_coverage(server, blocks):
    """Commands of the server that no case sends."""
    admin = Connection(server.path)
    known = {item.value.decode() for item in admin.do(b"COMMAND LIST").value}
    admin.close()
    sent = set()
    for block in blocks:
        for line in block.before:
            sent |= names_of(split_words(line))
        for case in block.cases:
            for words in case.commands():
                sent |= names_of(words)
    containers = {name.split("|")[0] for name in known if "|" in name}
    return sorted(known - sent - set(LEFT_OUT) - containers)


def write_vector(out, case, resp2, resp3):
    for words in case.queued or []:
        out.append("q " + join_words(words))
    out.append("c " + join_words(case.words))
    out.append("3 " + escape(serialise(resp3)))
    out.append("2 " + escape(serialise(resp2)))
    out.append("")


def main():
    parser = argparse.ArgumentParser(description="Regenerates the vectors of test_translate.c.")
    parser.add_argument("--server", default="redis-server", help="program to run")
    parser.add_argument("--output", default=VECTORS)
    parser.add_argument("--list", action="store_true",
                        help="print every reply that the generic mapping misses")
    options = parser.parse_args()
    blocks = read_blocks(CASES)
    version = subprocess.run([options.server, "--version"], capture_output=True, text=True,
                             check=True).stdout.split()[2]
    out = ["# Made by tests/tools/resp2_resp3_table.py from redis-server %s; not edited by hand."
           % version,
           "# q: queued before an EXEC; c: command; 3: reply in RESP3; 2: the same in RESP2.", ""]
    servers = []
    special, n_cases, n_special = set(), 0, 0
    try:
        servers = [Server(options.server, cluster=False), Server(options.server, cluster=True)]
        for block in blocks:
            for case in block.cases:
                resp2, resp3 = take_down(case, servers[1 if block.cluster else 0])
                if case.mode != "unwritten":
                    write_vector(out, case, resp2, resp3)
                n_cases += 1
                if serialise(generic(resp3)) != serialise(resp2):
                    n_special += 1
                    special.add(case.words[0].lower().decode())
                    if options.list:
                        print(join_words(case.words), *(join_words(q) for q in case.queued or []),
                              escape(serialise(resp3)), escape(serialise(resp2)), sep="\n    ")
        missing = check_coverage(servers[0], blocks)
    finally:
        for server in servers:
            server.stop()
    with open(options.output, "w", encoding="ascii") as file:
        file.write("\n".join(out))
    print("%d cases, %d of them beyond the generic mapping: %s"
          % (n_cases, n_special, " ".join(sorted(special))))
    if missing:
        print("no case for: " + " ".join(missing))
        sys.exit(1)


if __name__ == "__main__":
    main()
