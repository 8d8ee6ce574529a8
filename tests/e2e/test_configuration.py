"""Command line and file: one clear line for each mistake, and exit status 1."""

import re
import socket
import subprocess

import pytest

from support.resp import OK, Conn, poll
from support.servers import ROOT, free_port, larder_path


def run(*argv, **kwargs):
    """larder with arguments that end at once: (status, what it said)."""
    done = subprocess.run([larder_path(), *map(str, argv)], capture_output=True, text=True,
                          timeout=20, stdin=subprocess.DEVNULL, **kwargs)
    return done.returncode, done.stdout + done.stderr


def one_line(text, *parts):
    lines = [l for l in text.splitlines() if l.strip()]
    assert len(lines) == 1, text
    for part in parts:
        assert str(part) in lines[0], f"{part!r} isn't in: {lines[0]}"


@pytest.fixture
def conf(tmp_path):
    """Writes larder.conf and returns its path."""
    def write(*lines):
        path = tmp_path / "larder.conf"
        path.write_text("".join(f"{l}\n" for l in lines))
        return path
    return write


@pytest.mark.parametrize("line,parts", [
    ("maxmemoryy 10mb", ["maxmemoryy"]),
    ("nosuch 1", ["nosuch"]),
    ("maxmemory 10xb", ["maxmemory", "10xb"]),
    ("maxmemory", ["maxmemory"]),
    ("maxmemory -1", ["maxmemory"]),
    ("maxmemory-policy sometimes", ["maxmemory-policy", "sometimes"]),
    ("port 70000", ["port", "70000"]),
    ("port abc", ["port", "abc"]),
    ("timeout -1", ["timeout"]),
    ("maxclients 0", ["maxclients"]),
    ("loglevel loud", ["loglevel", "loud"]),
    ("protected-mode perhaps", ["protected-mode", "perhaps"]),
    ("l1-enabled 1", ["l1-enabled"]),
    ("unixsocketperm 999", ["unixsocketperm", "999"]),
    ("upstream-timeout 0", ["upstream-timeout"]),
    ("client-output-buffer-limit normal 1mb", ["client-output-buffer-limit"]),
    ("client-output-buffer-limit nosuch 1mb 1mb 1", ["client-output-buffer-limit"]),
    ("client-query-buffer-limit 1", ["client-query-buffer-limit"]),
    ("upstream not an address", ["upstream"]),
    ("upstream 127.0.0.1:99999", ["upstream"]),
    ("upstream redis://host:port:more", ["upstream"]),
    ('requirepass "unbalanced', []),
    ("port 6380 6381", ["port"]),
])
@pytest.mark.parametrize("check", (True, False), ids=("check", "start"))
def test_a_mistake_in_the_file(line, parts, check, conf):
    path = conf("# a comment", "", "loglevel notice", line, "timeout 0")
    status, text = run(path, *(["--check-config"] if check else ["--port", free_port()]))
    assert status == 1, text
    one_line(text, "larder.conf", *parts)
    assert re.search(r"larder\.conf:4\b", text), f"file and line number: {text}"


@pytest.mark.parametrize("argv,parts", [
    (["--maxmemoryy", "10mb"], ["maxmemoryy"]),
    (["--maxmemory", "10xb"], ["maxmemory", "10xb"]),
    (["--maxmemory"], ["maxmemory"]),
    (["--port", "abc"], ["port", "abc"]),
    (["--upstream", "127.0.0.1:99999"], ["upstream"]),
    (["--upstream-password-file", "/nonexistent/secret"], ["/nonexistent/secret"]),
    (["/nonexistent/larder.conf"], ["/nonexistent/larder.conf"]),
    (["/"], ["/"]),
], ids=lambda a: " ".join(a))
def test_a_mistake_on_the_command_line(argv, parts):
    status, text = run(*argv)
    assert status == 1, text
    one_line(text, *parts)


def test_an_unreadable_file(conf, tmp_path):
    """A folder in the place of the file can't be read by root either."""
    folder = tmp_path / "folder.conf"
    folder.mkdir()
    status, text = run(folder)
    assert status == 1
    one_line(text, "folder.conf")
    status, text = run(conf("include /nonexistent/other.conf"))
    assert status == 1
    one_line(text, "/nonexistent/other.conf", "larder.conf:1")


def test_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, text = run("--port", port)
    assert status == 1
    lines = [l for l in text.splitlines() if str(port) in l and "in use" in l]
    assert len(lines) == 1, text


def test_help():
    for flag in ("--help", "-h"):
        status, text = run(flag)
        assert status == 0
        for word in ("--port", "--upstream", "--maxmemory", "--check-config", "--version"):
            assert word in text


def test_version():
    for flag in ("--version", "-v"):
        status, text = run(flag)
        assert status == 0
        assert re.search(r"larder.*\d+\.\d+", text)
        assert len(text.strip().splitlines()) == 1


