#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Judges a capture of many connections, one after the other: hosting_judge.py TEXT CAPTURE...

The rules of capture.py for each connection on which both sides sent ESP; its rules for failures where
only one did, and went back to the clear.  An ESP packet belongs to the connection that was made last
before its SPI was seen first.  A connection without ESP carried nothing but tokens, which the programs
see to.  TEXT, in small letters or capitals, stands in no packet.  Prints how many of each there were.
"""
import sys

from capture import ACK, ESP, SYN, TCP, Connection, Refused, read_packets


def split(packets):
    """Packets by connection; the two ports tell clear ones apart."""
    groups, by_ports, by_spi, last = [], {}, {}, None
    for packet in packets:
        if packet.protocol == TCP:
            ports = frozenset((packet.source_port, packet.target_port))
            if packet.flags & (SYN | ACK) == SYN and ports not in by_ports:
                last = by_ports[ports] = []
                groups.append(last)
            by_ports[ports].append(packet)
        elif packet.protocol == ESP:
            by_spi.setdefault(packet.spi, last).append(packet)
    return groups


def main():
    text = sys.argv[1].encode()
    packets = [packet for path in sys.argv[2:] for packet in read_packets(path)]
    packets.sort(key=lambda packet: packet.when)
    for packet in packets:
        if text in packet.raw or text.upper() in packet.raw:
            print(f"packet {packet.number} holds the text in the clear")
            return 1
    count = {0: 0, 1: 0, 2: 0}
    for group in split(packets):
        sides = len({packet.source for packet in group if packet.protocol == ESP})
        count[sides] += 1
        try:
            if sides == 2:
                Connection(group, None).judge()
            elif sides == 1:
                Connection(group, None, is_cut_short=True, has_failed=True)
        except Refused as reason:
            print(f"connection {sum(count.values())}: {reason}")
            return 1
    print(f"{count[2]} connections with ESP, {count[1]} that failed behind T2, {count[0]} before")
    return 0


if __name__ == "__main__":
    sys.exit(main())
