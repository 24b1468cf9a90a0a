# SPDX-License-Identifier: BSD-2-Clause
"""The cable between hosts A and B for closing.py: every frame passes through this process.

Of each connection that is registered here (by tuple and, once it has them, SPIs) frames are passed
on, lost or held, by the side that sent them; and it is judged all the time: behind its first ESP
packet no host sends a clear segment of that connection any more.
"""
import selectors
import socket
import struct
import time

from attack_frames import ACK, FIN, PSH, RST, SYN, checksum
from capture import ESP, TCP, Packet, flag_text

ETHERNET_BYTES = 14
ETH_P_ALL, PACKET_OUTGOING = 3, 4
MODULUS = 1 << 32


def other(side):
    return "B" if side == "A" else "A"


def packet_of(raw):
    """The IP packet of a frame, or None where it is none, or too short."""
    if raw[12:14] not in (b"\x08\x00", b"\x86\xdd"):
        return None
    try:
        packet = Packet(time.time(), 0, raw[ETHERNET_BYTES:])
    except (struct.error, IndexError):
        return None
    return packet if packet.protocol in (TCP, ESP) else None


def pseudo_header(source, target, protocol, length):
    if len(source) == 4:
        return source + target + struct.pack("!BBH", 0, protocol, length)
    return source + target + struct.pack("!II", length, protocol)


def ip_packet(source, target, protocol, body):
    """IPv4 or IPv6, by the addresses' length; the body's own checksum is right already."""
    if len(source) == 16:
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + source + target + body
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0x4000, 64, protocol, 0,
                         source, target)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + body


def tcp_packet(source, target, ports, seq, ack, flags, payload=b""):
    header = struct.pack("!HHIIBBHHH", *ports, seq % MODULUS, ack % MODULUS, 5 << 4, flags, 501,
                         0, 0) + payload
    total = checksum(pseudo_header(source, target, TCP, len(header)) + header)
    return ip_packet(source, target, TCP, header[:16] + struct.pack("!H", total) + header[18:])


def icmp_error(source, target, kind, code, rest, packet):
    """What source says of a packet that target has sent (RFC 792, RFC 4443)."""
    protocol, quoted, pseudo = 1, packet[:28], b""
    if len(source) == 16:
        protocol, quoted = 58, packet[:1200]
        pseudo = pseudo_header(source, target, protocol, 8 + len(quoted))
    body = struct.pack("!BBHI", kind, code, 0, rest) + quoted
    total = checksum(pseudo + body)
    return ip_packet(source, target, protocol, body[:2] + struct.pack("!H", total) + body[4:])


def too_big(router, target, mtu, packet):
    """What a router with a small next link says of a packet (RFC 1191, RFC 4443)."""
    kind, code = (3, 4) if len(router) == 4 else (2, 0)
    return icmp_error(router, target, kind, code, mtu, packet)


# Host, protocol and port unreachable; address and port unreachable, administratively prohibited.
UNREACHABLE = {4: ((3, 1), (3, 2), (3, 3)), 16: ((1, 3), (1, 4), (1, 1))}


class Flow:
    """What the wire does with one connection, and what was seen of it."""

    def __init__(self, addresses, ports):
        self.addresses, self.ports = addresses, ports  # by side
        self.isn = {}
        self.spis = {}  # SPI: side that sends it
        self.lost, self.holding = set(), set()  # sides
        self.held = {"A": [], "B": []}
        self.mtu = None  # a router with a smaller link stands on the cable
        self.routed = 0
        self.esp, self.largest = {"A": 0, "B": 0}, {"A": 0, "B": 0}
        self.clear = []  # what should not have been
        self.frames = []

    def key(self, side):
        return (self.addresses[side], self.ports[side], self.addresses[other(side)],
                self.ports[other(side)])

    def see(self, side, packet):
        if packet.protocol == ESP:
            self.esp[side] += 1
            self.largest[side] = max(self.largest[side], len(packet.raw))
            return
        if self.esp[side]:
            self.clear.append(f"clear {flag_text(packet.flags)} of host {side}, "
                              f"{len(packet.payload)} octets, {self.esp[side]} ESP before")
        if packet.flags & SYN:
            self.isn[side] = packet.seq


