# SPDX-License-Identifier: BSD-2-Clause
"""Ethernet frames with IP in them, taken apart and made, for the attacker between two hosts."""
import socket
import struct

ICMP, TCP, FRAGMENT, ESP, ICMP6 = 1, 6, 44, 50, 58
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
FLAGS = {"FIN": FIN, "SYN": SYN, "RST": RST, "PSH": PSH, "ACK": ACK, "URG": URG}
ETHERNET_BYTES, IP4_BYTES, IP6_BYTES = 14, 20, 40
ETHERTYPES = {b"\x08\x00": IP4_BYTES, b"\x86\xdd": IP6_BYTES}
DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000
OPTION_END, OPTION_NOP, OPTION_TIMESTAMPS = 0, 1, 8
MODULUS = 1 << 32
# SPI 4, sequence number 4, IV 8, tag 16, padding length and next header 2.
ESP_OVERHEAD = 34
# Longer than any acknowledgement with options, shorter than any payload of the victims.
ESP_ACK_MAX = 47


def checksum(octets):
    if len(octets) % 2:
        octets += b"\0"
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip6_packet(source, target, protocol, body, identification, fragment):
    if fragment != DONT_FRAGMENT:
        flags = (fragment & 0x1fff) << 3 | bool(fragment & MORE_FRAGMENTS)
        body = struct.pack("!BBHI", protocol, 0, flags, identification) + body
        protocol = FRAGMENT
    return struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + source + target + body


def ip_packet(source, target, protocol, body, identification=0, fragment=DONT_FRAGMENT):
    """fragment: as in IPv4's header, of IPv6 too; source and target of four octets or sixteen."""
    if len(source) == 16:
        return ip6_packet(source, target, protocol, body, identification, fragment)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), identification, fragment, 64,
                         protocol, 0, source, target)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + body


def pseudo_header(source, target, protocol, length):
    if len(source) == 16:
        return source + target + struct.pack("!II", length, protocol)
    return source + target + struct.pack("!BBH", 0, protocol, length)


def tcp_segment(source, target, ports, seq, ack, flags, payload=b"", window=501, urgent=0,
                options=b"", is_bad=False):
    """An IP packet; source and target are addresses of one family, ports a pair."""
    options += b"\0" * (-len(options) % 4)
    header = struct.pack("!HHIIBBHHH", *ports, seq % MODULUS, ack % MODULUS,
                         (5 + len(options) // 4) << 4, flags, window, 0, urgent) + options
    pseudo = pseudo_header(source, target, TCP, len(header) + len(payload))
    right = checksum(pseudo + header + payload)
    total = right ^ 0x5555 if is_bad else right
    header = header[:16] + struct.pack("!H", total) + header[18:]
    return ip_packet(source, target, TCP, header + payload)


def icmp_error(source, target, kind, code, rest, quoted):
    """ICMP's or ICMPv6's, whose kinds differ."""
    body = struct.pack("!BBHI", kind, code, 0, rest) + quoted
    protocol, pseudo = ICMP, b""
    if len(source) == 16:
        protocol, pseudo = ICMP6, pseudo_header(source, target, ICMP6, len(body))
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return ip_packet(source, target, protocol, body)


class Frame:
    """One frame; fields of TCP and ESP where it has them."""

    def __init__(self, raw):
        self.raw = raw
        self.header_bytes = ETHERTYPES.get(raw[12:14], 0)
        self.is_ip = self.header_bytes and len(raw) >= ETHERNET_BYTES + self.header_bytes
        self.protocol = None
        self.payload, self.flags, self.is_fragment = b"", 0, False
        if self.is_ip:
            self.read_ip()

    def read_ip4(self, packet):
        self.header_bytes = (packet[0] & 15) * 4
        self.packet = packet[:struct.unpack_from("!H", packet, 2)[0]]
        self.protocol = packet[9]
        self.source, self.target = packet[12:16], packet[16:20]
        self.is_fragment = bool(struct.unpack_from("!H", packet, 6)[0] & 0x3fff)

    def read_ip6(self, packet):
        """Extension headers are not looked behind: the hosts send none."""
        self.packet = packet[:IP6_BYTES + struct.unpack_from("!H", packet, 4)[0]]
        self.protocol = packet[6]
        self.source, self.target = packet[8:24], packet[24:40]
        self.is_fragment = self.protocol == FRAGMENT

    def read_ip(self):
        packet = self.raw[ETHERNET_BYTES:]
        if self.header_bytes == IP6_BYTES:
            self.read_ip6(packet)
        else:
            self.read_ip4(packet)
        body = self.packet[self.header_bytes:]
        if self.protocol == TCP and len(body) >= 20:
            (source_port, target_port, self.seq, self.ack, offset, self.flags, self.window, _,
             self.urgent) = struct.unpack_from("!HHIIBBHHH", body, 0)
            self.ports = (source_port, target_port)
            self.options = body[20:(offset >> 4) * 4]
            self.payload = body[(offset >> 4) * 4:]
        elif self.protocol == ESP and len(body) >= ESP_OVERHEAD:
            self.spi, self.esp_seq = struct.unpack_from("!II", body, 0)
            self.has_esp_payload = len(body) - ESP_OVERHEAD > ESP_ACK_MAX

    def with_packet(self, packet):
        return Frame(self.raw[:ETHERNET_BYTES] + packet)

    def with_tcp(self, **changes):
        """The same segment with other fields, and right checksums."""
        fields = {name: getattr(self, name) for name in
                  ("source", "target", "ports", "seq", "ack", "flags", "payload", "window",
                   "urgent", "options")}
        fields.update(changes)
        return self.with_packet(tcp_segment(**fields))

    def with_bit_flipped(self, at):
        """at counts from the IP packet's end where it is negative."""
        packet = bytearray(self.packet)
        packet[at] ^= 1
        return self.with_packet(bytes(packet))

    def is_tcp(self, flags=0):
        return self.protocol == TCP and self.flags & flags == flags


def without_timestamps(frame):
    """The SYN without its timestamps: then no forged segment is refused for an old one."""
    options, at = bytearray(frame.options), 0
    while at < len(options) and options[at] != OPTION_END:
        if options[at] == OPTION_NOP:
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2:
            break
        if options[at] == OPTION_TIMESTAMPS:
            options[at:at + length] = bytes([OPTION_NOP]) * length
        at += length
    return frame.with_tcp(options=bytes(options))


def address(text):
    return socket.inet_aton(text)
