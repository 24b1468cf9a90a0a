#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The attacker on the path: every frame between hosts A and B passes through this process.

    attacker.py --offloads-off INTERFACE      checksums are full and segments real from now on
    attacker.py --gro-on INTERFACE            received packets are joined, as network cards do it

As a module: Wire is the two ends of the cable, Flow what is known of the one
connection under attack.  A frame is told to the attack first (frame), which says what goes on in
its place; then its meaning is told (event): "SYN", "T1" to "T5", "FIN.A", "RST.B" and so on.
"""
import array
import fcntl
import os
import selectors
import signal
import socket
import struct
import sys
import time

from attack_frames import (ACK, ESP, ETHERNET_BYTES, FIN, MODULUS, PSH, RST, SYN, TCP, Frame,
                           tcp_segment, without_timestamps)

SIOCETHTOOL = 0x8946
SET_TX_CHECKSUM, SET_SCATTER, SET_TSO, SET_GSO, SET_GRO = 0x17, 0x19, 0x1f, 0x24, 0x2c
ETH_P_ALL = 3
PACKET_OUTGOING = 4
PORT = 4747


def offload_set(interface, command, value):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        words = array.array("I", [command, value])
        place, _ = words.buffer_info()
        request = struct.pack("16sP", interface.encode(), place)
        fcntl.ioctl(any_socket, SIOCETHTOOL, request)


def other(side):
    return "B" if side == "A" else "A"


class Wire:
    """Both ends of the cut cable; sides are named for the host behind them."""

    def __init__(self, interfaces):
        self.selector = selectors.DefaultSelector()
        self.sockets = {}
        self.tap, self.handlers = None, []
        self.log = []  # (time, side that sent it or "M", frame)
        for side, interface in interfaces.items():
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            wire.bind((interface, 0))
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            wire.setblocking(False)
            self.sockets[side] = wire
            self.selector.register(wire, selectors.EVENT_READ, ("frame", side))

    def watch(self, stream, handler):
        self.handlers.append(handler)
        self.selector.register(stream, selectors.EVENT_READ, ("line", handler))

    def send(self, to, frame, is_forged=True):
        """Puts a frame on the cable towards a host."""
        if is_forged:
            self.log.append((time.time(), "M", frame))
        try:
            self.sockets[to].send(frame.raw)
        except OSError:  # too long for the interface: nobody will miss it
            pass

    def read_frames(self, side):
        while True:
            try:
                raw, where = self.sockets[side].recvfrom(65536)
            except BlockingIOError:
                return
            if where[2] == PACKET_OUTGOING:
                continue
            # Programs say what they do before they do it, and are to be heard first.
            for handler in self.handlers:
                handler()
            frame = Frame(raw)
            self.log.append((time.time(), side, frame))
            if self.tap is None:
                self.send(other(side), frame, False)
            else:
                self.tap(side, frame)

    def pump(self, seconds):
        """One round: all that is there now, or that comes within so many seconds."""
        for key, _ in self.selector.select(seconds):
            kind, what = key.data
            if kind == "line":
                what()
            else:
                self.read_frames(what)

    def write_capture(self, path, entries):
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
            for when, _, frame in entries:
                file.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(frame.raw),
                                       len(frame.raw)) + frame.raw)


class Flow:
    """The connection under attack, as the attacker knows it.

    Places in the stream count octets from its beginning.  The attacker is stronger than a real
    one: he knows how much a program has written, which behind T2 he could only count in ESP.
    """

    def __init__(self, wire, past, keeps_timestamps=False):
        """past: what is kept of earlier connections, their SPIs and their tokens."""
        self.wire, self.past, self.keeps_timestamps = wire, past, keeps_timestamps
        self.attack = None
        self.ports = self.alias = None  # alias: the ports as B sees them, where rewritten
        self.isn, self.template, self.window = {}, {}, {}
        self.written, self.last_write = {"A": 0, "B": 0}, {"A": 0, "B": 0}
        self.pids = {}
        self.tokens, self.spis, self.first_esp = 0, {}, {}
        self.clear_end = {"A": 0, "B": 0}
        self.events = []

    # --- what programs say ---

    def tell(self, name):
        self.events.append(name)
        self.attack.event(name)

    def stop(self, side):
        """The program reads nothing while its kernel receives."""
        try:
            os.kill(self.pids[side], signal.SIGSTOP)
        except (KeyError, ProcessLookupError):
            pass

    def go_on(self, side):
        """Waits until the program has stopped: it may be just about to do so itself."""
        try:
            # The kernel's own thread may still have to pass on what was sent.
            time.sleep(0.01)
            for _ in range(100):
                with open(f"/proc/{self.pids[side]}/stat", encoding="ascii") as file:
                    if file.read().rpartition(")")[2].split()[0] == "T":
                        break
                time.sleep(0.001)
            os.kill(self.pids[side], signal.SIGCONT)
        except (KeyError, FileNotFoundError, ProcessLookupError):
            pass  # it has ended: nobody waits

    # --- what comes by ---

    def is_ours(self, frame):
        if frame.protocol == TCP and not frame.is_fragment:
            if frame.flags & (SYN | ACK) == SYN and frame.ports[1] == PORT and self.ports is None:
                self.ports = frame.ports
            return self.has_ports(frame)
        return frame.protocol == ESP and self.ports is not None and \
            frame.spi not in self.past["spis"]

    def has_ports(self, frame):
        return any(ports in (frame.ports, frame.ports[::-1])
                   for ports in (self.ports, self.alias) if ports is not None)

    def take(self, side, frame):
        """A frame that side has sent."""
        if not self.is_ours(frame):
            self.wire.send(other(side), frame, False)
            return
        name = self.meaning(side, frame)
        if frame.is_tcp(SYN) and not self.keeps_timestamps:
            frame = without_timestamps(frame)
        if name is not None:
            if frame.is_tcp() and frame.payload:
                self.past.setdefault(name, []).append(frame.payload)
            self.attack.before(name, side)
        for passed in self.attack.frame(side, frame, name):
            self.wire.send(other(side), passed, passed is not frame)
        if name is not None:
            self.tell(name)

    def meaning(self, side, frame):
        if frame.protocol == ESP:
            self.spis.setdefault(side, frame.spi)
            self.first_esp.setdefault(side, frame)
            return self.next_token(side) if frame.has_esp_payload else None
        if frame.flags & SYN:
            self.isn[side], self.template[side] = frame.seq, frame
            return "SYN" if side == "A" else "SYNACK"
        self.template[side] = frame
        if frame.flags & RST:
            return f"RST.{side}"
        if frame.payload:
            end = (frame.seq - self.isn[side] - 1 + len(frame.payload)) % MODULUS
            if self.clear_end[side] < end < MODULUS // 2:
                self.clear_end[side] = end
                return self.next_token(side)
        return f"FIN.{side}" if frame.flags & FIN else None

    def next_token(self, side):
        """T1, T3, T5 are A's and T2, T4 B's; all behind is the application's."""
        if self.tokens < 5 and "AB"[self.tokens % 2] == side:
            self.tokens += 1
            return f"T{self.tokens}"
        return f"data.{side}"

    # --- what the attacker makes ---

    def place(self, side):
        """The sequence number of side's next octet."""
        return (self.isn[side] + 1 + self.written[side]) % MODULUS

    def segment(self, side, offset=0, payload=b"", flags=ACK, ack_offset=0, **fields):
        """A clear segment as if from side; offsets count from the next octets."""
        template = self.template[side]
        if payload:
            flags |= PSH
        ack = 0
        if other(side) in self.isn:
            ack = self.place(other(side)) + ack_offset
        packet = tcp_segment(template.source, template.target, template.ports,
                             self.place(side) + offset, ack, flags, payload, **fields)
        return template.with_packet(packet)

    def raw(self, side, packet):
        """A frame with any IP packet, from the direction of side."""
        return Frame(self.template[side].raw[:ETHERNET_BYTES] + packet)


def main():
    commands = {"--offloads-off": [(command, 0) for command in
                                   (SET_TSO, SET_GSO, SET_GRO, SET_TX_CHECKSUM, SET_SCATTER)],
                "--gro-on": [(SET_GRO, 1)]}
    if len(sys.argv) != 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    for command, value in commands[sys.argv[1]]:
        offload_set(sys.argv[2], command, value)


if __name__ == "__main__":
    main()
