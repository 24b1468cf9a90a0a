#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tests capture.py with captures made here: a good one passes, each single fault is refused."""
import base64
import os
import struct
import subprocess
import sys
import tempfile

JUDGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "capture.py")
A, B = bytes((10, 77, 0, 1)), bytes((10, 77, 0, 2))
PORT_A, PORT_B = 40000, 4444
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def ip(source, target, protocol, body, fragment=0):
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, fragment, 64, protocol, 0,
                         source, target)
    return bytes(12) + b"\x08\x00" + header + body


def tcp(source, flags, seq, payload=b""):
    ports = (PORT_A, PORT_B) if source == A else (PORT_B, PORT_A)
    body = struct.pack(">HHIIBBHHH", *ports, seq & 0xffffffff, 0, 0x50, flags, 0, 0, 0) + payload
    return ip(source, B if source == A else A, 6, body)


def esp(source, seq, payload=0, spi=None, fragment=0):
    spi = spi or (0x1111 if source == A else 0x2222)
    body = struct.pack(">II", spi, seq) + bytes(8 + 32 + 4 + payload + 16)
    return ip(source, B if source == A else A, 50, body, fragment)


def ipv6(packet, extension=None):
    """The same packet over IPv6, behind an empty extension header of this number."""
    addresses = {A: b"\xfd\x77" + bytes(13) + b"\x01", B: b"\xfd\x77" + bytes(13) + b"\x02"}
    body = packet[34:]
    if extension is not None:
        body = struct.pack(">BBHI", packet[23], 0, 0x0104 if extension != 44 else 0, 0) + body
    header = struct.pack(">IHBB", 0x60000000, len(body), packet[23] if extension is None
                         else extension, 64)
    return (bytes(12) + b"\x86\xdd" + header + addresses[packet[26:30]]
            + addresses[packet[30:34]] + body)


def ipv6_with(packet, extension=None):
    return [ipv6(p) for p in good()] + [ipv6(packet, extension)]


def ike(flags, length=200):
    return struct.pack(">8s8sBBBBII", b"i" * 8, b"r" * 8, 33, 0x20, 34, flags, 0, length).ljust(
        length, b"\xaa")


def good():
    """Sequence numbers begin near their end, so that they wrap within the tokens."""
    isn_a, isn_b = 0xffffffe0, 0xfffffff0
    t1, t2 = b"noop." + b"\x60\x20" + ike(0x08), b"\0\0\0\xc8" + ike(0x20)
    return [
        tcp(A, SYN, isn_a), tcp(B, SYN | ACK, isn_b), tcp(A, ACK, isn_a + 1),
        tcp(A, PSH | ACK, isn_a + 1, t1[:20]), tcp(A, PSH | ACK, isn_a + 21, t1[20:]),
        tcp(B, ACK, isn_b + 1), tcp(B, PSH | ACK, isn_b + 1, t2),
        esp(A, 1), esp(A, 2, 400), esp(B, 1), esp(B, 2, 400), esp(A, 3, 60), esp(B, 3),
        esp(A, 4), esp(B, 4), esp(A, 5)]


def without(index):
    packets = good()
    del packets[index]
    return packets


def with_packet(packet, index=None):
    packets = good()
    packets.insert(len(packets) if index is None else index, packet)
    return packets


