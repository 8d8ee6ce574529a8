"""The rows of the differential table, a file a subject; importing them fills TABLE."""

from rows import (bits, blocking, connection, errors, expire, generic, hashes, introspection, keyspace, lists,
                  numbers, scripts, serialise, set_command, sets, sort, streams, strings, values,
                  transactions, zsets)

__all__ = ["bits", "blocking", "connection", "errors", "expire", "generic", "hashes", "introspection",
           "keyspace", "lists", "numbers", "scripts", "serialise", "set_command", "sets", "sort",
           "streams", "strings", "transactions", "values", "zsets"]
