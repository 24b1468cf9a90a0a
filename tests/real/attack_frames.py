# SPDX-License-Identifier: BSD-2-Clause
"""Ethernet frames with IPv4 in them, taken apart and made, for the attacker between two hosts."""
import socket
import struct

ICMP, TCP, ESP = 1, 6, 50
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
FLAGS = {"FIN": FIN, "SYN": SYN, "RST": RST, "PSH": PSH, "ACK": ACK, "URG": URG}
ETHERNET_BYTES = 14
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


def ip_packet(source, target, protocol, body, identification=0, fragment=0x4000):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), identification, fragment, 64,
                         protocol, 0, source, target)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + body


def tcp_segment(source, target, ports, seq, ack, flags, payload=b"", window=501, urgent=0,
                options=b"", is_bad=False):
    """An IP packet; source and target are addresses of four octets, ports a pair."""
    options += b"\0" * (-len(options) % 4)
    header = struct.pack("!HHIIBBHHH", *ports, seq % MODULUS, ack % MODULUS,
                         (5 + len(options) // 4) << 4, flags, window, 0, urgent) + options
    pseudo = source + target + struct.pack("!BBH", 0, TCP, len(header) + len(payload))
    right = checksum(pseudo + header + payload)
    total = right ^ 0x5555 if is_bad else right
    header = header[:16] + struct.pack("!H", total) + header[18:]
    return ip_packet(source, target, TCP, header + payload)


def icmp_error(source, target, kind, code, rest, quoted):
    body = struct.pack("!BBHI", kind, code, 0, rest) + quoted
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return ip_packet(source, target, ICMP, body)


class Frame:
    """One frame; fields of TCP and ESP where it has them."""

    def __init__(self, raw):
        self.raw = raw
        self.is_ip = len(raw) >= ETHERNET_BYTES + 20 and raw[12:14] == b"\x08\x00"
        self.protocol = None
        self.payload, self.flags, self.is_fragment = b"", 0, False
        if self.is_ip:
            self.read_ip()

    def read_ip(self):
        packet = self.raw[ETHERNET_BYTES:]
        self.header_bytes = (packet[0] & 15) * 4
        total = struct.unpack_from("!H", packet, 2)[0]
        self.packet = packet[:total]
        self.protocol = packet[9]
        self.source, self.target = packet[12:16], packet[16:20]
        self.is_fragment = bool(struct.unpack_from("!H", packet, 6)[0] & 0x3fff)
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