CASES = [
    ("a good capture", good(), True),
    ("T1 sent again before ESP", with_packet(tcp(A, PSH | ACK, 0xffffffe1,
                                                 b"noop." + b"\x60\x20" + ike(0x08)[:13]), 6), True),
    ("T2 sent again before the acceptor's ESP",
     with_packet(tcp(B, PSH | ACK, 0xfffffff1, b"\0\0\0\xc8" + ike(0x20)), 8), True),
    ("a clear ACK of the initiator at the end", with_packet(tcp(A, ACK, 300)), False),
    ("a clear FIN of the initiator at the end", with_packet(tcp(A, FIN | ACK, 300)), False),
    ("a clear RST of the acceptor at the end", with_packet(tcp(B, RST, 300)), False),
    ("a clear ACK of the initiator right after its first ESP",
     with_packet(tcp(A, ACK, 300), 8), False),
    ("clear bytes behind T1", with_packet(tcp(A, PSH | ACK, 0xffffffe1 + 207, b"x"), 6), False),
    ("clear bytes behind T2", with_packet(tcp(B, PSH | ACK, 0xfffffff1 + 204, b"x"), 7), False),
    ("T1 missing", without(4), False),
    ("T2 missing", without(6), False),
    ("payload of the acceptor first", with_packet(esp(B, 9, 400), 8), False),
    ("a sequence number of ESP twice", with_packet(esp(A, 5)), False),
    ("a second SPI", with_packet(esp(A, 1, spi=0x3333)), False),
    ("a fragment", with_packet(esp(A, 6, fragment=0x2000)), False),
    ("no ESP of the acceptor", [p for p in good() if not (p[23] == 50 and p[26:30] == B)], False),
    ("no ESP at all", [p for p in good() if p[23] != 50], False),
    ("text in an ESP packet in the clear",
     with_packet(esp(A, 6, 60)[:-40] + b"the secret" + bytes(30)), False),
    ("two connections", with_packet(tcp(A, SYN, 5).replace(struct.pack(">H", PORT_A),
                                                          struct.pack(">H", 50000))), False),
    ("nothing", [], False),
    ("a good capture over IPv6", [ipv6(p) for p in good()], True),
    ("over IPv6: the same and one more ESP packet", ipv6_with(esp(A, 6)), True),
    ("over IPv6: a clear ACK at the end", ipv6_with(tcp(A, ACK, 300)), False),
    ("over IPv6: a clear ACK behind destination options", ipv6_with(tcp(A, ACK, 300), 60), False),
    ("over IPv6: a clear ACK behind hop-by-hop options", ipv6_with(tcp(B, ACK, 300), 0), False),
    ("over IPv6: a fragment", ipv6_with(esp(A, 6), 44), False),
    ("over IPv6: a second SPI", ipv6_with(esp(A, 6, spi=0x3333)), False),
    ("over IPv6: T2 missing", [ipv6(p) for p in without(6)], False),
]

# With --cut-short: the end may be in the clear, bytes may not, nothing need be complete.
CUT_SHORT_CASES = [
    ("cut short: clear FIN after ESP", with_packet(tcp(A, FIN | ACK, 300)), True),
    ("cut short: clear bytes after ESP", with_packet(tcp(A, PSH | ACK, 300, b"x")), False),
    ("cut short: T2 missing", good()[:6], True),
]


# T1 has 207 octets: T3 begins 208 behind the initiator's SYN.
T3_SEQ = 0xffffffe0 + 208
FAILED_CASES = [
    ("failed: T3 repeated in the clear", good()[:9] + [tcp(A, PSH | ACK, T3_SEQ, b"x")], True),
    ("failed: behind T3's begin", good()[:9] + [tcp(A, PSH | ACK, T3_SEQ + 1, b"x")], False),
    ("failed: the acceptor has sent ESP", good()[:11] + [tcp(A, PSH | ACK, T3_SEQ, b"x")], False),
    ("failed: the acceptor in the clear", good()[:11] + [tcp(B, PSH | ACK, 195, b"x")], False),
    ("whole: T3 repeated in the clear", good()[:9] + [tcp(A, PSH | ACK, T3_SEQ, b"x")], False),
]


def renumbered(packets):
    """The good connection's ESP by the SPIs of another one."""
    spis = {0x1111: 0x3333, 0x2222: 0x4444}
    return [p[:34] + struct.pack(">I", spis[struct.unpack_from(">I", p, 34)[0]]) + p[38:]
            if p[23] == 50 else p for p in packets]


def in_esp(behind=()):
    """A second connection of the same ports, whose tokens go by the first one's SAs."""
    first = good() + [esp(A, 6, 400), esp(B, 5, 400)]
    return first + renumbered([p for p in good() if p[23] == 50]) + list(behind)


def shifted(packet):
    """With other sequence numbers, as another connection's."""
    seq, = struct.unpack_from(">I", packet, 38)
    return packet[:38] + struct.pack(">I", (seq + 0x10000000) & 0xffffffff) + packet[42:]


def in_clear(cut=None, between=()):
    """One that begins anew when the first one's SAs are gone."""
    clear = [shifted(p) for p in good() if p[23] != 50]
    return (good() + list(between) + clear[:cut] + renumbered([p for p in good() if p[23] == 50]))


