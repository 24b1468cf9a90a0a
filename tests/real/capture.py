#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Judges a capture of one latched connection: did every byte behind the clear tokens go in ESP?

    capture.py [--port N] [--absent TEXT] [--timeline ROWS] [--quiet] [--cut-short]
               [--again N [--clear-again N]] CAPTURE...
    capture.py --leases FILE --connections N --port N [--absent TEXT] [--base64] CAPTURE...

The rules (doc/protocol.md, section 6), for the one TCP connection with the given server port:
 1. the initiator's clear bytes end with T1, the acceptor's with T2: IKE_SA_INIT request and
    response, whole, nothing behind them;
 2. the first ESP packet with payload is the initiator's (T3); before it only acknowledgements;
 3. after its first ESP packet neither side sends a clear segment of any kind any more, through
    close and TIME_WAIT, nor does either ever send clear bytes beyond its token;
 4. each direction has exactly one SPI, and sequence numbers that never repeat;
 5. none of the texts given with --absent stands in any packet.
Several captures are taken together, in the order of their times: what each host sent itself, where
the wire between them loses or reorders.  ESP packets may be cut off in the capture, others not.
With --leases there may be many connections; which SPIs are whose is told by what "gss-ipsec status"
says of one of the two hosts. Each is judged by itself, and none may be unlatched.
With --base64 the tokens stand in lines of text; behind them may only be what ends the line.
With --again N the same addresses and ports served N times more, one connection after the other:
each has a pair of SPIs of its own, used by no packet once the next one's are.  Their tokens went by
the SAs before; with --clear-again N, those of so many in the clear, from the SYN on, and are judged
like the first's.
With --cut-short (a side or its broker was killed) the exchange need not be complete and the end of
the connection may be in the clear: only clear bytes after a side's first ESP packet are refused.
Exit status 0: all hold; 1: one does not; 2: the capture cannot be read.
"""
import argparse
import base64
import ipaddress
import re
import struct
import sys

TCP, ESP = 6, 50
HOP_BY_HOP, ROUTING, FRAGMENT, OPTIONS = 0, 43, 44, 60  # IPv6 extension headers
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
# SPI 4, sequence number 4, IV 8, tag 16, then the TCP header (20 to 60), padding 0..3 and 2.
ESP_OVERHEAD = 4 + 4 + 8 + 16 + 2
TCP_HEADER_MAX_ACK = 44  # a bare acknowledgement: 20, timestamps 12, one SACK block 12
IKE_SA_INIT = 34
LEASE = re.compile(r"connection: (\S+) (?:->|<-) (\S+)\n  state: (?:established|closing)\n"
                   r"(?:  .*\n)*?  SPI: 0x([0-9a-f]{8}) in, 0x([0-9a-f]{8}) out")
IKE_HEADER = struct.Struct(">8s8sBBBBII")


class Refused(Exception):
    """A rule does not hold."""


class Packet:
    def __init__(self, when, number, raw):
        self.when, self.number, self.raw = when, number, raw
        header, total = self.read_ipv6() if raw[0] >> 4 == 6 else self.read_ipv4()
        body = raw[header:total if total else len(raw)]
        if self.protocol == TCP:
            (self.source_port, self.target_port, self.seq, self.ack, offset, self.flags, _, _,
             self.urgent) = struct.unpack_from(">HHIIBBHHH", body, 0)
            self.payload = body[(offset >> 4) * 4:]
        elif self.protocol == ESP:
            self.spi, self.esp_seq = struct.unpack_from(">II", body, 0)
            inner = (total or len(raw)) - header - ESP_OVERHEAD
            self.payload_bytes = inner - 32 if inner > TCP_HEADER_MAX_ACK + 3 else 0

    def read_ipv4(self):
        """Where the body begins and ends (0: with the frame)."""
        version_length, _, total = struct.unpack_from(">BBH", self.raw, 0)
        self.protocol = self.raw[9]
        self.source, self.target = self.raw[12:16], self.raw[16:20]
        self.is_fragment = bool(struct.unpack_from(">H", self.raw, 6)[0] & 0x3fff)
        return (version_length & 15) * 4, total

    def read_ipv6(self):
        payload, self.protocol = struct.unpack_from(">HB", self.raw, 4)
        self.source, self.target = self.raw[8:24], self.raw[24:40]
        self.is_fragment = False
        header = 40
        while self.protocol in (HOP_BY_HOP, ROUTING, FRAGMENT, OPTIONS):
            is_fragment = self.protocol == FRAGMENT
            self.protocol, more = struct.unpack_from(">BB", self.raw, header)
            header += 8 if is_fragment else 8 * (more + 1)
            self.is_fragment |= is_fragment
        return header, 40 + payload if payload else 0


def read_packets(path):
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 24:
        raise ValueError("no capture file, or an empty one")
    magic = data[:4]
    orders = {b"\xd4\xc3\xb2\xa1": ("<", 1e6), b"\xa1\xb2\xc3\xd4": (">", 1e6),
              b"\x4d\x3c\xb2\xa1": ("<", 1e9), b"\xa1\xb2\x3c\x4d": (">", 1e9)}
    if magic not in orders:
        raise ValueError("unknown format of capture file")
    order, unit = orders[magic]
    if struct.unpack_from(order + "I", data, 20)[0] & 0xffff != 1:
        raise ValueError("not captured on Ethernet")
    at, number, packets = 24, 0, []
    while at + 16 <= len(data):
        seconds, fraction, kept, length = struct.unpack_from(order + "IIII", data, at)
        frame = data[at + 16:at + 16 + kept]
        at += 16 + kept
        number += 1
        if (len(frame) < 34 or frame[12:14] != b"\x08\x00") and (
                len(frame) < 54 or frame[12:14] != b"\x86\xdd"):
            continue
        packet = Packet(seconds + fraction / unit, number, frame[14:])
        if kept != length and packet.protocol != ESP:
            raise ValueError(f"packet {number} was not captured whole")
        packets.append(packet)
    return packets


class Side:
    """One direction of the connection."""

    def __init__(self, name):
        self.name = name
        self.first_esp = None
        self.base = None  # sequence number of the first octet
        self.clear = {}  # offset from base: payload
        self.clear_segments = self.clear_payload_segments = 0
        self.spis, self.esp_seqs = [], set()  # SPIs in the order of their first packets
        self.esp_packets = self.esp_payload_packets = 0

    def begin_again(self):
        """Another connection begins in the clear; the SPIs so far are over."""
        self.first_esp = self.base = None
        self.clear = {}

    def add_clear(self, packet):
        self.clear_segments += 1
        if packet.flags & SYN:
            self.base = (packet.seq + 1) & 0xffffffff
        if packet.payload:
            self.clear_payload_segments += 1
            if self.base is None:
                raise Refused("the capture does not begin with the connection's SYN")
            offset = (packet.seq - self.base) & 0xffffffff
            self.clear[offset] = max(self.clear.get(offset, b""), packet.payload, key=len)

    def add_esp(self, packet):
        is_new = packet.spi not in self.spis
        if not is_new and (self.first_esp is None or packet.spi != self.spis[-1]):
            raise Refused(f"packet {packet.number}: the {self.name} uses SPI {packet.spi:08x} of "
                          f"a connection that is over")
        if is_new:
            self.spis.append(packet.spi)
        self.first_esp = self.first_esp or packet
        if (packet.spi, packet.esp_seq) in self.esp_seqs:
            raise Refused(f"packet {packet.number}: ESP sequence number {packet.esp_seq} of the "
                          f"{self.name} was used before")
        self.esp_seqs.add((packet.spi, packet.esp_seq))
        self.esp_packets += 1
        self.esp_payload_packets += packet.payload_bytes > 0

    def clear_bytes(self):
        """Of the stream's beginning, as far as it was sent in the clear before ESP."""
        return max((at + len(piece) for at, piece in self.clear.items()), default=0)

    def clear_stream(self):
        stream = b""
        for offset in sorted(self.clear):
            piece = self.clear[offset]
            if offset > len(stream):
                raise Refused(f"clear bytes of the {self.name} have a gap at {len(stream)}")
            stream = stream[:offset] + piece + stream[offset + len(piece):]
        return stream


