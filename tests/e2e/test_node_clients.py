"""ioredis and node-redis, their newest versions, in RESP3: everyday things through larder."""

import base64
import json
import re
import shutil
import subprocess

import pytest

from support.servers import ROOT

NODE = ROOT / "tests" / "e2e" / "node"
EXPECTED = {
    "ping": "PONG", "protocol": "3", "set": "OK", "get": "value", "get again": "value",
    "missing": None, "ttl": True, "nx": None, "incr": [1, 6], "mset": "OK",
    "mget": ["1", None, "2"],
    "binary": {"base64": base64.b64encode(b"\x00\r\n\xff\x00").decode()},
    "hash": {"f": "1", "g": "2"}, "list": ["a", "b", "c"], "set type": ["x", "y"],
    "zset": ["one", "1", "two", "2.5"], "score": 2.5, "eval": ["key", "arg"], "script": 42,
    "pipeline": 400, "parallel": True, "scan": 200, "select": [None, "value"], "del": 2,
    "gone": None, "quit": "OK",
    "wrong type":
        {"error": "WRONGTYPE Operation against a key holding the wrong kind of value"},
    "unknown": {"error": "ERR unknown command 'NOSUCH', with args beginning with: 'a' "},
}
SCRIPTS = ("ioredis", "node-redis")


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """A folder with the scripts and the installed packages; nothing is written into the tree."""
    if (NODE / "node_modules").is_dir():
        return NODE
    folder = tmp_path_factory.mktemp("node")
    for path in NODE.iterdir():
        shutil.copy(path, folder)
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                          capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def run(node, name, port):
    done = subprocess.run(["node", node / f"{name}.mjs", "127.0.0.1", str(port)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def compare(got, multi):
    got, expected = dict(got), dict(EXPECTED)
    answer = got.pop("multi")
    wrong = {k: (got.get(k), v) for k, v in expected.items() if got.get(k) != v}
    assert not wrong, wrong
    assert set(got) == set(expected)
    assert multi(answer), answer


@pytest.mark.direct
@pytest.mark.parametrize("name", SCRIPTS)
def test_directly(name, node, redis):
    """The expectations are those of redis-server."""
    compare(run(node, name, redis.port), lambda answer: answer == "OK")


@pytest.mark.parametrize("name", SCRIPTS)
def test_through_larder(name, node, larder):
    compare(run(node, name, larder.port), lambda answer: answer == "OK")


@pytest.mark.direct
def test_the_lock_file_names_no_host():
    for path in NODE.glob("*.*"):
        text = path.read_text()
        assert not re.search(r"[a-z]+://|\"resolved\"", text), path


@pytest.mark.direct
def test_versions_are_exact():
    package = json.loads((NODE / "package.json").read_text())
    lock = json.loads((NODE / "package-lock.json").read_text())
    for name, version in package["dependencies"].items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    for path, entry in lock["packages"].items():
        assert not path or entry["integrity"].startswith("sha512-")