class Wire:
    """interfaces: A's, B's, and a second one of A's, which only ever sends."""

    def __init__(self, interfaces):
        self.selector = selectors.DefaultSelector()
        self.sockets, self.flows, self.spis = {}, {}, {}
        self.header = {}  # Ethernet's, as each side last sent it
        self.second_count = 0
        for at, interface in enumerate(interfaces):
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            wire.bind((interface, 0))
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            wire.setblocking(False)
            self.sockets["ABa"[at]] = wire
            self.selector.register(wire, selectors.EVENT_READ, "ABa"[at])

    def add(self, flow):
        for side in "AB":
            self.flows[flow.key(side)] = flow

    def add_spi(self, flow, spi, side):
        flow.spis[spi] = side
        self.spis[spi] = flow

    def remove(self, flow):
        """Its tuple may be used by another connection from now on."""
        for side in "AB":
            if self.flows.get(flow.key(side)) is flow:
                del self.flows[flow.key(side)]
        for spi in flow.spis:
            self.spis.pop(spi, None)

    def send(self, to, raw):
        try:
            self.sockets[to].send(raw)
        except OSError:  # the interface is down: as if the cable were pulled
            pass

    def send_packet(self, to, packet):
        """An IP packet as if from the other side."""
        self.send(to, self.header[other(to), packet[0] >> 4] + packet)

    def pump(self, seconds):
        for key, _ in self.selector.select(seconds):
            self.read(key.data)

    def read(self, end):
        for _ in range(256):
            try:
                raw, where = self.sockets[end].recvfrom(65536)
            except OSError:  # nothing more, or the interface went down
                return
            if where[2] != PACKET_OUTGOING:
                self.second_count += end == "a" and packet_of(raw) is not None
                self.take(end.upper(), raw)

    def take(self, side, raw):
        packet = packet_of(raw)
        flow = None
        if packet is not None:
            self.header[side, packet.raw[0] >> 4] = raw[:ETHERNET_BYTES]
            flow = self.spis.get(packet.spi) if packet.protocol == ESP else self.flows.get(
                (packet.source, packet.source_port, packet.target, packet.target_port))
        if flow is None:
            self.send(other(side), raw)
            return
        flow.see(side, packet)
        flow.frames.append((packet.when, raw))
        if side in flow.lost:
            return
        if side in flow.holding:
            flow.held[side].append(raw)
        elif flow.mtu is not None and len(packet.raw) > flow.mtu:
            self.route(flow, side, packet)
        else:
            self.send(other(side), raw)

    def route(self, flow, side, packet):
        """Too long for the router's next link; his address is that of nobody else."""
        flow.routed += 1
        router = packet.source[:-1] + b"\xfe"
        self.send_packet(side, too_big(router, packet.source, flow.mtu, packet.raw))

    def release(self, flow, side, count=None):
        """Held frames go on; only the first ones with count."""
        frames = flow.held[side][:count]
        del flow.held[side][:count]
        for raw in frames:
            self.send(other(side), raw)

    def forge(self, flow, target, seq, ack, flags, payload=b""):
        """A clear segment to target as if from the other side."""
        source = other(target)
        self.send_packet(target, tcp_packet(flow.addresses[source], flow.addresses[target],
                                            (flow.ports[source], flow.ports[target]), seq, ack,
                                            flags, payload))

    def forge_errors(self, flow, target, seq, ack):
        """ICMP errors about a clear segment that target could have sent."""
        mine, others = flow.addresses[target], flow.addresses[other(target)]
        quoted = tcp_packet(mine, others, (flow.ports[target], flow.ports[other(target)]), seq, ack,
                            ACK)
        for kind, code in UNREACHABLE[len(mine)]:
            self.send_packet(target, icmp_error(others, mine, kind, code, 0, quoted))


def capture_write(path, frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for when, raw in frames:
            file.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(raw), len(raw)) +
                       raw)


FORGERIES = (("FIN", FIN | ACK, b""), ("RST", RST, b""), ("RST+ACK", RST | ACK, b""),
             ("SYN", SYN, b""), ("data", PSH | ACK, b"FORGED octets"), ("ACK", ACK, b""))