ISN_AGAIN = 0x0fffffe0
AGAIN, CLEAR_AGAIN = ("--again", "1"), ("--again", "1", "--clear-again", "1")
AGAIN_CASES = [
    ("again: tokens by the first one's SAs", in_esp(), AGAIN, True),
    ("again: a second pair of SPIs, not announced", in_esp(), (), False),
    ("again: announced, and did not come", good(), AGAIN, False),
    ("again: one side has one SPI only",
     [p for p in in_esp() if not (p[23] == 50 and p[34:38] == struct.pack(">I", 0x4444))],
     AGAIN, False),
    ("again: a clear SYN", in_esp()[:18] + [tcp(A, SYN, ISN_AGAIN)] + in_esp()[18:], AGAIN, False),
    ("again: a clear SYN+ACK", in_esp()[:18] + [tcp(B, SYN | ACK, 5)] + in_esp()[18:], AGAIN,
     False),
    ("again: a clear T1", in_esp()[:18] + [tcp(A, PSH | ACK, ISN_AGAIN + 1, ike(0x08))]
     + in_esp()[18:], AGAIN, False),
    ("again: a clear RST before its own SAs", in_esp()[:18] + [tcp(B, RST, 5)] + in_esp()[18:],
     AGAIN, False),
    ("again: a clear ACK behind its own SAs", in_esp([tcp(A, ACK, ISN_AGAIN + 300)]), AGAIN, False),
    ("again: clear bytes behind its own SAs", in_esp([tcp(B, PSH | ACK, 5, b"x")]), AGAIN, False),
    ("again: the first one's SPI behind its own", in_esp([esp(A, 7)]), AGAIN, False),
    ("again: a third SPI", in_esp([esp(A, 1, spi=0x5555)]), AGAIN, False),
    ("again: a sequence number of its ESP twice", in_esp(renumbered([esp(A, 5)])), AGAIN, False),
    ("again: whole in the clear, not announced", in_clear(), AGAIN, False),
    ("again: from a clear SYN on", in_clear(), CLEAR_AGAIN, True),
    ("again: a clear SYN was wanted", in_esp(), CLEAR_AGAIN, False),
    ("again: from a clear SYN on, without T2", in_clear(cut=-1), CLEAR_AGAIN, False),
    ("again: clear bytes behind T1", in_clear()[:-9] + [tcp(A, PSH | ACK, ISN_AGAIN + 208, b"x")]
     + in_clear()[-9:], CLEAR_AGAIN, False),
    ("again: clear bytes before its SYN", in_clear(between=[tcp(B, PSH | ACK, 300, b"x")]),
     CLEAR_AGAIN, False),
    ("again: a clear RST before its SYN", in_clear(between=[tcp(B, RST, 300)]), CLEAR_AGAIN, False),
    ("again: a clear ACK behind its own ESP", in_clear() + [tcp(A, ACK, ISN_AGAIN + 300)],
     CLEAR_AGAIN, False),
    ("again: the first one's SPI behind its SYN", in_clear() + [esp(B, 6)], CLEAR_AGAIN, False),
    ("again: a second clear SYN", in_clear() + [tcp(A, SYN, 77)], CLEAR_AGAIN, False),
]


def second():
    """The good connection once more, from another port and with other SPIs."""
    ports, spis = struct.pack(">H", 50000), {0x1111: 0x3333, 0x2222: 0x4444}
    packets = []
    for packet in good():
        if packet[23] == 50:
            spi, = struct.unpack_from(">I", packet, 34)
            packets.append(packet[:34] + struct.pack(">I", spis[spi]) + packet[38:])
        elif packet[26:30] == A:
            packets.append(packet[:34] + ports + packet[36:])
        else:
            packets.append(packet[:36] + ports + packet[38:])
    return packets


def mixed():
    return [packet for pair in zip(good(), second()) for packet in pair]


def encoded(behind=b"\r\n", cut=None):
    """The good connection with both tokens in lines of text."""
    isn_a, isn_b = 0xffffffe0, 0xfffffff0
    t1, t2 = (base64.b64encode(b"n,,x" + ike(flags))[:cut] for flags in (0x08, 0x20))
    return (good()[:3] + [tcp(A, PSH | ACK, isn_a + 1, b"AUTH GS2 " + t1 + behind),
                          tcp(B, PSH | ACK, isn_b + 1, b"220 hello\r\n334 " + t2 + b"\n ) ) ")]
            + good()[7:])


