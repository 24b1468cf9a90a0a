#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A client of Negotiate over HTTP (python3-gssapi) for shapes that curl does not have.

    http_client.py upload HOST PATH FILE   logs in by requests without a body; the third one, with
                                           T5, has FILE; prints the answer
    http_client.py hostile HOST PATH       wrong tokens of many kinds; none may be let in
"""
import base64
import http.client
import os
import random
import sys

import gssapi

SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
IPSEC = gssapi.OID.from_int_seq("1.2.840.113556.1.8000.2554.31079.55960.30804.18932.37582."
                                "1664278.1045436.1")


def context_for(host, mech=SPNEGO):
    name = gssapi.Name(f"HTTP@{host}", gssapi.NameType.hostbased_service)
    return gssapi.SecurityContext(name=name, usage="initiate", mech=mech)


def ask(connection, method, path, token, body=b""):
    """Status, the server's token and the page; token may be bytes, or a header's text."""
    if isinstance(token, bytes):
        token = "Negotiate " + base64.b64encode(token).decode()
    connection.request(method, path, body, {"Authorization": token})
    answer = connection.getresponse()
    page = answer.read()
    header = answer.getheader("WWW-Authenticate", "")
    reply = base64.b64decode(header[10:]) if header.startswith("Negotiate ") else b""
    return answer.status, reply, page


def upload(host, path, file):
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.connect()  # before T1, which lists the connections that there are
    context = context_for(host)
    with open(file, "rb") as opened:
        body = opened.read()
    reply = None
    for leg in range(3):
        token = context.step(reply)
        status, reply, page = ask(connection, "POST", path, token, body if leg == 2 else b"")
    print(page.decode())
    return 0 if status == 200 else 1


def changed(token, at):
    return token[:at] + bytes((token[at] ^ (1 << random.randrange(8)),)) + token[at + 1:]


def first_tokens(host):
    """Kind and header of first requests, all wrong but for what they hide."""
    good = context_for(host).step()
    bare = context_for(host, IPSEC).step()
    yield "not base64", "Negotiate !!!!"
    yield "no token", "Negotiate"
    yield "an empty token", b""
    yield "another scheme's", "Negotiate TlRMTVNTUAABAAAAl4II4gAAAAAAAAAAAAAAAAAAAAA="
    yield "long", os.urandom(5000)
    yield "beyond what Apache takes", os.urandom(60000)
    for size in (1, 2, 16, 100, 1000):
        yield f"{size} random octets", os.urandom(size)
    for size in range(1, len(good), len(good) // 24):
        yield f"the first {size} octets of a good one", good[:size]
        yield f"a good one, cut in front of the last {size}", good[size:]
    for at in range(0, len(good), len(good) // 40):
        yield f"a good one with octet {at} changed", changed(good, at)
    inner = good.find(bare[:8])
    yield "SPNEGO with random octets inside", good[:inner] + os.urandom(len(good) - inner)
    yield "SPNEGO with zeros inside", good[:inner] + bytes(len(good) - inner)
    yield "a good one with more behind it", good + os.urandom(100)
    for at in range(0, len(bare), len(bare) // 20):
        yield f"one without SPNEGO, octet {at} changed", changed(bare, at)


def later_changes():
    """Kind, and what makes it of the right token, in the place of T3."""
    yield "random octets", lambda good: os.urandom(len(good))
    yield "nothing behind SPNEGO's header", lambda good: good[:20]
    for part in range(24):
        yield (f"changed at {part}/24",
               lambda good, part=part: changed(good, len(good) * part // 24))
    for part in range(1, 8):
        yield f"cut at {part}/8", lambda good, part=part: good[:len(good) * part // 8]


def is_let_in(connection, path, token):
    try:
        return ask(connection, "GET", path, token)[0] not in (400, 401)
    except (OSError, http.client.HTTPException):
        return False  # the server closes on what is too long


def hostile(host, path):
    """A connection for each, since one that has failed is remembered as such."""
    let_in, count = [], 0
    for count, (kind, token) in enumerate(first_tokens(host), 1):
        connection = http.client.HTTPConnection(host, timeout=60)
        if is_let_in(connection, path, token):
            let_in.append(kind)
        connection.close()
    for kind, change in later_changes():
        count += 1
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.connect()
        context = context_for(host)
        _, reply, _ = ask(connection, "GET", path, context.step())
        if is_let_in(connection, path, change(context.step(reply))):
            let_in.append(f"T3: {kind}")
        connection.close()
    print(f"{count} wrong tokens; let in: {let_in or 'none'}")
    return 1 if let_in else 0


def main():
    random.seed(5)
    if sys.argv[1] == "upload":
        return upload(*sys.argv[2:5])
    return hostile(*sys.argv[2:4])


if __name__ == "__main__":
    sys.exit(main())
