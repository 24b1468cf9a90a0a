#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Hostile tokens into an LDAP server's SASL bind, each on a connection of its own.

    ldap_hostile.py HOST COUNT [SEED]

COUNT binds with GS2 and as many with GSS-SPNEGO, whose tokens are garbage, cut, flipped, doubled,
or the server's own.  They are made of genuine ones of this user, who could log in.  None may
succeed; an honest bind before and behind them must.  Prints what was answered how often.
"""
import collections
import random
import socket
import sys

import gssapi

SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
IPSEC = gssapi.OID.from_int_seq(
    "1.2.840.113556.1.8000.2554.31079.55960.30804.18932.37582.1664278.1045436.1")
FLAGS = [gssapi.RequirementFlag.mutual_authentication,
         gssapi.RequirementFlag.out_of_sequence_detection]
SUCCESS, IN_PROGRESS, CLOSED = 0, 14, "closed"
PORT, PATIENCE = 389, 30
# Octets of SPNEGO's own before a third token of 256 octets and more; MIT reads its lengths loosely.
SPNEGO_FRAME = 21


def ber(tag, body):
    if len(body) < 128:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes(4, "big")
    return bytes((tag, 0x84)) + length + body


def ber_take(data):
    """The first element's tag and contents, and what is behind it."""
    length, at = data[1], 2
    if length & 0x80:
        at += length & 0x7f
        length = int.from_bytes(data[2:at], "big")
    if len(data) < at + length:
        raise IndexError
    return data[0], data[at:at + length], data[at + length:]


class Bind:
    """A connection and its SASL bind (RFC 4511 4.2)."""

    def __init__(self, host, mechanism):
        self.socket = socket.create_connection((host, PORT), PATIENCE)
        self.mechanism, self.number = mechanism, 0

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def step(self, credentials):
        """Result code and the server's credentials."""
        self.number += 1
        sasl = ber(4, self.mechanism.encode()) + ber(4, credentials)
        request = ber(2, b"\3") + ber(4, b"") + ber(0xa3, sasl)
        try:
            self.socket.sendall(ber(0x30, ber(2, bytes((self.number,))) + ber(0x60, request)))
            return self.answer()
        except (ConnectionError, BrokenPipeError):
            return CLOSED, b""

    def answer(self):
        data = b""
        while True:
            more = self.socket.recv(65536)
            if not more:
                return CLOSED, b""
            data += more
            try:
                _, message, _ = ber_take(data)
            except IndexError:
                continue
            _, _, rest = ber_take(message)
            _, response, _ = ber_take(rest)
            _, code, rest = ber_take(response)
            credentials = b""
            while rest:
                tag, body, rest = ber_take(rest)
                credentials = body if tag == 0x87 else credentials
            return code[0], credentials


class Honest:
    """The initiator's tokens as Cyrus SASL carries them."""

    def __init__(self, host, mechanism):
        name = gssapi.Name(f"ldap@{host}", gssapi.NameType.hostbased_service)
        self.is_gs2 = mechanism.startswith("GS2")
        bindings = gssapi.raw.ChannelBindings(application_data=b"n,,") if self.is_gs2 else None
        self.context = gssapi.SecurityContext(
            name=name, mech=IPSEC if self.is_gs2 else SPNEGO, flags=FLAGS, usage="initiate",
            channel_bindings=bindings)

    def first(self):
        token = self.context.step()
        if not self.is_gs2:
            return token
        _, body, _ = ber_take(token)  # RFC 5801 3.1: without the header
        _, _, inner = ber_take(body)
        return b"n,," + inner

    def next(self, token):
        return self.context.step(token)


def flipped(chance, token, begin=0):
    at = chance.randrange(begin, len(token))
    return token[:at] + bytes((token[at] ^ 1 << chance.randrange(8),)) + token[at + 1:]


def ours_begin(token):
    """Where in SPNEGO's token the mechanism's own begins: around it little is anybody's promise."""
    return token.rfind(bytes(IPSEC)) + len(bytes(IPSEC)) if bytes(IPSEC) in token else 0


def garbage(chance, bind, honest):
    return bind.step(chance.randbytes(chance.choice((0, 1, 7, 60, 300, 5000, 70000))))


def first_cut(chance, bind, honest):
    token = honest.first()
    return bind.step(token[:chance.randrange(len(token))])


def first_changed(chance, bind, honest):
    token = honest.first()
    code, answer = bind.step(flipped(chance, token, ours_begin(token)))
    if code != IN_PROGRESS:
        return code, answer
    try:
        return bind.step(honest.next(answer))
    except gssapi.exceptions.GSSError:
        return "refused by the client", b""


def second(chance, bind, honest, change):
    code, answer = bind.step(honest.first())
    if code != IN_PROGRESS:
        raise SystemExit(f"an honest first token is answered {code}")
    return bind.step(change(honest.next(answer), answer))


def third_changed(chance, bind, honest):
    return second(chance, bind, honest,
                  lambda token, _: flipped(chance, token, 0 if honest.is_gs2 else SPNEGO_FRAME))


def third_cut(chance, bind, honest):
    return second(chance, bind, honest, lambda token, _: token[:chance.randrange(len(token))])


def third_garbage(chance, bind, honest):
    return second(chance, bind, honest,
                  lambda token, _: chance.randbytes(chance.choice((0, 1, 28, len(token), 60000))))


def reflected(chance, bind, honest):
    return second(chance, bind, honest, lambda _, answer: answer)


def first_again(chance, bind, honest):
    token = honest.first()
    bind.step(token)
    return bind.step(token)


ATTACKS = (garbage, first_cut, first_changed, third_changed, third_cut, third_garbage, reflected,
           first_again)


def honest_bind(host, mechanism):
    with Bind(host, mechanism) as bind:
        honest = Honest(host, mechanism)
        code, answer = bind.step(honest.first())
        while code == IN_PROGRESS:
            code, answer = bind.step(honest.next(answer))
        if code != SUCCESS:
            raise SystemExit(f"FAILED: an honest bind with {mechanism} is answered {code}")


def main():
    host, count = sys.argv[1], int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    chance, succeeded = random.Random(seed), 0
    for mechanism in "GS2-63L22ULZSVD", "GSS-SPNEGO":
        honest_bind(host, mechanism)
        answers = collections.Counter()
        for number in range(count):
            attack = ATTACKS[number % len(ATTACKS)]
            with Bind(host, mechanism) as bind:
                code, _ = attack(chance, bind, Honest(host, mechanism))
            answers[attack.__name__, code] += 1
            succeeded += code == SUCCESS
        for (name, code), times in sorted(answers.items(), key=str):
            print(f"{mechanism} {name}: answered {code} {times} times")
        honest_bind(host, mechanism)
    print(f"{succeeded} succeeded")
    return 1 if succeeded else 0


if __name__ == "__main__":
    sys.exit(main())