def ends_with_ike_message(stream, is_response):
    """Whether the stream's last octet is that of a whole IKE_SA_INIT message."""
    for at in range(max(0, len(stream) - 65535), len(stream) - IKE_HEADER.size + 1):
        _, _, _, version, exchange, flags, message_id, length = IKE_HEADER.unpack_from(stream, at)
        if (version == 0x20 and exchange == IKE_SA_INIT and message_id == 0
                and bool(flags & 0x20) == is_response and length == len(stream) - at):
            return True
    return False


def last_base64(stream):
    """What the last run of base64 in a stream says; nothing but signs and blanks is behind it."""
    run = re.search(rb"([A-Za-z0-9+/\r\n]+={0,2})[^A-Za-z0-9+/]*$", stream)
    digits = re.sub(rb"[\r\n]", b"", run[1]) if run else b""
    try:
        return base64.b64decode(digits, validate=True)
    except ValueError:
        return b""


class Connection:
    def __init__(self, packets, port, is_cut_short=False, has_failed=False, is_base64=False,
                 again=(0, 0)):
        self.rows = []
        self.is_base64 = is_base64
        # So many connections more, one after the other; of these may yet begin in the clear.
        self.again, self.clear_again = again
        self.syn = None  # of the one that is under way
        self.is_cut_short = is_cut_short
        self.has_failed = has_failed  # an exchange that did not come to its end
        syn = [p for p in packets if p.protocol == TCP and p.flags & (SYN | ACK) == SYN
               and (port is None or p.target_port == port)]
        tuples = {(p.source, p.source_port, p.target, p.target_port) for p in syn}
        if len(tuples) != 1:
            raise Refused(f"{len(tuples)} connections in the capture, one is wanted")
        (self.source, self.source_port, self.target, self.target_port), = tuples
        self.start = syn[0].when
        self.sides = {self.source: Side("initiator"), self.target: Side("acceptor")}
        self.first_payload = None
        self.packets = [p for p in packets if self.is_ours(p)]
        for packet in self.packets:
            self.add(packet)

    def is_ours(self, packet):
        if {packet.source, packet.target} != {self.source, self.target}:
            return False
        if packet.protocol == ESP:
            return True
        return packet.protocol == TCP and {
            (packet.source, packet.source_port), (packet.target, packet.target_port)} == {
            (self.source, self.source_port), (self.target, self.target_port)}

    def add(self, packet):
        side = self.sides[packet.source]
        if packet.is_fragment:
            raise Refused(f"packet {packet.number} is a fragment")
        if self.begins_again(packet):
            self.begin_again()
        if packet.protocol == ESP:
            side.add_esp(packet)
            if len(side.spis) > self.again + 1:
                raise Refused(f"packet {packet.number}: the {side.name} used {len(side.spis)} SPIs")
            if packet.payload_bytes and self.first_payload is None:
                self.first_payload = packet
            self.rows.append((packet, side.name, f"ESP    spi {packet.spi:08x}  "
                              f"seq {packet.esp_seq:<4d} {len(packet.raw)} octets"))
            return
        if side.first_esp is not None and not self.may_be_clear(side, packet):
            raise Refused(f"packet {packet.number}: a clear segment of the {side.name} "
                          f"(flags {flag_text(packet.flags)}, {len(packet.payload)} octets) after "
                          f"its first ESP packet, number {side.first_esp.number}")
        if side.first_esp is None:
            side.add_clear(packet)
        self.rows.append((packet, side.name, f"clear  {flag_text(packet.flags):8s} "
                          f"{len(packet.payload)} octets"))

    def begins_again(self, packet):
        """Whether this is the SYN of another connection in the clear, behind one that spoke ESP."""
        if packet.protocol != TCP or packet.flags & (SYN | ACK) != SYN or (
                packet.source != self.source):
            return False
        before, self.syn = self.syn, packet.seq
        return before is not None and before != packet.seq and self.clear_again > 0 and all(
            side.first_esp is not None for side in self.sides.values())

    def begin_again(self):
        if not self.is_cut_short:
            self.judge_tokens()
        self.first_payload = None
        self.clear_again -= 1
        for side in self.sides.values():
            side.begin_again()

    def may_be_clear(self, side, packet):
        """Whether this segment may follow the side's first ESP packet."""
        if not packet.payload:
            return self.is_cut_short
        # Given back to the clear before anything came in ESP, an initiator's TCP repeats T3 where
        # it is not acknowledged (doc/security.md).
        initiator, acceptor = self.sides[self.source], self.sides[self.target]
        return (self.has_failed and side is initiator and acceptor.first_esp is None
                and (packet.seq - side.base) & 0xffffffff == side.clear_bytes())

    def tokens_of(self, side):
        stream = side.clear_stream()
        return last_base64(stream) if self.is_base64 else stream

    def judge_tokens(self):
        initiator, acceptor = self.sides[self.source], self.sides[self.target]
        if not ends_with_ike_message(self.tokens_of(initiator), False):
            raise Refused("the initiator's clear bytes do not end with T1")
        if not ends_with_ike_message(self.tokens_of(acceptor), True):
            raise Refused("the acceptor's clear bytes do not end with T2")
        for side in (initiator, acceptor):
            if side.first_esp is None:
                raise Refused(f"the {side.name} never sent ESP")
        if self.first_payload is None or self.first_payload.source != self.source:
            raise Refused("the first ESP packet with payload is not the initiator's (T3)")

    def judge(self):
        self.judge_tokens()
        for side in self.sides.values():
            if len(side.spis) != self.again + 1:
                raise Refused(f"the {side.name} used {len(side.spis)} SPIs, "
                              f"{self.again + 1} are wanted")
        if self.clear_again:
            raise Refused(f"{self.clear_again} connections more should begin in the clear")

    def timeline(self, count):
        """The rows around the switch, shortened to count."""
        rows = [f"{(p.when - self.start) * 1000:8.1f} ms  {name:9s} {text}"
                for p, name, text in self.rows]
        if len(rows) <= count:
            return rows
        first = next((i for i, (p, _, _) in enumerate(self.rows) if p.protocol == ESP), 0)
        begin = max(0, min(first - (count - 1) // 2, len(rows) - count + 1))
        shown = rows[begin:begin + count - 1]
        left = len(rows) - begin - len(shown)
        clear = [p for p, _, _ in self.rows[begin + len(shown):] if p.protocol == TCP]
        empty = ", without octets" if clear and not any(p.payload for p in clear) else ""
        return shown + [f"             and {left} packets more, {len(clear)} of them clear{empty}"]


def read_end(text):
    """Address and port as they stand in a packet."""
    address, port = text.rsplit(":", 1)
    return ipaddress.ip_address(address.strip("[]").split("%")[0]).packed, int(port)


def read_leases(path):
    """SPI: the two ends of its connection."""
    leases = {}
    with open(path, encoding="ascii") as file:
        for lease in LEASE.finditer(file.read()):
            ends = frozenset((read_end(lease[1]), read_end(lease[2])))
            leases[int(lease[3], 16)] = leases[int(lease[4], 16)] = ends
    return leases


def packets_by_connection(packets, leases, port):
    connections = {}
    for packet in packets:
        ends = None
        if packet.protocol == ESP:
            ends = leases.get(packet.spi)
            if ends is None:
                raise Refused(f"packet {packet.number}: no lease has SPI {packet.spi:08x}")
        elif packet.protocol == TCP and port in (packet.source_port, packet.target_port):
            ends = frozenset(((packet.source, packet.source_port),
                              (packet.target, packet.target_port)))
        if ends is not None and port in {end_port for _, end_port in ends}:
            connections.setdefault(ends, []).append(packet)
    return connections


def judge_each(packets, options):
    """Returns the connections, each good by itself."""
    leases = read_leases(options.leases)
    found = packets_by_connection(packets, leases, options.port)
    if len(found) != options.connections:
        raise Refused(f"{len(found)} connections, {options.connections} are wanted")
    connections = [Connection(own, options.port, options.cut_short, is_base64=options.base64)
                   for own in found.values()]
    for connection in connections:
        if not options.cut_short:
            connection.judge()
    return connections


def flag_text(flags):
    names = ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"), (32, "URG"))
    return "+".join(name for bit, name in names if flags & bit) or "none"


def summary(connection):
    for address, token in ((connection.source, "T1"), (connection.target, "T2")):
        side = connection.sides[address]
        last = "" if connection.is_cut_short else f", last octet {token}'s"
        yield (f"{side.name:9s} {side.clear_segments} clear segments{last}; then "
               f"{side.esp_packets} ESP ({side.esp_payload_packets} with payload), 0 clear bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int)
    parser.add_argument("--absent", action="append", default=[])
    parser.add_argument("--timeline", type=int, default=0)
    parser.add_argument("--base64", action="store_true")
    parser.add_argument("--leases", metavar="FILE")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--cut-short", action="store_true")
    parser.add_argument("--again", type=int, default=0)
    parser.add_argument("--clear-again", type=int, default=0)
    parser.add_argument("--failed", action="store_true",
                        help="cut short by a failure: T3 may be repeated in the clear")
    parser.add_argument("capture", nargs="+")
    options = parser.parse_args()
    try:
        packets = [packet for path in options.capture for packet in read_packets(path)]
    except (OSError, ValueError, struct.error) as error:
        print(f"{' '.join(options.capture)}: {error}", file=sys.stderr)
        return 2
    if len(options.capture) > 1:
        packets.sort(key=lambda packet: packet.when)
    try:
        for packet in packets:
            for text in options.absent:
                if text.encode() in packet.raw:
                    raise Refused(f"packet {packet.number} holds the text {text!r} in the clear")
        if options.leases:
            connections = judge_each(packets, options)
            sent = sum(side.esp_payload_packets
                       for each in connections for side in each.sides.values())
            print(f"{len(connections)} connections, {sent} ESP packets with payload, 0 clear bytes")
            return 0
        is_cut_short = options.cut_short or options.failed
        connection = Connection(packets, options.port, is_cut_short, options.failed,
                                options.base64, (options.again, options.clear_again))
        if not is_cut_short:
            connection.judge()
    except Refused as reason:
        print(f"capture refused: {reason}")
        return 1
    if options.timeline:
        print("\n".join(connection.timeline(options.timeline)))
    if not options.quiet:
        print("\n".join(summary(connection)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
