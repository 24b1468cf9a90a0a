#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""One document of gss-ipsec status --json, from standard input, against the schema that gss-ipsec(1)
describes: status_schema.py EXPRESSION.  The expression sees document, count, and c, the first
connection."""
import json
import sys

TEXT, NUMBER, FLAG, MAYBE = str, int, bool, (str, type(None))
END = {"address": TEXT, "port": NUMBER}
TRAFFIC = {"bytes": NUMBER, "packets": NUMBER}
CONNECTION = {
    "latched": FLAG, "state": TEXT, "reason": MAYBE, "reason_text": MAYBE, "role": TEXT,
    "local": END, "remote": END, "esp": MAYBE, "spi_in": MAYBE, "spi_out": MAYBE,
    "age_seconds": NUMBER, "received": TRAFFIC, "sent": TRAFFIC, "uid": NUMBER, "user": MAYBE,
    "claims": {"own_name": MAYBE, "peer_name": MAYBE, "peer_method": MAYBE, "peer_key": MAYBE,
               "service": MAYBE},
    "processes": [{"pid": NUMBER, "descriptor": NUMBER, "command": MAYBE}],
}
REFUSAL = {
    "age_seconds": NUMBER, "request": TEXT, "reason": TEXT, "reason_text": TEXT, "uid": NUMBER,
    "user": MAYBE, "local": (END, None), "remote": (END, None),
}
DOCUMENT = {"version": NUMBER, "time": NUMBER, "broker": TEXT, "connections": [CONNECTION]}


def check(value, wanted, where):
    """Fields in their order, nothing beside them, each of its type."""
    if isinstance(wanted, dict):
        if not isinstance(value, dict) or list(value) != list(wanted):
            sys.exit(f"{where}: {value!r} has not the fields {list(wanted)}")
        for name in wanted:
            check(value[name], wanted[name], f"{where}.{name}")
    elif isinstance(wanted, list):
        if not isinstance(value, list):
            sys.exit(f"{where}: no list")
        for index, item in enumerate(value):
            check(item, wanted[0], f"{where}[{index}]")
    elif isinstance(wanted, tuple) and isinstance(wanted[0], dict):
        if value is not None:
            check(value, wanted[0], where)
    elif not isinstance(value, wanted) or isinstance(value, bool) != (wanted is bool):
        sys.exit(f"{where}: {value!r} is no {wanted}")


def main():
    document = json.load(sys.stdin)
    wanted = dict(DOCUMENT)
    if "refusals" in document:
        wanted["refusals"] = [REFUSAL]
    check(document, wanted, "document")
    if document["version"] != 1:
        sys.exit("another version")
    connections = document["connections"]
    names = {"document": document, "count": len(connections), "any": any,
             "c": connections[0] if connections else None}
    if not eval(" ".join(sys.argv[1].split()), names):
        sys.exit(f"not so: {sys.argv[1]}\n{json.dumps(document, indent=1)}")


main()
