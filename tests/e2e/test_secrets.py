"""Passwords show nowhere: not in logs, CONFIG GET, INFO, CACHE, UPSTREAM, nor in errors."""

import os
import signal

import pytest

from support.resp import OK, Error, poll

CLIENT_SECRET = "client-Horse7"
L2_SECRET = "l2-Staple9"
NO_SECRET = [("CONFIG", "GET", "*"), ("CONFIG", "GET", "requirepass"),
             ("CONFIG", "GET", "upstream*"), ("INFO", "everything"), ("UPSTREAM", "LIST"),
             ("UPSTREAM", "STATS"), ("CACHE", "STATS"), ("CLIENT", "LIST"), ("SLOWLOG", "GET", "-1"), ("COMMAND", "DOCS", "config"),
             ("CONFIG", "SET", "upstream", "x"), ("CONFIG", "HELP"), ("CACHE", "HELP")]


@pytest.fixture(params=("url", "file", "environment", "directive"))
def locked(request, new_redis, new_larder, tmp_path):
    """A larder with a password of its own in front of an L2 with another one."""
    l2 = new_redis("--requirepass", L2_SECRET)
    where, options, env = f"127.0.0.1:{l2.port}", [], {}
    if request.param == "url":
        where = f"redis://default:{L2_SECRET}@{where}/0"
    elif request.param == "file":
        (tmp_path / "secret").write_text(L2_SECRET)
        options = ["--upstream-password-file", tmp_path / "secret"]
    elif request.param == "environment":
        env = {"LARDER_UPSTREAM_PASSWORD": L2_SECRET}
    else:
        options = ["--upstream-password", L2_SECRET]
    larder = new_larder(where, *options, "--requirepass", CLIENT_SECRET, "--loglevel", "debug",
                        "--slowlog-log-slower-than", "0", env=env)
    return l2, larder


def test_no_reply_and_no_log_line_has_them(locked):
    l2, larder = locked
    with larder.conn() as conn:
        conn("AUTH", "a-wrong-Guess3")
        assert conn("AUTH", CLIENT_SECRET) == OK
        assert conn("HELLO", 3, "AUTH", "default", CLIENT_SECRET) is not None
        poll(lambda: conn("SET", "k", "v") == OK, 5.0)
        conn("CONFIG", "SET", "requirepass", CLIENT_SECRET)
        l2.once("CLIENT", "KILL", "TYPE", "normal")
        poll(lambda: conn("SET", "k", "v") == OK, 5.0)
        for command in NO_SECRET:
            raw = conn.ask(*command).raw
            for secret in (CLIENT_SECRET, L2_SECRET, "a-wrong-Guess3"):
                assert secret.encode() not in raw, f"{secret} in {command}: {raw[:2000]!r}"
    l2.signal(signal.SIGKILL)
    with larder.conn() as conn:
        conn("AUTH", CLIENT_SECRET)
        poll(lambda: isinstance(conn("SET", "k", "v"), Error))
        assert L2_SECRET.encode() not in conn("SET", "k", "v")
    log = larder.log()
    for secret in (CLIENT_SECRET, L2_SECRET, "a-wrong-Guess3"):
        assert secret not in log


def test_the_command_line_is_wiped_or_avoidable(locked):
    """From a file or the environment a secret doesn't reach the list of processes."""
    _, larder = locked
    if "LARDER_UPSTREAM_PASSWORD" in larder.env or "--upstream-password-file" in larder.options:
        with open(f"/proc/{larder.pid}/cmdline", "rb") as line:
            assert L2_SECRET.encode() not in line.read()


def test_no_core_of_it_in_the_folder(locked):
    _, larder = locked
    assert not [f for f in os.listdir(larder.dir) if f.startswith("core")]


def test_a_wrong_client_password_is_compared_whole(new_larder):
    larder = new_larder(None, "--requirepass", CLIENT_SECRET)
    for guess in (CLIENT_SECRET[:-1], CLIENT_SECRET + "x", CLIENT_SECRET + "\0", "",
                  CLIENT_SECRET.lower(), "\0" + CLIENT_SECRET, CLIENT_SECRET * 1000):
        with larder.conn() as conn:
            assert isinstance(conn("AUTH", guess), Error), guess[:40]
            assert conn("PING").startswith(b"NOAUTH")
