"""What a table has to say of where it was made: machine, kernel, versions, commit, date."""

import os
import platform
import re
import subprocess
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def _first(pattern, text, default="unknown"):
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1).strip() if found else default


def _output(*argv):
    """Standard output and error of a command; empty when it can't be run."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


def commit():
    """The commit of the tree that this script is in, marked when files differ from it."""
    sha = _output("git", "-C", str(TOP), "rev-parse", "--short=12", "HEAD")
    if not re.fullmatch("[0-9a-f]{12}", sha):
        return "unknown"
    changed = _output("git", "-C", str(TOP), "status", "--porcelain", "--untracked-files=no")
    return sha + (", with changes" if changed else "")


def distribution():
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return "unknown system"
    return _first(r'^PRETTY_NAME="?([^"\n]*)', text)


def describe():
    """Machine, kernel and date, as a dictionary of texts."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    meminfo = Path("/proc/meminfo").read_text()
    virtual = ", virtual" if re.search(r"^flags.*\bhypervisor\b", cpuinfo, re.MULTILINE) else ""
    memory_kib = int(_first(r"^MemTotal:\s*(\d+)", meminfo, "0"))
    model = _first(r"^model name\s*:(.*)", cpuinfo, platform.machine())
    return {
        "machine": f"{model}, {os.cpu_count()} cores{virtual}, {memory_kib / 2**20:.0f} GiB",
        "system": f"{distribution()}, Linux {platform.release()}",
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
    }


def version(path, flag="--version"):
    """The first line that a program prints about its version."""
    lines = _output(path, flag).splitlines()
    return lines[0].strip() if lines else "unknown"


def load_average():
    return os.getloadavg()[0]


def steal_ticks():
    """Ticks that the host took away from all cores of a virtual machine since its start."""
    return int(Path("/proc/stat").read_text().splitlines()[0].split()[8])
