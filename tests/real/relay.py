#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Passes one TCP connection after another on: relay.py PORT HOST HOST_PORT.

What comes in on PORT goes to HOST:HOST_PORT and back, octet by octet, so that the two programs that
talk through it hold no connection in common.
"""
import select
import socket
import sys


def relay(near, far):
    others = {near: far, far: near}
    while others:
        for side in select.select(list(others), [], [])[0]:
            octets = side.recv(65536)
            if octets:
                others[side].sendall(octets)
                continue
            try:
                others.pop(side).shutdown(socket.SHUT_WR)
            except OSError:
                return


def main():
    port, host, host_port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    listener = socket.create_server(("", port))
    print("listening", flush=True)
    while True:
        near, _ = listener.accept()
        with near, socket.create_connection((host, host_port)) as far:
            try:
                relay(near, far)
            except OSError as error:
                print(error, flush=True)


if __name__ == "__main__":
    main()
