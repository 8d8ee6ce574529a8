"""Reading larder's own statistics: CACHE STATS in both protocols' forms, and INFO."""

from support.resp import Error, flat_map

L1_FIELDS = ["hits", "misses", "evictions", "expirations", "size", "max_size", "bytes", "hit_rate"]


def tier(conn, name):
    """CACHE STATS name as {field: value}; whole numbers as int."""
    got = conn("CACHE", "STATS", name)
    assert not isinstance(got, Error), got
    fields = flat_map(got)
    return {k: number(v) for k, v in fields.items()}


def number(value):
    if isinstance(value, bytes):
        try:
            return float(value) if b"." in value or b"e" in value else int(value)
        except ValueError:
            return value
    return value


def info(conn, *section):
    """INFO as {field: text}."""
    got = conn("INFO", *section)
    assert not isinstance(got, Error), got
    pairs = (l.split(":", 1) for l in got.decode().splitlines() if ":" in l and l[0] != "#")
    return dict(pairs)
