#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A login in one process, the conversation in another, through python3-gssapi.

  handover.py serve PORT SERVICE          a worker takes context and socket over from the server
  handover.py ask HOST PORT SERVICE TEXT  sends TEXT sealed three times, prints what comes back

Tokens and messages have four octets of length before them.  A second login inside the channel is bound
to the first one's (RFC 5056).  The server's process is gone before the first message is read.
"""
import os
import socket
import struct
import sys

import gssapi
from gssapi.raw import inquire_sec_context_by_oid

ARC = "1.2.840.113556.1.8000.2554.31079.55960.30804.18932.37582.1664278.1045436"
MECH = gssapi.OID.from_int_seq(ARC + ".1")
LATCH = gssapi.OID.from_int_seq(ARC + ".2.20")
UNIQUE = gssapi.OID.from_int_seq(ARC + ".2.21")
CHANNEL_BOUND = 0x800
MESSAGES = 3


def send(sock, octets):
    sock.sendall(struct.pack(">I", len(octets)) + octets)


def receive_exactly(sock, length):
    octets = b""
    while len(octets) < length:
        part = sock.recv(length - len(octets))
        if not part:
            raise EOFError("the connection ended")
        octets += part
    return octets


def receive(sock):
    return receive_exactly(sock, *struct.unpack(">I", receive_exactly(sock, 4)))


def latch(context):
    """The word of the latch inquiry: "latched", or why not."""
    return inquire_sec_context_by_oid(context, LATCH)[1].decode()


def login(context, sock, token=None):
    while not context.complete:
        token = context.step(token)
        if token:
            send(sock, token)
        if not context.complete:
            token = receive(sock)


def login_inside(outer, sock, token=None, **arguments):
    """Prints whether a login over the connection is bound to the context that protects it."""
    unique = inquire_sec_context_by_oid(outer, UNIQUE)[0]
    bindings = gssapi.raw.ChannelBindings(application_data=unique)
    inner = gssapi.SecurityContext(channel_bindings=bindings, **arguments)
    login(inner, sock, token)
    print("inside:", "bound" if int(inner.actual_flags) & CHANNEL_BOUND else "not bound",
          latch(inner), flush=True)


def work(channel):
    """Imports what the server hands over, and answers."""
    token, fds, _, _ = socket.recv_fds(channel, 8192, 1)
    channel.recv(1)  # the end: the server is gone
    context = gssapi.SecurityContext(token=token)
    with socket.socket(fileno=fds[0]) as sock:
        print("imported:", context.initiator_name, latch(context), flush=True)
        for _ in range(MESSAGES):
            text = context.decrypt(receive(sock))
            send(sock, context.encrypt(text.upper()))
    print("answered", MESSAGES, flush=True)


def serve(port, service):
    ours, theirs = socket.socketpair()
    worker = os.fork()
    if worker == 0:
        ours.close()
        work(theirs)
        os._exit(0)
    theirs.close()
    listener = socket.create_server(("", port))
    sock, _ = listener.accept()
    name = gssapi.Name(service, gssapi.NameType.hostbased_service)
    credential = gssapi.Credentials(name=name, usage="accept", mechs=[MECH])
    context = gssapi.SecurityContext(creds=credential, usage="accept")
    login(context, sock, receive(sock))
    print("accepted:", context.initiator_name, latch(context), flush=True)
    login_inside(context, sock, receive(sock), creds=credential, usage="accept")
    socket.send_fds(ours, [context.export()], [sock.fileno()])
    os._exit(0)  # not a word from this process any more


def ask(host, port, service, text):
    sock = socket.create_connection((host, port))
    name = gssapi.Name(f"{service}@{host}", gssapi.NameType.hostbased_service)
    context = gssapi.SecurityContext(name=name, mech=MECH, usage="initiate")
    login(context, sock)
    print("connected:", context.target_name, latch(context), flush=True)
    login_inside(context, sock, name=name, mech=MECH, usage="initiate")
    for number in range(MESSAGES):
        if number == 1:
            # this end may change its process too, in the middle of the stream
            context = gssapi.SecurityContext(token=context.export())
        send(sock, context.encrypt(text.encode()))
        print("answer:", context.decrypt(receive(sock)).decode(), flush=True)


def main():
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]), sys.argv[3])
    else:
        ask(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])


if __name__ == "__main__":
    main()
