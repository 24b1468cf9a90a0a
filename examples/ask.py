#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A client and a server in Python (Debian's python3-gssapi), over a latched TCP connection.

    ask.py mechanism                               what the library says of the mechanism
    ask.py serve PORT SERVICE [KEY=VALUE...]       answers in capital letters, until it is ended
    ask.py ask HOST PORT SERVICE TEXT [KEY=VALUE...]

TEXT goes plain (only IPsec protects it), sealed, signed, and sealed by the context that was
exported and imported in between.  KEY=VALUE: bindings=TEXT, mech=spnego, user=NAME; all else goes
to the mechanism as credential store (ipsec_identity, ipsec_key, ipsec_config, ipsec_latch; ipsec_fd=this
names the connection).  Exit status 1, and the library's own text, when something was refused.
"""
import socket
import struct
import sys

import gssapi
from gssapi.raw import (ChannelBindings, display_mech_attr, inquire_attrs_for_mech,
                        inquire_names_for_mech, inquire_sec_context_by_oid)

ARC = "1.2.840.113556.1.8000.2554.31079.55960.30804.18932.37582.1664278.1045436"
IPSEC = gssapi.OID.from_int_seq(ARC + ".1")
LATCH = gssapi.OID.from_int_seq(ARC + ".2.20")
MECHS = {"ipsec": IPSEC, "spnego": gssapi.OID.from_int_seq("1.3.6.1.5.5.2")}
CHANNEL_BOUND = 0x800  # GSS_C_CHANNEL_BOUND_FLAG
SECONDS = 20
MESSAGE_OCTETS_MAX = 1 << 16


def send(sock, octets):
    sock.sendall(struct.pack(">I", len(octets)) + octets)


def receive_exactly(sock, length):
    octets = b""
    while len(octets) < length:
        part = sock.recv(length - len(octets))
        if not part:
            raise EOFError("the other side has closed the connection")
        octets += part
    return octets


def receive(sock):
    length, = struct.unpack(">I", receive_exactly(sock, 4))
    if length > MESSAGE_OCTETS_MAX:
        raise ValueError("a longer message than this program takes")
    return receive_exactly(sock, length)


def latch(context):
    """The word of the latch inquiry: "latched", or why not; and whether bindings were compared."""
    word = inquire_sec_context_by_oid(context, LATCH)[1].decode()
    return word + (", bound" if int(context.actual_flags) & CHANNEL_BOUND else "")


def login(context, sock, token=None):
    """Tokens to and fro; an acceptor begins with the first one.  Where a token tells the peer what
    went wrong, it is sent, and the exception comes with the next look at the context."""
    while True:
        token = context.step(token)
        if token:
            send(sock, token)
        if context.complete:
            return
        token = receive(sock)


def credential(options, usage, sock, name=None):
    """From the store that the user gave; None: the default."""
    store = {key: value for key, value in options.items() if key.startswith("ipsec_")}
    if "ipsec_fd" in store:
        store["ipsec_fd"] = str(sock.fileno())
    if "user" in options:
        name = gssapi.Name(options["user"], gssapi.NameType.user)
    if not store and not name:
        return None
    mechs = [MECHS[options.get("mech", "ipsec")]] if usage == "initiate" else MECHS.values()
    return gssapi.Credentials(name=name, usage=usage, mechs=mechs, store=store or None)


def bindings(options):
    text = options.get("bindings")
    return ChannelBindings(application_data=text.encode()) if text else None


def answer(sock, service, options):
    name = gssapi.Name(service, gssapi.NameType.hostbased_service)
    context = gssapi.SecurityContext(usage="accept", channel_bindings=bindings(options),
                                     creds=credential(options, "accept", sock, name))
    login(context, sock, receive(sock))
    print(f"accepted {context.initiator_name} as {context.target_name}:", latch(context),
          flush=True)
    send(sock, receive(sock).upper())
    send(sock, context.encrypt(context.decrypt(receive(sock)).upper()))
    text, signature = receive(sock), receive(sock)
    context.verify_signature(text, signature)
    send(sock, text.upper())
    send(sock, context.get_signature(text.upper()))
    send(sock, context.encrypt(context.decrypt(receive(sock)).upper()))


def serve(port, service, options):
    with socket.create_server(("", int(port))) as listener:
        while True:
            sock, _ = listener.accept()
            sock.settimeout(SECONDS)
            with sock:
                try:
                    answer(sock, service, options)
                except (gssapi.exceptions.GSSError, OSError, EOFError, ValueError) as error:
                    print("refused:", error, flush=True)


def ask(host, port, service, text, options):
    with socket.create_connection((host, int(port)), SECONDS) as sock:
        context = gssapi.SecurityContext(
            name=gssapi.Name(f"{service}@{host}", gssapi.NameType.hostbased_service),
            mech=MECHS[options.get("mech", "ipsec")], usage="initiate",
            creds=credential(options, "initiate", sock), channel_bindings=bindings(options))
        login(context, sock)
        print(f"connected {context.initiator_name} to {context.target_name}:", latch(context))
        send(sock, text)
        print("plain:", receive(sock).decode())
        send(sock, context.encrypt(text))
        print("sealed:", context.decrypt(receive(sock)).decode())
        send(sock, text)
        send(sock, context.get_signature(text))
        answered = receive(sock)
        context.verify_signature(answered, receive(sock))
        print("signed:", answered.decode())
        context = gssapi.SecurityContext(token=context.export())
        send(sock, context.encrypt(text))
        print("imported:", context.decrypt(receive(sock)).decode())


def mechanism():
    mech = gssapi.mechs.Mechanism(IPSEC)
    print("listed:", IPSEC in gssapi.mechs.Mechanism.all_mechs())
    print("SASL name:", mech.sasl_name)
    print("by SASL name:", gssapi.mechs.Mechanism.from_sasl_name(mech.sasl_name) == mech)
    print("attributes:", *sorted(display_mech_attr(attribute).name.decode()[9:]
                                 for attribute in inquire_attrs_for_mech(mech).mech_attrs))
    print("name types:", len(inquire_names_for_mech(mech)))


def main():
    words = sys.argv[1:]
    count = {"mechanism": 1, "serve": 3, "ask": 5}.get(words[0] if words else "", 0)
    if count == 0 or len(words) < count or not all("=" in word for word in words[count:]):
        return __doc__
    options = dict(word.split("=", 1) for word in words[count:])
    if words[0] == "serve":
        return serve(words[1], words[2], options)
    if words[0] == "ask":
        return ask(*words[1:4], words[4].encode(), options)
    return mechanism()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (gssapi.exceptions.GSSError, OSError, EOFError, ValueError) as reason:
        sys.exit(f"ask.py: {reason}")
