#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tests http_capture.py with captures made here: good ones pass, each single fault is refused."""
import base64
import os
import struct
import subprocess
import sys
import tempfile

from capture_test import A, ACK, B, FIN, PORT_A, PSH, RST, SYN, esp, ike, tcp, tell, write

JUDGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "http_capture.py")
ISN = 1000
PAGE = b"x" * 50


def request(token):
    header = b"Authorization: Negotiate " + base64.b64encode(token) + b"\r\n" if token else b""
    return b"GET / HTTP/1.1\r\nHost: b\r\n" + header + b"\r\n"


def answer(token, length=len(PAGE)):
    return (b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate " + base64.b64encode(token)
            + b"\r\nContent-Length: %d\r\n\r\n" % length + PAGE)


T1, T2 = request(b"\x60\x20" + ike(0x08)), answer(b"\xa1\x20" + ike(0x20))
T3 = request(b"\xa1" + struct.pack(">8s8sBBBBII", b"i" * 8, b"r" * 8, 46, 0x20, 35, 8, 1, 60)
             + bytes(32))


def good(first=T1, second=T2):
    return [
        tcp(A, SYN, ISN), tcp(B, SYN | ACK, ISN), tcp(A, ACK, ISN + 1),
        tcp(A, PSH | ACK, ISN + 1, first), tcp(B, PSH | ACK, ISN + 1, second),
        esp(A, 1), esp(A, 2, 400), esp(B, 1), esp(B, 2, 400), esp(A, 3, 60), esp(B, 3)]


def with_packet(packet, index=None):
    packets = good()
    packets.insert(len(packets) if index is None else index, packet)
    return packets


CASES = [
    ("a good capture", good(), True),
    ("a request without a token before", good(request(b"") + T1, b"HTTP/1.1 401 No\r\n"
                                              b"Content-Length: 2\r\n\r\nno" + T2), True),
    ("the same, chunked", good(request(b"") + T1, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
                               b"\r\n\r\n2\r\nno\r\n0\r\n\r\n" + T2), True),
    ("clear bytes behind T1", good(T1 + request(b"")), False),
    ("clear bytes behind T2's page", good(T1, T2 + b"HTTP/1.1 200 OK\r\n\r\n"), False),
    ("T2's page not whole", good(T1, answer(b"\xa1\x20" + ike(0x20), 60)), False),
    ("T2 not there", good(T1, b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"), False),
    ("T3 in the clear", good(T1 + T3), False),
    ("no token at all", good(request(b"")), False),
    ("a clear FIN at the end", with_packet(tcp(A, FIN | ACK, ISN + 1 + len(T1))), False),
    ("a clear ACK behind ESP", with_packet(tcp(A, ACK, ISN + 1 + len(T1))), False),
    ("ESP of the server first", with_packet(esp(B, 9, 400), 5), False),
    ("a sequence number of ESP twice", with_packet(esp(A, 3)), False),
    ("a second SPI", with_packet(esp(A, 1, spi=0x3333)), False),
    ("no ESP", good()[:5], False),
    ("text in the clear", with_packet(esp(A, 6, 60)[:-40] + b"the secret" + bytes(30)), False),
]


OTHER_PORT = PORT_A + 1
LATCHED, OTHER = f"10.77.0.1 {PORT_A}", f"10.77.0.1 {OTHER_PORT}"


def of_failed(packet):
    """The same packet of another connection."""
    at = 34 if packet[26:30] == A else 36
    return packet[:at] + struct.pack(">H", OTHER_PORT) + packet[at + 2:]


def with_failed(*packets):
    """A connection that is latched and, between, one that fails behind T2."""
    begin = [of_failed(packet) for packet in good()[:5]]
    return good()[:7] + begin + [of_failed(packet) for packet in packets] + good()[7:]


CLEAR_END = (tcp(A, FIN | ACK, ISN + 1 + len(T1)), tcp(B, FIN | ACK, ISN + 1 + len(T2)))
# With the clients' ends of those that were latched by what both ends say.
FAILED_CASES = [
    ("one failed, closed in the clear", with_failed(*CLEAR_END), [LATCHED], True),
    ("the same, by a reset", with_failed(tcp(A, RST, ISN + 1 + len(T1))), [LATCHED], True),
    ("T3 repeated where its end gave up", with_failed(tcp(A, PSH | ACK, ISN + 1 + len(T1), T3)),
     [LATCHED], True),
    ("none failed", good(), [LATCHED], True),
    ("both latched, one closed in the clear", with_failed(*CLEAR_END), [LATCHED, OTHER], False),
    ("the latched one closed in the clear", with_failed() + list(CLEAR_END), [LATCHED], False),
    ("the latched one reset in the clear", with_failed(*CLEAR_END)
     + [tcp(A, RST, ISN + 1 + len(T1))], [LATCHED], False),
    ("clear bytes of the latched one", with_failed(*CLEAR_END)
     + [tcp(B, PSH | ACK, ISN + 1 + len(T2), b"more")], [LATCHED], False),
    ("text in the clear of the failed one", with_failed(
        tcp(A, PSH | ACK, ISN + 1 + len(T1), b"the secret")), [LATCHED], False),
    ("a latched one that is not in the capture", good(), [LATCHED, OTHER], False),
    ("one connection for two latched ones", good(), [LATCHED, LATCHED], False),
    ("another address", with_failed(*CLEAR_END), [f"10.77.0.3 {PORT_A}"], False),
    ("none latched", with_failed(*CLEAR_END), [], False),
    ("ESP of the failed one, that counts as a latched one's", with_failed(esp(A, 1, spi=0x3333)),
     [LATCHED], False),
]


def judge(path, packets, *options):
    write(path, enumerate(packets))
    done = subprocess.run([JUDGE, "--port", "4444", "--absent", "the secret", *options, path],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def judge_with_only(path, packets, ends):
    with open(path + ".only", "w", encoding="ascii") as file:
        file.writelines(f"{end}\n" for end in ends)
    return judge(path, packets, "--only", path + ".only")


def results(path):
    for name, packets, is_good in CASES:
        yield name, is_good, judge(path, packets)
    for name, packets, ends, is_good in FAILED_CASES:
        yield name, is_good, judge_with_only(path, packets, ends)


def main():
    with tempfile.TemporaryDirectory() as folder:
        return tell(results(os.path.join(folder, "capture.pcap")))


if __name__ == "__main__":
    sys.exit(main())
