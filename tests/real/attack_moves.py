# SPDX-License-Identifier: BSD-2-Clause
"""What the attacker does with clear segments: each class is one word of attacks.table.

An attack is made new for each row with its options ("to=B at=T3 ..."), and asked of every frame
(frame) and told what happened (before, event).
"""
from attack_frames import (ACK, FIN, FLAGS, RST, SYN, TCP, address, icmp_error, ip_packet,
                           tcp_segment)
from attacker import other

# The call of the reading program that works on a token: what "when=after" waits for.
CALLS = {"T1": "B.call1", "T2": "A.call2", "T3": "B.call2", "T4": "A.call3", "T5": "B.call3"}
SEGMENT_BYTES = 1400
ATTACKS = {}


def attack(name):
    def keep(made):
        ATTACKS[name] = made
        return made
    return keep


def evil(count, text=b"*** written by the attacker ***\n"):
    return (text * (count // len(text) + 1))[:count]


@attack("none")
class Attack:
    """Frames pass; the base of all others.  SETUP and CLEANUP: commands for hosts A and B, and for
    the attacker's own (M)."""
    LOADS_MODULES = False

    def __init__(self, flow, options):
        self.flow, self.wire, self.options = flow, flow.wire, options
        self.halts = {}  # side: number of the call behind which its program stops itself
        # Towards the host that a token goes to, if nothing else is said.
        self.to = options.get("to", "A" if options.get("at") in ("T2", "T4") else "B")

    def number(self, name, otherwise=0):
        return int(str(self.options.get(name, otherwise)), 0)

    def before(self, name, side):
        """A frame with this meaning is about to be passed on."""

    def frame(self, side, frame, name):
        """What goes on in the frame's place; name is its meaning, or None."""
        return [frame]

    def event(self, name):
        """Something has happened, on the wire or in a program."""

    def forge(self, frame):
        self.wire.send(self.to, frame)


class Timed(Attack):
    """Strikes once: at=T3 [when=before|after], towards the host to=.

    before: the token is there and the program has not read it; after: its call has returned.
    """

    def __init__(self, flow, options):
        super().__init__(flow, options)
        at = options.get("at", "T3")
        self.is_before = options.get("when", "before") == "before"
        self.moment = at if self.is_before else CALLS[at]
        self.is_done = False
        if not self.is_before and "." in self.moment:
            self.halts[self.to] = self.moment[-1]

    def before(self, name, side):
        if self.is_before and name == self.moment and not self.is_done:
            self.flow.stop(self.to)

    def event(self, name):
        if name != self.moment or self.is_done:
            return
        self.is_done = True
        try:
            self.strike()
        finally:
            if self.is_before or self.to in self.halts:
                self.flow.go_on(self.to)

    def strike(self):
        raise NotImplementedError


@attack("inject")
class Inject(Timed):
    """A clear segment, or as many as it needs: bytes=, offset= from the next octet, ack= offset,
    flags=, urgent=, window=, bad=1 (checksum)."""

    def strike(self):
        flags = ACK
        for word in filter(None, self.options.get("flags", "").split("+")):
            flags |= FLAGS[word]
        octets = evil(self.number("bytes"))
        for at in range(0, len(octets) or 1, SEGMENT_BYTES):
            self.forge(self.flow.segment(
                other(self.to), self.number("offset") + at, octets[at:at + SEGMENT_BYTES], flags,
                self.number("ack"), window=self.number("window", 501),
                urgent=self.number("urgent"), is_bad=bool(self.number("bad"))))


@attack("walk")
class Walk(Timed):
    """Real octets, then two that TCP refuses, which move a single running maximum round."""

    def strike(self):
        source = other(self.to)
        self.forge(self.flow.segment(source, 0, evil(32)))
        for offset in (0x7fffffff, 0xfffffe0c):
            self.forge(self.flow.segment(source, offset, b"x"))


@attack("shift")
class Shift(Attack):
    """Cuts a line out of a token's message and puts as many octets behind the token."""
    CUT = b"User-Agent: victim/1.0 (as ever)\r\n"
    PUT = {"B": b"DELETE /all HTTP/1.1\r\nX-Evil: yes\r\n",
           "A": b"HTTP/1.1 200 evil\r\nX-Evil: yes, \r\n"}

    def frame(self, side, frame, name):
        if name != self.options["at"] or self.CUT not in frame.payload:
            return [frame]
        cut = frame.payload.replace(self.CUT, b"")
        room = len(frame.payload) - len(cut)
        put = self.PUT[self.to][-room:] if self.number("tail") else self.PUT[self.to][:room]
        return [frame.with_tcp(payload=cut + put.ljust(room))]


@attack("add")
class Add(Attack):
    """Adds octets behind a token and renumbers everything that follows, as long as it is clear."""

    def __init__(self, flow, options):
        super().__init__(flow, options)
        self.added = 0

    def frame(self, side, frame, name):
        if not frame.is_tcp():
            return [frame]
        if side == self.to:
            return [frame.with_tcp(ack=frame.ack - self.added)] if self.added else [frame]
        if name == self.options["at"]:
            passed = frame.with_tcp(payload=frame.payload + evil(self.number("bytes")))
            self.added = self.number("bytes")
            return [passed]
        return [frame.with_tcp(seq=frame.seq + self.added)] if self.added else [frame]


@attack("renumber")
class Renumber(Attack):
    """Shifts all sequence numbers from the SYN on, of both directions."""

    def frame(self, side, frame, name):
        if not frame.is_tcp():
            return [frame]
        up, down = self.number("by"), self.number("back")
        seq, ack = (up, -down) if side == "A" else (down, -up)
        return [frame.with_tcp(seq=frame.seq + seq,
                               ack=frame.ack + ack if frame.flags & ACK else 0)]


@attack("translate")
class Translate(Attack):
    """Rewrites the client's port, as a NAT does; ESP passes as it is."""

    def frame(self, side, frame, name):
        if not frame.is_tcp():
            return [frame]
        client, server = self.flow.ports
        self.flow.alias = (client ^ 1, server)
        fields = {"ports": self.flow.alias if side == "A" else (server, client)}
        # Another address too: B sees the connection come from the attacker.
        if "address" in self.options:
            mine, true = address(self.options["address"]), self.flow.template["A"].source
            fields.update({"source": mine} if side == "A" else {"target": true})
        return [frame.with_tcp(**fields)]


@attack("insert")
class Insert(Attack):
    """Puts octets behind a clear token and takes none away: the numbers of all before are lowered
    from the SYN on, so that those of ESP fit behind them."""

    def __init__(self, flow, options):
        super().__init__(flow, options)
        self.count, self.is_done = self.number("bytes"), False

    def frame(self, side, frame, name):
        if not frame.is_tcp():
            return [frame]
        if side == self.to:
            # What the reader acknowledges of octets that were renumbered.
            end = self.flow.isn.get(other(side), 0) + 1 + self.flow.clear_end[other(side)]
            is_before = (end - frame.ack - self.count) % (1 << 32) < 1 << 31
            return [frame.with_tcp(ack=frame.ack + self.count)] if is_before and \
                frame.flags & ACK else [frame]
        if self.is_done:
            return [frame]
        self.is_done = name == self.options["at"]
        passed = [frame.with_tcp(seq=frame.seq - self.count)]
        if self.is_done:
            passed.append(self.flow.segment(side, -self.count, self.octets()))
        return passed

    def octets(self):
        text = Shift.PUT[self.to]
        return evil(self.count) if self.count != len(text) else text


@attack("syn-data")
class SynData(Attack):
    """Data in the SYN, with a Fast Open cookie: B's kernel takes it without one."""

    def frame(self, side, frame, name):
        if name != "SYN":
            return [frame]
        cookie = b"\x22\x0a" + b"cookie00" + b"\x01\x01"
        return [frame.with_tcp(options=frame.options + cookie, payload=evil(20))]


@attack("lead")
class Lead(Attack):
    """In place of a long message's first protected segment: as many clear octets."""

    def __init__(self, flow, options):
        super().__init__(flow, options)
        self.is_done = False

    def frame(self, side, frame, name):
        if side == self.to or name != self.options["at"] or self.is_done:
            return [frame]
        self.is_done = True
        size = self.number("bytes", 1460)
        offset = -self.flow.last_write[side]
        return [self.flow.segment(side, offset, evil(size))]


@attack("drop")
class Drop(Attack):
    """Drops the first frame with a meaning, or every one (all=1)."""

    def __init__(self, flow, options):
        super().__init__(flow, options)
        self.is_done = False

    def frame(self, side, frame, name):
        if name == self.options["at"] and (not self.is_done or self.number("all")):
            self.is_done = True
            return []
        return [frame]


@attack("fragment")
class Fragment(Timed):
    """A clear segment in two IP fragments."""

    def strike(self):
        whole = self.flow.segment(other(self.to), self.number("offset"),
                                  evil(self.number("bytes", 32)))
        body = whole.packet[whole.header_bytes:]
        for at, flag in ((0, 0x2000), (24, 3)):
            part = body[:24] if at == 0 else body[24:]
            self.forge(whole.with_packet(ip_packet(whole.source, whole.target, TCP, part, 7, flag)))


@attack("icmp")
class Icmp(Timed):
    """An ICMP error about the connection's own clear or ESP packets: kind=, code=, rest=."""

    def strike(self):
        mine = self.to
        sent = self.flow.first_esp.get(mine, self.flow.template[mine])
        quoted = sent.packet[:sent.header_bytes + 8]
        packet = icmp_error(self.flow.template[other(mine)].source,
                            self.flow.template[mine].source, self.number("kind", 3),
                            self.number("code", 4), self.number("rest", 576), quoted)
        self.forge(self.flow.raw(other(mine), packet))


@attack("blind")
class Blind(Timed):
    """Segments of somebody who knows the five-tuple only and sees nothing: all over the numbers.
    With before=N one of them ends N numbers before the place, as clear octets of the peer would."""

    def strike(self):
        source = other(self.to)
        template = self.flow.template[source]
        if self.number("before", 0):
            self.forge(template.with_packet(tcp_segment(
                template.source, template.target, template.ports,
                self.flow.place(source) - self.number("before", 0) - 1, 0x12345678, ACK, b"x")))
        for step in range(32):
            for flags, payload in ((ACK, b"x"), (RST, b""), (SYN, b""), (ACK | FIN, b"")):
                # Never by chance in the window: an on-path attacker's is another row.
                seq = self.flow.place(source) + (1 << 24) + step * (1 << 27)
                self.forge(template.with_packet(tcp_segment(
                    template.source, template.target, template.ports, seq,
                    0x12345678 + step, flags, payload)))
