"""Values and keys of every kind of byte and size, through every way to write and read them."""

from support.table import NIL, OK, near, table

row = table("values")
ALL_BYTES = bytes(range(256))
MEGABYTE = bytes(i * 7 % 251 for i in range(1 << 20))

row(("SET", "k", ALL_BYTES), OK, "GET k", ALL_BYTES, "STRLEN k", 256)
row(("SET", ALL_BYTES, "v"), OK, ("GET", ALL_BYTES), b"v", ("EXISTS", ALL_BYTES), 1,
    ("DEL", ALL_BYTES), 1, ("GET", ALL_BYTES), NIL)
row(("MSET", b"\r\n", b"\r\n\r\n", b"\0", b"\0\0"), OK, ("MGET", b"\r\n", b"\0"),
    [b"\r\n\r\n", b"\0\0"])
row(("SET", "k", b"$5\r\nhello\r\n*1\r\n"), OK, "GET k", b"$5\r\nhello\r\n*1\r\n")
row(("SET", "k", "grüße – 日本語".encode()), OK, "GET k", "grüße – 日本語".encode())
row(("SET", "k", b"a\0b"), "APPEND k x", 4, "GETRANGE k 1 1", b"\0", "GET k", b"a\0bx")
row(("SET", b"a b", "1"), ("SET", b"a\0b", "2"), ("SET", b"a", "3"),
    ("MGET", b"a b", b"a\0b", b"a"), [b"1", b"2", b"3"])
row(("SET", "key", "1"), ("SET", "Key", "2"), ("SET", "KEY", "3"), "MGET key Key KEY",
    [b"1", b"2", b"3"])

# sizes at the boundaries of allocators, of buffers and of length digits
for size in (1, 9, 10, 44, 45, 63, 64, 99, 100, 127, 128, 255, 256, 999, 1000, 1023, 1024, 4095,
             4096, 8191, 8192, 9999, 10000, 16383, 16384, 32767, 32768, 65535, 65536, 99999,
             100000, 131071, 262144):
    row(("SET", "k", MEGABYTE[:size]), OK, "GET k", MEGABYTE[:size], "STRLEN k", size)
for size in (1, 100, 255, 256, 1000, 4096, 65536):
    row(("SET", b"k" * size, "v"), OK, ("GET", b"k" * size), b"v", ("GET", b"k" * (size - 1)), NIL)

row(("SET", "k", MEGABYTE), OK, "GET k", MEGABYTE)
row(("SET", "k", MEGABYTE, "EX", 100), OK, "GETRANGE k 1000000 1000004",
    MEGABYTE[1000000:1000005], near("PTTL k"), "STRLEN k", 1 << 20)
row(("SET", MEGABYTE, "v"), OK, ("GET", MEGABYTE), b"v", ("TTL", MEGABYTE), -1)
row(("MSET", "a", MEGABYTE, "b", "small", "c", MEGABYTE), OK, "MGET a b c d",
    [MEGABYTE, b"small", MEGABYTE, NIL])
row(("SET", "k", MEGABYTE), ("GETSET", "k", "x"), MEGABYTE, "GET k", b"x")
row(("SET", "k", MEGABYTE), ("APPEND", "k", "x"), (1 << 20) + 1, "STRLEN k", (1 << 20) + 1)
row(("SET", "k", MEGABYTE), "GETDEL k", MEGABYTE, "GET k", NIL)
row(("LPUSH", "k", MEGABYTE, "b"), 2, "LRANGE k 0 -1", [b"b", MEGABYTE])
row(("HSET", "k", MEGABYTE, ALL_BYTES), 1, "HGETALL k")
row(("ECHO", MEGABYTE), MEGABYTE)
row(("PING", ALL_BYTES), ALL_BYTES)
row(("SETRANGE", "k", 1048575, "x"), 1 << 20, "GETRANGE k 1048574 1048576", b"\0x")
row(("SETEX", "k", 100, MEGABYTE), OK, "GET k", MEGABYTE, near("PTTL k"))
row(("RPUSH", "k", *[f"item {i}" for i in range(1000)]), 1000, "LRANGE k 0 -1",
    [f"item {i}".encode() for i in range(1000)])
row(("DEL", *[f"k{i}" for i in range(2000)]), 0)
row("SET k v", ("EXISTS", *["k"] * 2000), 2000)

# numbers as text are text
for text in ("0", "-0", "00", "1", "-1", "+1", "1.0", "1e3", " 1", "1 ", "9223372036854775807",
             "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "0x10",
             "inf", "nan", "10000000000000000000000", "1234567890"):
    row(("SET", "k", text), OK, "GET k", text.encode(), "STRLEN k", len(text), "APPEND k x",
        len(text) + 1, "GET k", text.encode() + b"x")

# one after another on one key: what each write leaves is what each read sees
row("SET k 1", "GET k", b"1", "SET k 2", "GET k", b"2", "DEL k", "GET k", NIL, "SET k 3",
    "GET k", b"3", "INCR k", "GET k", b"4", "APPEND k 0", "GET k", b"40", "SETRANGE k 0 9",
    "GET k", b"90", "GETSET k a", "GET k", b"a", "GETDEL k", "GET k", NIL, "SETNX k b", "GET k",
    b"b", "RENAME k l", "GET k", NIL, "GET l", b"b", "COPY l k", "GET k", b"b", "FLUSHDB",
    "GET k", NIL, "GET l", NIL, "MSET k c l d", "MGET k l", [b"c", b"d"], "EXPIRE k -1",
    "GET k", NIL, "GET l", b"d")
row(*[item for i in range(60) for item in (f"SET k {i}", OK, "GET k", b"%d" % i)])
