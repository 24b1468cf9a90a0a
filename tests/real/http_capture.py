#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Judges a capture of HTTP connections whose Negotiate headers carry the tokens.

    http_capture.py [--port N] [--latched N] [--only FILE] [--absent TEXT]... [--clear] CAPTURE

capture.py's rules, where tokens stand in headers and pages follow them:
 1. of a connection with T1 in a request, the client's clear bytes end with that request, and the
    server's with the answer that has T2, both whole;
 2. no clear segment of either end closes such a connection, and no later token is clear;
 3. exactly --latched connections are such ones (default 1), with as many pairs of SPIs, whose
    sequence numbers never repeat;
 4. none of the texts given with --absent stands in any packet;
 5. with one connection in the capture: no clear segment of a side behind its first ESP packet, and
    the first ESP packet with payload is the client's.
Every connection with a token is taken for latched, or with --only those whose client's end FILE has
("ADDRESS PORT" on a line), as both ends say that they are: the others with a token have failed, are
counted, and only rule 4 is theirs (doc/security.md, "What is not covered").
Connections without a token are left alone but for rule 4.
Exit status 0: all hold; 1: one does not; 2: the capture cannot be read.
"""
import argparse
import base64
import binascii
import ipaddress
import re
import struct
import sys

import capture
from capture import ACK, ESP, FIN, IKE_HEADER, IKE_SA_INIT, RST, SYN, TCP, Refused

NEGOTIATE = re.compile(rb"^(?:WWW-Authenticate|Authorization): Negotiate ([A-Za-z0-9+/=]+)\r?$",
                       re.IGNORECASE | re.MULTILINE)


def ike_exchange(head):
    """The exchange type of the IKE message that ends the head's token, and whether a response."""
    match = NEGOTIATE.search(head)
    if not match:
        return None
    try:
        token = base64.b64decode(match.group(1), validate=True)
    except binascii.Error:
        return None
    for at in range(len(token) - IKE_HEADER.size + 1):
        _, _, _, version, exchange, flags, _, length = IKE_HEADER.unpack_from(token, at)
        if version == 0x20 and length == len(token) - at:
            return exchange, bool(flags & 0x20)
    return None


def chunked_end(stream, at):
    """Where a chunked body ends, or None where it is not whole."""
    while True:
        line = stream.find(b"\r\n", at)
        if line < 0:
            return None
        size = int(stream[at:line].split(b";")[0], 16)
        at = line + 2 + size + 2
        if at > len(stream):
            return None
        if size == 0:
            return at


def messages(stream):
    """(head, whole body or not, end) of each HTTP message in one direction."""
    at = 0
    while at < len(stream):
        end = stream.find(b"\r\n\r\n", at)
        if end < 0:
            raise Refused(f"a head that is not whole at {at} of {len(stream)} clear octets")
        head = stream[at:end]
        body = end + 4
        length = re.search(rb"^Content-Length: (\d+)", head, re.IGNORECASE | re.MULTILINE)
        if re.search(rb"^Transfer-Encoding: chunked", head, re.IGNORECASE | re.MULTILINE):
            last = chunked_end(stream, body)
        else:
            last = body + (int(length.group(1)) if length else 0)
        is_whole = last is not None and last <= len(stream)
        yield head, is_whole, last
        if not is_whole:
            return
        at = last


class Flow:
    """One TCP connection, as far as it was in the clear."""

    def __init__(self, port, syn):
        self.port = port
        self.client = (syn.source, syn.source_port)
        self.first = syn.seq
        self.sides = {True: capture.Side("client"), False: capture.Side("server")}
        self.closing = None

    def add(self, packet):
        is_client = packet.target_port == self.port
        self.sides[is_client].add_clear(packet)
        if packet.flags & (FIN | RST):
            self.closing = packet.number

    def has_token(self):
        return any(ike_exchange(match.group(0)) for match in NEGOTIATE.finditer(
            self.sides[True].clear_stream()))

    def judge(self):
        for is_client, name, is_response in ((True, "T1", False), (False, "T2", True)):
            side = self.sides[is_client]
            found = list(messages(side.clear_stream()))
            tokens = [ike_exchange(head) for head, _, _ in found]
            if not found or tokens[-1] != (IKE_SA_INIT, is_response):
                raise Refused(f"the {side.name}'s clear bytes do not end with the message that "
                              f"carries {name}")
            if sum(token is not None for token in tokens) != 1:
                raise Refused(f"the {side.name} sent more than {name} in the clear")
            if not found[-1][1]:
                raise Refused(f"the {side.name}'s message with {name} is not whole")
        if self.closing is not None:
            raise Refused(f"packet {self.closing}: a clear segment closes a latched connection")


