# SPDX-License-Identifier: BSD-2-Clause
"""A proxy on the path: the attacker ends both hosts' TCP connections himself, and passes on what
they carry.  A word of attacks.table."""
import struct

from attack_frames import ACK, ESP, ETHERNET_BYTES, FIN, MODULUS, PSH, RST, SYN, Frame, tcp_segment
from attack_moves import SEGMENT_BYTES, Attack, attack
from attacker import other

MAXIMUM_SEGMENT = struct.pack("!BBH", 2, 4, SEGMENT_BYTES)


class End:
    """The attacker's end of the connection with one host.  Nothing is lost on this cable, so nothing
    is repeated."""

    def __init__(self, isn, ports, addresses, ethernet):
        self.next, self.ports, self.addresses, self.ethernet = isn, ports, addresses, ethernet
        self.expected, self.is_open, self.waiting = 0, False, b""
        self.is_ending = False

    def segment(self, flags, payload=b"", options=b""):
        packet = tcp_segment(*self.addresses, self.ports, self.next, self.expected, flags, payload,
                             options=options)
        self.next = (self.next + len(payload) + bool(flags & (SYN | FIN))) % MODULUS
        return Frame(self.ethernet + packet)

    def take(self, frame):
        """Octets that come next, and whether the host has ended its direction with them."""
        if frame.seq != self.expected:
            return b"", False
        ended = bool(frame.flags & FIN)
        self.expected = (self.expected + len(frame.payload) + ended) % MODULUS
        return frame.payload, ended

    def flush(self):
        """What has waited until the host had answered."""
        for at in range(0, len(self.waiting), SEGMENT_BYTES):
            yield self.segment(ACK | PSH, self.waiting[at:at + SEGMENT_BYTES])
        self.waiting = b""
        if self.is_ending:
            self.is_ending = False
            yield self.segment(ACK | FIN)


@attack("proxy")
class Proxy(Attack):
    """same=1: with the hosts' own addresses and ports towards either; else with a port of his own
    towards B.  ESP he can only pass on."""

    def __init__(self, flow, options):
        super().__init__(flow, options)
        self.ends = {}

    def begin(self, syn):
        mine = syn.ports if self.number("same") else (syn.ports[0] ^ 1, syn.ports[1])
        self.flow.alias = mine
        target, source, kind = syn.raw[:6], syn.raw[6:12], syn.raw[12:ETHERNET_BYTES]
        self.ends["A"] = End(0x10000000, syn.ports[::-1], (syn.target, syn.source),
                             source + target + kind)
        self.ends["B"] = End(0x20000000, mine, (syn.source, syn.target), target + source + kind)
        self.ends["A"].expected = (syn.seq + 1) % MODULUS
        self.send("A", [self.ends["A"].segment(SYN | ACK, options=MAXIMUM_SEGMENT)])
        self.send("B", [self.ends["B"].segment(SYN, options=MAXIMUM_SEGMENT)])

    def send(self, to, frames):
        for frame in frames:
            self.wire.send(to, frame)

    def frame(self, side, frame, name):
        if frame.protocol == ESP:
            return [frame]
        if name == "SYN":
            if not self.ends:
                self.begin(frame)
            return []
        self.answer(side, frame)
        return []

    def answer(self, side, frame):
        end, onward = self.ends[side], self.ends[other(side)]
        if frame.flags & RST:
            self.send(other(side), [onward.segment(RST | ACK)])
            return
        if frame.flags & SYN:
            end.expected = (frame.seq + 1) % MODULUS
        end.is_open = True
        payload, ended = end.take(frame)
        onward.waiting += payload
        onward.is_ending |= ended
        if payload or ended or frame.flags & SYN:
            self.send(side, [end.segment(ACK)])
        for to, one in ((side, end), (other(side), onward)):
            if one.is_open:
                self.send(to, one.flush())
