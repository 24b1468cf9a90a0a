# SPDX-License-Identifier: BSD-2-Clause
"""What the attacker does to tokens; those in ESP he can only withhold.  Words of attacks.table."""
import struct

from attack_moves import Attack, Translate, attack

PREFIX = struct.Struct("!II")  # of a token's message: octets to skip, octets of the token


class Tokens(Attack):
    """Changes one token's message.  translate=1: all of them are in the clear, for the two ends
    cannot be latched."""

    def __init__(self, flow, options):
        super().__init__(flow, options)
        self.translation = Translate(flow, options) if self.number("translate") else None

    def frame(self, side, frame, name):
        if name == self.options["at"] and frame.is_tcp():
            changed = self.change(frame.payload)
            frame = frame.with_tcp(payload=changed[:len(frame.payload)])
        if self.translation is not None:
            return self.translation.frame(side, frame, name)
        return [frame]

    def change(self, payload):
        raise NotImplementedError


@attack("flip")
class Flip(Tokens):
    """One bit of the token's octet byte= (negative: from its end)."""

    def change(self, payload):
        changed = bytearray(payload)
        at = self.number("byte")
        changed[at if at < 0 else PREFIX.size + at] ^= 1
        return bytes(changed)


@attack("edit")
class Edit(Tokens):
    """Other octets, in hexadecimal, in place of some: find= put=."""

    def change(self, payload):
        find, put = bytes.fromhex(self.options["find"]), bytes.fromhex(self.options["put"])
        if find not in payload:
            raise SystemExit(f"no {self.options['find']} in {self.options['at']}")
        return payload.replace(find, put, 1)


@attack("shorten")
class Shorten(Tokens):
    """Says that the token is shorter by bytes=; the rest looks like the next message."""

    def change(self, payload):
        skip, length = PREFIX.unpack_from(payload)
        return PREFIX.pack(skip, length - self.number("bytes")) + payload[PREFIX.size:]


@attack("past")
class Past(Tokens):
    """The token of an earlier exchange."""

    def change(self, payload):
        fitting = [old for old in self.flow.past.get(self.options["at"], [])[:-1]
                   if len(old) == len(payload)]
        if not fitting:
            raise SystemExit(f"no earlier {self.options['at']} of the same length")
        return fitting[-1]


@attack("reflect")
class Reflect(Tokens):
    """The other side gets its own token back."""

    def change(self, payload):
        own = self.flow.past["T1"][-1][PREFIX.size:]
        room = len(payload) - PREFIX.size - len(own)
        return PREFIX.pack(room, len(own)) + b"x" * room + own


@attack("withhold")
class Withhold(Attack):
    """From this token on nothing with payload comes from its sender, retransmissions included."""

    def __init__(self, flow, options):
        super().__init__(flow, options)
        self.is_on = False

    def frame(self, side, frame, name):
        self.is_on |= name == self.options["at"]
        is_senders = side == "AB"[int(self.options["at"][1]) % 2 == 0]
        has_payload = frame.payload or getattr(frame, "has_esp_payload", False)
        return [] if self.is_on and is_senders and has_payload else [frame]