def flows_of(packets, port):
    """Connections in the order of their SYN; the same ports may serve again."""
    flows, begun = {}, []
    for packet in packets:
        if packet.protocol != TCP or port not in (packet.source_port, packet.target_port):
            continue
        ends = ((packet.source, packet.source_port), (packet.target, packet.target_port))
        key = ends if packet.target_port == port else ends[::-1]
        if (packet.target_port == port and packet.flags & (SYN | ACK) == SYN
                and (key not in flows or flows[key].first != packet.seq)):
            flows[key] = Flow(port, packet)
            begun.append(flows[key])
        if key in flows:
            flows[key].add(packet)
    return begun


def judge_esp(packets, wanted):
    seen = {}
    for packet in packets:
        if packet.protocol != ESP:
            continue
        numbers = seen.setdefault((packet.target, packet.spi), set())
        if packet.esp_seq in numbers:
            raise Refused(f"packet {packet.number}: an ESP sequence number was used before")
        numbers.add(packet.esp_seq)
    if len(seen) != 2 * wanted:
        raise Refused(f"{len(seen)} SPIs of {wanted} latched connections")


def judge_only_one(packets, port):
    only = capture.Connection(packets, port)
    if only.first_payload is None or only.first_payload.source != only.source:
        raise Refused("the first ESP packet with payload is not the client's (T3)")


def latched_of(flows, clients):
    """The flows that were latched, and how many have failed (none where clients is None)."""
    tried = [flow for flow in flows if flow.has_token()]
    if clients is None:
        return tried, 0
    latched = [flow for flow in tried if flow.client in clients]
    if sorted(flow.client for flow in latched) != sorted(clients):
        raise Refused(f"{len(clients)} connections were latched by what the ends say, "
                      f"{len(latched)} of them are in the capture")
    return latched, len(tried) - len(latched)


def judge(packets, options):
    """What there was, in words."""
    flows = flows_of(packets, options.port)
    latched, failed = latched_of(flows, options.only)
    for flow in latched:
        flow.judge()
    if len(latched) != options.latched:
        raise Refused(f"{len(latched)} connections were latched and {failed} failed, "
                      f"{options.latched} are wanted")
    if not options.clear:
        judge_esp(packets, options.latched)
    if not options.clear and len(flows) == 1 and options.latched:
        judge_only_one(packets, options.port)
    return f"{len(flows)} connections, {len(latched)} latched, {failed} failed"


def read_clients(path):
    with open(path, encoding="ascii") as file:
        ends = [line.split() for line in file]
    return [(ipaddress.ip_address(address).packed, int(port)) for address, port in ends]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--latched", type=int, default=1)
    parser.add_argument("--only", metavar="FILE")
    parser.add_argument("--absent", action="append", default=[])
    parser.add_argument("--clear", action="store_true",
                        help="the capture has no ESP: rules 1, 2, 4 only")
    parser.add_argument("capture")
    options = parser.parse_args()
    try:
        packets = capture.read_packets(options.capture)
        options.only = read_clients(options.only) if options.only else None
    except (OSError, ValueError, struct.error) as error:
        print(f"{options.capture}: {error}", file=sys.stderr)
        return 2
    try:
        for packet in packets:
            for text in options.absent:
                if text.encode() in packet.raw:
                    raise Refused(f"packet {packet.number} holds {text!r} in the clear")
        found = judge(packets, options)
    except Refused as reason:
        print(f"capture refused: {reason}")
        return 1
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
