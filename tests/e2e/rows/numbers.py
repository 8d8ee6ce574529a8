"""INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT: arithmetic, its limits and its refusals."""

from support.table import (NOT_FLOAT, NOT_INT, OK, WRONGTYPE, arity, err, near, table)

row = table("numbers")
OVERFLOW = err("ERR increment or decrement would overflow")
NAN = err("ERR increment would produce NaN or Infinity")
MAX = 9223372036854775807
MIN = -9223372036854775808

for name, by, result in (("INCR k", "", 1), ("DECR k", "", -1), ("INCRBY k", " 5", 5),
                         ("DECRBY k", " 5", -5)):
    row(name + by, result, "GET k", str(result).encode())
    row("GET k", name + by, result, "GET k", str(result).encode())
    row("SET k 10", "GET k", b"10", name + by, 10 + result, "GET k", str(10 + result).encode())
    row("SET k 10 EX 100", name + by, 10 + result, near("PTTL k"))
    row("SET k abc", name + by, NOT_INT, "GET k", b"abc")
    row('SET k ""', name + by, NOT_INT)
    row('SET k " 1"', name + by, NOT_INT)
    row('SET k "1 "', name + by, NOT_INT)
    row('SET k "1\\x00"', name + by, NOT_INT)
    row("SET k 1.0", name + by, NOT_INT)
    row("SET k +1", name + by, NOT_INT)
    row("SET k 01", name + by, NOT_INT)
    row("SET k -0", name + by, NOT_INT)
    row("SET k 9223372036854775808", name + by, NOT_INT)
    row("SET k -9223372036854775809", name + by, NOT_INT)
    row("SET k 99999999999999999999999999999", name + by, NOT_INT)
    row("LPUSH k a", name + by, WRONGTYPE)
    row(name + by + " 1 2", arity(name.split()[0].lower()))

for name in ("INCR", "DECR", "INCRBY", "DECRBY", "INCRBYFLOAT"):
    row(name, arity(name.lower()))
for name in ("INCRBY", "DECRBY"):
    row(f"{name} k", arity(name.lower()))
    for amount in ("abc", "1.5", '""', '" 1"', "9223372036854775808", "+1", "01"):
        row("SET k 1", f"{name} k {amount}", NOT_INT, "GET k", b"1")
    row(f"{name} k 0", 0, "GET k", b"0")

row(f"SET k {MAX}", "INCR k", OVERFLOW, "GET k", str(MAX).encode())
row(f"SET k {MIN}", "DECR k", OVERFLOW, "GET k", str(MIN).encode())
row(f"SET k {MAX - 1}", "INCR k", MAX, "GET k", str(MAX).encode())
row(f"SET k {MIN + 1}", "DECR k", MIN, "GET k", str(MIN).encode())
row(f"SET k {MAX}", "DECR k", MAX - 1)
row(f"SET k {MIN}", "INCR k", MIN + 1)
row("SET k 1", f"INCRBY k {MAX}", OVERFLOW)
row("SET k -2", f"INCRBY k {MIN}", OVERFLOW)
row("SET k -1", f"INCRBY k {MAX}", MAX - 1)
row("SET k 1", f"INCRBY k {MIN}", MIN + 1)
row("SET k -2", f"DECRBY k {MAX}", OVERFLOW)
row("SET k 0", f"DECRBY k {MIN}", err("ERR decrement would overflow"))
row("SET k 0", f"DECRBY k {MAX}", -MAX)
row("INCRBY k -5", -5, "DECRBY k -5", 0)
row("SET k 17179869184", "INCRBY k 17179869184", 34359738368)
row(*["INCR k"] * 50, "GET k", b"50")
row("SET k 007", "INCR k", NOT_INT)
row("INCR k", "STRLEN k", 1, "APPEND k 0", 2, "INCR k", 11, "TYPE k")
row("SET k 20 PX 100000", "INCR k", 21, "DECR k", 20, near("PTTL k"), "GETRANGE k 0 0", b"2")

# INCRBYFLOAT: the reply and what is stored, digit by digit
for start, by, result in (("", "1.5", "1.5"), ("10.50", "0.1", "10.6"), ("5.0e3", "2.0e2", "5200"),
                          ("3", "-1.5", "1.5"), ("3.0", "1", "4"), ("3.0", "1.0", "4"),
                          ("1", "0.00000000000000001", "1.00000000000000001"),
                          ("0.1", "0.2", "0.3"), ("1e300", "0", None), ("-1", "1", "0"),
                          ("9223372036854775807", "1", "9223372036854775808"),
                          ("17179869184", "1.5", "17179869185.5"), ("0", "-0.0", None),
                          ("1", "1e-5", "1.00001"), ("1", "1e2", "101"), ("0x10", "1", None),
                          ("1", "0x10", None), ("1.23456789012345678", "0", None),
                          ("100000000000000000000", "1", None), ("1", "1e400", None),
                          ("1e4931", "1", None), ("3", "+1", None), ("3", ".5", "3.5"),
                          ("3.", "1", None), ("1e", "1", None), ("-.5", "0.25", "-0.25")):
    steps = [f"SET k {start}"] if start else []
    expected = [result.encode()] if result else []
    row(*steps, f"INCRBYFLOAT k {by}", *expected, "GET k", *expected, "STRLEN k")

row("SET k abc", "INCRBYFLOAT k 1", NOT_FLOAT, "GET k", b"abc")
row('SET k " 1"', "INCRBYFLOAT k 1", NOT_FLOAT)
row('SET k "1 "', "INCRBYFLOAT k 1", NOT_FLOAT)
row('SET k ""', "INCRBYFLOAT k 1")
row('SET k "1\\x00"', "INCRBYFLOAT k 1", NOT_FLOAT)
row("SET k nan", "INCRBYFLOAT k 1")
row("SET k inf", "INCRBYFLOAT k 1")
row("SET k 1", "INCRBYFLOAT k abc", NOT_FLOAT)
row("SET k 1", 'INCRBYFLOAT k ""')
row("SET k 1", "INCRBYFLOAT k nan")
row("SET k 1", "INCRBYFLOAT k inf", NAN, "GET k", b"1")
row("SET k 1", "INCRBYFLOAT k -inf", NAN)
row("SET k 1", "INCRBYFLOAT k infinity", NAN)
row("SET k 1", 'INCRBYFLOAT k "1 "', NOT_FLOAT)
row("SET k 1", "INCRBYFLOAT k", arity("incrbyfloat"))
row("SET k 1", "INCRBYFLOAT k 1 2", arity("incrbyfloat"))
row("LPUSH k a", "INCRBYFLOAT k 1", WRONGTYPE)
row("SET k 1 EX 100", "GET k", "INCRBYFLOAT k 1.5", b"2.5", near("PTTL k"), "GET k", b"2.5")
row("SET k 1", OK, "INCR k", 2, "INCRBYFLOAT k 0.5", b"2.5", "INCR k", NOT_INT)
row("SET k 1.5", "INCRBYFLOAT k 1.5", b"3", "INCR k", 4)
