# SPDX-License-Identifier: BSD-2-Clause
"""What the attacker does to tokens; those in ESP he can only withhold.  Words of attacks.table."""
import struct

from attack_moves import Attack, Translate, attack

PREFIX = struct.Struct("!II")  # of a token's message: octets to skip, octets of the token
IKE_HEADER = struct.Struct("!8s8sBBBBII")  # RFC 7296 3.1
NOTIFY = struct.Struct("!BBHBBH")  # RFC 7296 3.10
NOTIFY_KIND, INVALID_KE_PAYLOAD = 41, 17
SA_INIT, VERSION, RESPONSE = 34, 0x20, 0x20
# doc/protocol.md, section 1
MECHANISM = bytes.fromhex("06212a864886f71401be40937a81f26783b51881f05481937482a54ee5ca16bfe73c01")
FRAMING_MAX = 40
# Payloads that rows name: their type, or the type of the notify.
PAYLOADS = {"SA": 33, "KE": 34, "nonce": 40, "vendor": 43,
            "hashes": 16431, "childless": 16418, "latch": 49920}


def message_start(token):
    """Where the IKE message begins: a first T1 has RFC 2743's framing before it."""
    at = token.find(MECHANISM, 0, FRAMING_MAX)
    return at + len(MECHANISM) if at >= 0 else 0


def payload_start(token, wanted):
    """Where the payload with this name begins in the token; "header": the message itself."""
    start = message_start(token)
    if wanted == "header":
        return start
    kind, at = token[start + 16], start + IKE_HEADER.size
    while kind:
        following, _, length, _, _, notify = NOTIFY.unpack_from(token, at)
        if PAYLOADS[wanted] == (notify if kind == NOTIFY_KIND else kind):
            return at
        kind, at = following, at + length
    raise LookupError(f"the token has no {wanted}")


def fit(token, room):
    """A message of so many octets with a token that may be shorter than the one it replaces."""
    skip = room - PREFIX.size - len(token)
    if skip < 0:
        raise LookupError(f"a token of {len(token)} octets does not fit")
    return PREFIX.pack(skip, len(token)) + b"x" * skip + token


class Tokens(Attack):
    """Changes one token's message.  translate=1: all of them are in the clear, for the two ends
    cannot be latched."""

    def __init__(self, flow, options):
        super().__init__(flow, options)
        self.translation = Translate(flow, options) if self.number("translate") else None

    def frame(self, side, frame, name):
        if name == self.options["at"] and frame.is_tcp():
            frame = frame.with_tcp(payload=self.try_change(frame.payload)[:len(frame.payload)])
        if self.translation is not None:
            return self.translation.frame(side, frame, name)
        return [frame]

    def try_change(self, payload):
        """A token that is not as the row expects passes as it is, and the row says why it fails."""
        try:
            return self.change(payload)
        except (LookupError, struct.error) as error:
            self.flow.events.append(f"not changed ({error}): {payload.hex()}")
            return payload

    def change(self, payload):
        raise NotImplementedError


@attack("flip")
class Flip(Tokens):
    """One bit of octet byte= of the token (negative: from its end), or of its payload=."""

    def change(self, payload):
        changed = bytearray(payload)
        at = self.number("byte")
        if "payload" in self.options:
            at += payload_start(payload[PREFIX.size:], self.options["payload"])
        changed[at if at < 0 else PREFIX.size + at] ^= 1
        return bytes(changed)


@attack("edit")
class Edit(Tokens):
    """Other octets, in hexadecimal, in place of some: find= put=.  Where put is shorter, it says
    so itself in the payload; the message's own length is corrected (bare tokens only)."""

    def change(self, payload):
        find, put = bytes.fromhex(self.options["find"]), bytes.fromhex(self.options["put"])
        if find not in payload:
            raise LookupError(f"no {self.options['find']} in {self.options['at']}")
        if len(find) == len(put):
            return payload.replace(find, put, 1)
        token = payload[PREFIX.size:].replace(find, put, 1)
        return fit(token[:24] + struct.pack("!I", len(token)) + token[28:], len(payload))


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
            raise LookupError(f"no earlier {self.options['at']} of the same length")
        return fitting[-1]


@attack("reflect")
class Reflect(Tokens):
    """The other side gets its own message back, without the framing that only a T1 has."""

    def change(self, payload):
        own = self.flow.past["T1"][-1][PREFIX.size:]
        return fit(own[message_start(own):], len(payload))


@attack("refuse")
class Refuse(Tokens):
    """In place of an answer to T1: that another group= is wanted (RFC 7296 1.3)."""

    def change(self, payload):
        notify = NOTIFY.pack(0, 0, NOTIFY.size + 2, 0, 0, INVALID_KE_PAYLOAD)
        notify += struct.pack("!H", self.number("group"))
        header = IKE_HEADER.pack(payload[PREFIX.size:][:8], bytes(8), NOTIFY_KIND, VERSION, SA_INIT,
                                 RESPONSE, 0, IKE_HEADER.size + len(notify))
        return fit(header + notify, len(payload))


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