BASE64_CASES = [
    ("base64: tokens in lines", encoded(), True),
    ("base64: clear words behind T1", encoded(b"\r\nDATA\r\n"), False),
    ("base64: T1 cut in the middle", encoded(cut=-4), False),
    ("base64: tokens as they are", good(), False),
]
LEASE = ("connection: 10.77.0.2:4444 <- 10.77.0.1:{}\n  state: {}\n  suite: some\n"
         "  SPI: 0x{} in, 0x{} out\n  latched by: uid 1, which claims\n    peer: SPI\n\n")
LEASES = (LEASE.format(40000, "closing", "00001111", "00002222"),
          LEASE.format(50000, "established", "00003333", "00004444"))
LEASES_CASES = [
    ("leases: two connections", mixed(), LEASES, True),
    ("leases: the second is latched by the other's SPIs", mixed(),
     (LEASES[0], LEASE.format(50000, "established", "00001111", "00004444")), False),
    ("leases: one has no lease", mixed(), LEASES[:1], False),
    ("leases: one was never latched", mixed() + [tcp(A, SYN, 5).replace(
        struct.pack(">H", PORT_A), struct.pack(">H", 50001))], LEASES, False),
    ("leases: one is broken", mixed(),
     (LEASES[0], LEASES[1].replace("established", "broken: its SAs were deleted")), False),
    ("leases: one is missing", good(), LEASES, False),
    ("leases: clear FIN of the second", mixed() + [tcp(B, FIN | ACK, 300).replace(
        struct.pack(">H", PORT_A), struct.pack(">H", 50000))], LEASES, False),
    ("leases: T2 of the second is missing", good() + second()[:6] + second()[7:], LEASES, False),
    ("leases: an SPI that nobody has", mixed() + [esp(A, 1, spi=0x5555)], LEASES, False),
]


def judge_leases(path, packets, leases):
    with open(path + ".status", "w", encoding="ascii") as file:
        file.writelines(leases)
    return judge(path, packets, "--leases", path + ".status", "--connections", "2",
                 "--port", str(PORT_B))


def write(path, numbered, cut=None):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for number, packet in numbered:
            kept = packet[:cut] if cut and packet[23] == 50 else packet
            file.write(struct.pack("<IIII", 1, number, len(kept), len(packet)) + kept)


def run(*arguments):
    done = subprocess.run([sys.executable, JUDGE, "--absent", "the secret", "--timeline", "9",
                           *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    return done.returncode, done.stdout


def judge(path, packets, *options):
    write(path, enumerate(packets))
    return run(*options, path)


def judge_apart(path, packets):
    """Each side's own packets in a capture of its own, the ESP ones cut off."""
    numbered = list(enumerate(packets))
    write(path + ".A", [n for n in numbered if n[1][26:30] == A], 60)
    write(path + ".B", [n for n in numbered if n[1][26:30] == B], 60)
    return run(path + ".B", path + ".A")


def results(path):
    """(name, whether it is good, status and output) of every case."""
    for name, packets, is_good in CASES:
        yield name, is_good, judge(path, packets)
    for name, packets, is_good in CUT_SHORT_CASES:
        yield name, is_good, judge(path, packets, "--cut-short")
    for name, packets, is_good in FAILED_CASES:
        yield name, is_good, judge(path, packets, *["--failed"] * name.startswith("failed"))
    for name, packets, options, is_good in AGAIN_CASES:
        yield name, is_good, judge(path, packets, *options)
    for name, packets, is_good in BASE64_CASES:
        yield name, is_good, judge(path, packets, "--base64")
    for name, packets, leases, is_good in LEASES_CASES:
        yield name, is_good, judge_leases(path, packets, leases)
    yield "two captures", True, judge_apart(path, good())
    yield ("two captures, clear bytes after ESP", False,
           judge_apart(path, with_packet(tcp(A, PSH | ACK, 300, b"x"))))


def tell(cases):
    """One line for each of (name, whether it is good, status and output), and the exit status."""
    passed = failed = 0
    for name, is_good, (status, output) in cases:
        if status == (0 if is_good else 1):
            print(f"ok {name}")
            passed += 1
            continue
        print(f"FAIL {name}: status {status}\n{output}")
        failed += 1
    print(f"{passed} passed, {failed} failed")
    return failed != 0


def main():
    with tempfile.TemporaryDirectory() as folder:
        return tell(results(os.path.join(folder, "capture.pcap")))


if __name__ == "__main__":
    sys.exit(main())