def test_check_config(conf):
    status, text = run(conf("port 7000", "maxmemory 10mb", "upstream 127.0.0.1:6379"),
                       "--check-config")
    assert status == 0, text


def test_the_repositorys_file_is_accepted():
    status, text = run(ROOT / "larder.conf", "--check-config")
    assert status == 0, text


def test_the_repositorys_file_is_complete(alone):
    """Each directive that CONFIG GET * knows stands in larder.conf, but for two that only tools ask
    for; and each that CONFIG GET knows is documented."""
    with alone.larder.conn() as conn:
        got = conn("CONFIG", "GET", "*")
    known = {n.decode() for n in got[::2]}
    assert len(known) > 30
    text = (ROOT / "larder.conf").read_text()
    names = {l.lstrip("# ").split(" ")[0] for l in text.splitlines()}
    assert known - names <= {"save", "appendonly"}, sorted(known - names)
    document = (ROOT / "doc" / "configuration.md").read_text()
    for name in known - {"save", "appendonly"}:
        assert f"`{name}`" in document or name in document, name


def test_the_repositorys_file_states_the_defaults(tmp_path, alone):
    """With every commented directive switched on, larder.conf gives what no file gives."""
    lines = (ROOT / "larder.conf").read_text().splitlines()
    with alone.larder.conn() as conn:
        got = conn("CONFIG", "GET", "*")
    defaults = dict(zip(got[::2], got[1::2]))
    names = {n.decode() for n in defaults}
    stated = [l.lstrip("# ") for l in lines]
    stated = [l for l in stated if l.split(" ")[0] in names and re.match(r"[a-z0-9-]+ \S+", l)]
    path = tmp_path / "larder.conf"
    path.write_text("\n".join(stated) + "\n")
    port = free_port()
    process = subprocess.Popen([larder_path(), path, "--port", str(port)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with connect(port) as conn:
            got = conn("CONFIG", "GET", "*")
    finally:
        process.terminate()
        assert process.wait(20) == 0
    differing = {k: v for k, v in zip(got[::2], got[1::2])
                 if defaults[k] != v and k not in (b"port", b"loglevel")}
    assert differing == {}


def test_file_and_command_line(conf):
    """The command line wins over the file; quotes, comments and cases are read as Redis reads."""
    port = free_port()
    path = conf("# first", "port 1", "TIMEOUT 77", 'loglevel "verbose"', "maxmemory 12mb",
                "maxmemory 13mb", "  maxclients   50  ", "requirepass 'a b'")
    process = subprocess.Popen([larder_path(), path, "--port", str(port), "--maxclients", "60"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        conn = connect(port)
        assert conn("AUTH", "a b") == OK
        for name, value in (("port", port), ("timeout", 77), ("loglevel", "verbose"),
                            ("maxmemory", 13 << 20), ("maxclients", 60)):
            assert conn("CONFIG", "GET", name) == [name.encode(), str(value).encode()]
        conn.close()
    finally:
        process.terminate()
        assert process.wait(20) == 0


def connect(port):
    def attempt():
        try:
            return Conn(("127.0.0.1", port))
        except OSError:
            return None
    return poll(attempt, 10.0)


def test_include(conf, tmp_path):
    (tmp_path / "more.conf").write_text("maxmemory 14mb\n")
    (tmp_path / "bad.conf").write_text("\nnosuch 1\n")
    assert run(conf(f"include {tmp_path}/more.conf"), "--check-config")[0] == 0
    status, text = run(conf(f"include {tmp_path}/bad.conf"), "--check-config")
    assert status == 1
    assert "bad.conf:2" in text
    status, text = run(conf(f"include {tmp_path}/larder.conf"), "--check-config")
    assert status == 1, "a file that includes itself"


def test_from_standard_input():
    done = subprocess.run([larder_path(), "-", "--check-config"], input="maxmemory nonsense\n",
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert ":1" in done.stdout + done.stderr


def test_secrets_do_not_show_in_mistakes(conf):
    for line in ("requirepass hunter2 hunter3", "upstream redis://:hunter2@127.0.0.1:99999",
                 "upstream-password hunter2 hunter3"):
        status, text = run(conf(line))
        assert status == 1
        assert "hunter" not in text, text


def test_log_file(conf, tmp_path, new_larder):
    larder = new_larder(None, "--logfile", tmp_path / "larder.log", "--loglevel", "verbose")
    with larder.conn() as conn:
        conn("PING")
    larder.stop()
    text = (tmp_path / "larder.log").read_text()
    assert re.search(r"^\d+:\w \d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3} [.*#-] ", text, re.M), text
    assert "127.0.0.1" in text, "one line for a closed connection at verbose"


def test_pid_file(tmp_path, new_larder):
    larder = new_larder(None, "--pidfile", tmp_path / "larder.pid")
    assert int((tmp_path / "larder.pid").read_text()) == larder.pid
    larder.stop()
    assert not (tmp_path / "larder.pid").exists()
