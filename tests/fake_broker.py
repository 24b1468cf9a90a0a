#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Answers like gss-ipsecd, for the tests of 'gss-ipsec status' without a kernel that has ESP:
fake_broker.py SOCKET [endless].  One lease over IPv4 whose claims are as odd as the broker lets them
be, a broken one over IPv6, and refusals; endless: a new one of both whenever it is asked
(doc/broker-protocol.md has the octets).  Ends when it is killed."""
import socket
import struct
import sys
import time

KEY = b"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"


def counted8(text):
    return bytes([len(text)]) + text


def counted16(octets):
    return struct.pack(">H", len(octets)) + octets


def tuple_of(local, local_port, remote, remote_port):
    return bytes([len(local)]) + local + struct.pack(">H", local_port) + remote + struct.pack(
        ">H", remote_port)


def lease(addresses, state, reason, initiator, claims, zone, age=3725):
    numbers = struct.pack(">BBBHIIIIQQQQQ", state, reason, initiator, 1, 0xc0ffee01, 0xc0ffee02, 7,
                          0, age, 5 << 20, 4, 100, 1)
    return counted16(struct.pack(">QB", 1, 6) + addresses + numbers
                     + b"".join(counted8(claim) for claim in claims) + struct.pack(">I", zone)
                     + counted8(KEY if claims[0] else b""))


LEASES = [
    lease(tuple_of(bytes([192, 0, 2, 1]), 40000, bytes([192, 0, 2, 2]), 389), 1, 0, 1,
          [b'o"neill\\@example.org', b"ldap/server.example.org", b"Ed25519", b"ldap"], 0),
    lease(tuple_of(bytes([0xfe, 0x80] + [0] * 13 + [1]), 143, bytes([0xfe, 0x80] + [0] * 13 + [2]),
                   50000), 2, 32, 0, [b""] * 4, 999),
]
REFUSED = struct.pack(">QIBB", 61, 0, 2, 24)
REFUSALS = [
    counted16(REFUSED + b"\1" + tuple_of(bytes([192, 0, 2, 1]), 1, bytes([192, 0, 2, 3]), 2)
              + struct.pack(">I", 0)),
    counted16(REFUSED + b"\0"),
]


def page(items, cursor):
    shown = items[cursor:cursor + 1]
    return struct.pack(">QB", cursor + len(shown), len(shown)) + b"".join(shown)


NEW = lease(tuple_of(bytes([192, 0, 2, 1]), 1, bytes([192, 0, 2, 2]), 2), 0, 0, 1, [b""] * 4, 0, 0)


def endless(kind, cursor):
    time.sleep(0.01)
    return struct.pack(">QB", cursor + 1, 1) + (NEW if kind == 5 else REFUSALS[cursor % 2])


def answer(request):
    kind = request[1]
    if kind in (5, 7):
        (cursor,) = struct.unpack(">Q", request[2:10])
        if "endless" in sys.argv:
            return b"\1\0" + endless(kind, cursor)
        return b"\1\0" + page(LEASES if kind == 5 else REFUSALS, cursor)
    return b"\1\1"


def main():
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(sys.argv[1])
    listener.listen(16)
    print("listening", flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            request = connection.recv(2048)
            if request:
                connection.send(answer(request))


main()
