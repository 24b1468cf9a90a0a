# SPDX-License-Identifier: BSD-2-Clause
"""Hosts, brokers and latched connections between them for closing.py, without GSS.

What waits is a generator: it yields the seconds after which it wants to look again, and meanwhile
the wire goes on.  The order of latching is that of doc/protocol.md, section 6; the requests are
those of doc/broker-protocol.md.
"""
import ctypes
import errno
import fcntl
import os
import shlex
import socket
import struct
import subprocess
import time

from closing_wire import FORGERIES, MODULUS, Flow, other

PORT = 4747
LOOK_SECONDS = 0.02
TOKEN_BYTES = 700
KEY_BYTES = 36
SO_COOKIE = 57
SIOCOUTQ = 0x5411
SO_BINDTODEVICE = 25
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
SEND_QUEUE, REPAIR_OFF = 2, -1  # without a window probe
CLONE_NEWNET = 0x40000000
COVERED = 14
LEASE_BROKEN = 2
LINGER_SECONDS = 10  # the covers' time, in which a row comes to its end on a slow machine too
PATIENCE = 20.0  # seconds
STATES = ("none", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT",
          "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING")
RECORD_BYTES, RECORD_GONE = 1024, 2


class Failed(Exception):
    """A row did not come to what it must."""


class Crossed(Failed):
    """Nor could it: the kernels, rightly, took another way."""


def demand(is_good, text):
    if not is_good:
        raise Failed(text)


def until(condition, what, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            raise Failed(f"not within {seconds} s: {what() if callable(what) else what}")
        yield LOOK_SECONDS


def never(condition, what, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        demand(not condition(), what)
        yield LOOK_SECONDS


class Host:
    """A network namespace, entered only while a socket is made."""

    home = None

    def __init__(self, side, pid, run, broker):
        self.side, self.pid, self.run, self.broker_command = side, pid, run, shlex.split(broker)
        self.broker = None
        self.log = None
        self.namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        if Host.home is None:
            Host.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            Host.libc = ctypes.CDLL(None, use_errno=True)

    def __enter__(self):
        demand(Host.libc.setns(self.namespace, CLONE_NEWNET) == 0, "setns")

    def __exit__(self, *_):
        demand(Host.libc.setns(Host.home, CLONE_NEWNET) == 0, "setns back")

    def command(self, *arguments):
        subprocess.run(["nsenter", "--target", str(self.pid), "--net", "--", *arguments],
                       check=True, stdin=subprocess.DEVNULL)

    def output(self, *arguments):
        return subprocess.run(["nsenter", "--target", str(self.pid), "--net", "--", *arguments],
                              check=True, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE).stdout

    def count_xfrm(self):
        """SAs and SPD entries, whoever made them."""
        lines = self.output("ip", "-o", "xfrm", "state") + self.output(
            "ip", "-o", "xfrm", "policy", "list", "nosock")
        return sum(line.startswith("src") for line in lines.splitlines())

    def tcp_state(self, family, ports):
        """Of the socket, or of what TIME_WAIT and FIN_WAIT2 leave of it."""
        name = "tcp" if family == socket.AF_INET else "tcp6"
        with open(f"/proc/{self.pid}/net/{name}", encoding="ascii") as file:
            next(file)
            for line in file:
                _, local, remote, state = line.split()[:4]
                if (int(local[-4:], 16), int(remote[-4:], 16)) == ports:
                    return STATES[int(state, 16)]
        return "none"

    # --- the broker ---

    def broker_start(self, out, linger_seconds):
        options = [] if linger_seconds is None else ["--linger-seconds", str(linger_seconds)]
        self.log = open(os.path.join(out, f"gss-ipsecd.{self.side}.log"), "a+", encoding="utf-8")
        self.log.seek(0, os.SEEK_END)
        place = self.log.tell()
        self.broker = subprocess.Popen(self.broker_command + options, stdin=subprocess.DEVNULL,
                                       stdout=self.log, stderr=self.log, close_fds=True)
        for _ in range(200):
            self.log.seek(place)
            if "gss-ipsecd serves" in self.log.read():
                return
            time.sleep(0.1)
        raise Failed(f"no broker on host {self.side}")

    def broker_stop(self, is_killed=False):
        if self.broker is not None:
            (self.broker.kill if is_killed else self.broker.terminate)()
            self.broker.wait(20)
            self.broker = None

    def ask(self, request, fd=None):
        """(reason, octets behind it)."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as conversation:
            conversation.settimeout(20)
            conversation.connect(os.path.join(self.run, "gss-ipsec/broker.sock"))
            if fd is None:
                conversation.send(request)
            else:
                socket.send_fds(conversation, [request], [fd])
            reply = conversation.recv(32768)
        demand(len(reply) >= 2, "the broker gives no answer")
        return reply[1], reply[2:]

    def lease_state(self, local, remote):
        """Of a tuple, as a number of ipsec_latch.h; None: no lease.  Both are (address, port)."""
        wanted = bytes([len(local[0])]) + b"".join(
            address + struct.pack("!H", port) for address, port in (local, remote))
        cursor = bytes(8)
        while True:
            reason, rest = self.ask(b"\1\5" + cursor)
            demand(reason == 0, f"LIST: reason {reason}")
            if rest[8] == 0:
                return None
            if wanted in rest:
                return rest[rest.index(wanted) + len(wanted)]
            cursor = rest[:8]

    def journal_leases(self):
        """How many leases the state file says to be there."""
        with open(os.path.join(self.run, "gss-ipsec/state"), "rb") as file:
            records = file.read()
        kinds = {records[at + 2:at + 10]: records[at + 1]
                 for at in range(0, len(records), RECORD_BYTES)}
        return sum(kind != RECORD_GONE for kind in kinds.values())


class Connection:
    """One TCP connection; sides are "A", which opened it and initiates, and "B"."""

    def __init__(self, world, family, port=None, flow=None):
        """flow: that of an earlier connection with the same tuple, which is still judged."""
        self.world, self.family, self.is_again = world, family, flow is not None
        self.wire = world.wire
        self.flow = flow or Flow(world.addresses[family],
                                 {"A": port or world.next_port(), "B": PORT})
        self.fd, self.secrets, self.spis = {}, {}, {}
        self.written, self.heard = {"A": 0, "B": 0}, {"A": b"", "B": b""}
        self.sent = {"A": b"", "B": b""}
        self.fins = set()
        self.wire.add(self.flow)
        world.connections.append(self)

    def ports(self, side):
        return self.flow.ports[side], self.flow.ports[other(side)]

    def state(self, side):
        return self.world.hosts[side].tcp_state(self.family, self.ports(side))

    def reaches(self, side, state, seconds=PATIENCE):
        return until(lambda: self.state(side) == state,
                     lambda: f"{state} at {side}, but it is {self.state(side)}", seconds)

    # --- opening ---

    def connect(self, device=None):
        """Begins it, on A's device where one is named."""
        world = self.world
        with world.hosts["A"]:
            client = socket.socket(self.family, socket.SOCK_STREAM)
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if device:
            client.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, device.encode())
        self.fd["A"] = client
        client.bind((world.texts[self.family]["A"], self.flow.ports["A"]))
        client.connect_ex((world.texts[self.family]["B"], PORT))

    def open(self, seconds=PATIENCE, device=None):
        world = self.world
        self.connect(device)
        yield from until(lambda: world.accepted(self.family, self.flow.ports["A"]),
                         "the connection is accepted", seconds)
        self.fd["B"] = world.take(self.family, self.flow.ports["A"])
        self.fd["B"].setblocking(False)
        self.fd["B"].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for side in "AB" if self.is_again else "":
            self.flow.isn[side] = (self.sequence(side) - 1) % MODULUS

    def sequence(self, side):
        """Of what side sends next, where the SYN went in ESP."""
        option = self.fd[side].setsockopt
        option(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        option(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, SEND_QUEUE)
        number = self.fd[side].getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ)
        option(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF)
        option(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # which TCP_REPAIR takes away
        return number % MODULUS

    def reserve(self, side, keys, spi=0):
        """The broker's reason; is_initiator for side A."""
        out = keys[side] if side == "A" else b""
        into = keys[other(side)]
        request = struct.pack("!BBBH", 1, 1, side == "A", 1) + self.cookie(side) + bytes(
            [len(into)]) + into + bytes([len(out)]) + out + struct.pack("!IQ", spi, 0)
        reason, rest = self.world.hosts[side].ask(request, self.fd[side].fileno())
        if reason == 0:
            self.secrets[side] = rest[:16]
            self.spis[side] = struct.unpack_from("!I", rest, 24)[0]
            self.wire.add_spi(self.flow, self.spis[side], other(side))
        return reason

    def conclude(self, side, keys):
        """LATCH."""
        out = keys[side] if side == "B" else b""
        spi = self.spis["A"] if side == "B" else 0
        request = b"\1\2" + self.secrets[side] + self.cookie(side) + struct.pack(
            "!Q", TOKEN_BYTES) + bytes([len(out)]) + out + struct.pack("!IQ", spi, 0) + bytes(4)
        reason, _ = self.world.hosts[side].ask(request, self.fd[side].fileno())
        demand(reason == 0, f"LATCH at {side}: reason {reason}")

    def cookie(self, side):
        cookie, = struct.unpack("=Q", self.fd[side].getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))
        return struct.pack("!Q", cookie)

    def latch(self, device=None):
        """From the first SYN to the verdict of both sides."""
        keys = {side: os.urandom(KEY_BYTES) for side in "AB"}
        yield from self.open(device=device)
        yield from self.say("A", TOKEN_BYTES)
        reason = self.reserve("B", keys)
        demand(reason == 0, f"RESERVE at B: reason {reason}")
        yield from self.say("B", TOKEN_BYTES)
        reason = self.reserve("A", keys, self.spis["B"])
        demand(reason == 0, f"RESERVE at A: reason {reason}")
        yield from self.say("A", TOKEN_BYTES)
        self.conclude("B", keys)
        yield from self.say("B", TOKEN_BYTES)
        self.conclude("A", keys)
        # What is not, is sent again and holds back what comes behind it.
        yield from until(lambda: not any(map(self.unacknowledged, "AB")), "all is acknowledged")

    # --- use ---

    def send(self, side, count):
        """As much of count octets as the kernel takes now."""
        if count == 0:
            return 0
        octets = os.urandom(count)
        try:
            done = self.fd[side].send(octets, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            done = 0
        self.sent[side] += octets[:done]
        self.written[side] += done
        return done

    def read(self, side):
        """What is there: number of octets, 0 at the end, None: nothing, or an errno's name."""
        try:
            octets = self.fd[side].recv(1 << 20)
        except BlockingIOError:
            return None
        except OSError as error:
            return errno.errorcode[error.errno]
        self.heard[side] += octets
        return len(octets)

    def is_whole(self, side):
        """All that the peer has sent so far was read."""
        self.read(side)
        return self.heard[side] == self.sent[other(side)]

    def say(self, side, count, seconds=PATIENCE):
        """All of it is sent and read."""
        whole = self.written[side] + count

        def has_arrived():
            self.send(side, whole - self.written[side])
            return self.written[side] == whole and self.is_whole(other(side))
        yield from until(has_arrived, f"{count} octets of {side}", seconds)

    def hears_end(self, side, seconds=PATIENCE):
        """All that the peer has sent, and its end, as TCP promises."""
        results = []

        def is_over():
            results.append(self.read(side))
            return results[-1] == 0 or isinstance(results[-1], str)
        yield from until(is_over, f"the end at {side}", seconds)
        demand(results[-1] == 0, f"{side} reads {results[-1]}")
        demand(self.heard[side] == self.sent[other(side)], f"{side} has not heard everything")

    def unacknowledged(self, side):
        """Octets in side's send queue."""
        return struct.unpack("i", fcntl.ioctl(self.fd[side], SIOCOUTQ, bytes(4)))[0]

    def hears_error(self, side, names, seconds=PATIENCE):
        """An error, and before it nothing but a beginning of what the peer has sent."""
        results = []

        def is_over():
            results.append(self.read(side))
            return isinstance(results[-1], str)
        yield from until(is_over, f"an error at {side}", seconds)
        demand(results[-1] in names, f"{side} reads {results[-1]}")
        demand(self.sent[other(side)].startswith(self.heard[side]), f"{side} heard other octets")

    def close(self, side):
        self.fins.add(side)
        self.fd[side].close()

    def abort(self, side):
        self.fd[side].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.fd[side].close()

    def shut(self, side):
        self.fins.add(side)
        self.fd[side].shutdown(socket.SHUT_WR)

    # --- the attacker ---

    def place(self, side):
        """Sequence number of side's next octet."""
        return (self.flow.isn[side] + 1 + self.written[side] + (side in self.fins)) % MODULUS

    def forge(self, target):
        """Each kind of clear segment in sequence, a FIN where the genuine one was, ICMP errors."""
        source = other(target)
        for _, flags, payload in FORGERIES:
            self.wire.forge(self.flow, target, self.place(source), self.place(target), flags,
                            payload)
        self.wire.forge(self.flow, target, self.place(source) - 1, self.place(target), 17)
        self.wire.forge_errors(self.flow, target, self.place(target) - 1, self.place(source))

    def forge_both(self):
        """Nothing of it changes anything."""
        before = [self.state(side) for side in "AB"]
        heard = dict(self.heard)
        for side in "AB":
            self.forge(side)
        yield 0.1
        after = [self.state(side) for side in "AB"]
        demand(after == before, f"forged segments: {before} became {after}")
        demand(heard == self.heard, "forged segments are read")

    # --- afterwards ---

    def lease_state(self, side):
        return self.world.hosts[side].lease_state(
            *[(self.flow.addresses[which], self.flow.ports[which])
              for which in (side, other(side))])

    def has_lease(self, side):
        return self.lease_state(side) is not None

    def leases_go(self, seconds=2.5 * LINGER_SECONDS):
        yield from until(lambda: not self.has_lease("A") and not self.has_lease("B"),
                         "both leases are gone", seconds)

    def forget(self):
        """Its tuple's life is over: another connection may have it."""
        self.wire.remove(self.flow)

    def end(self):
        for socket_of_side in self.fd.values():
            socket_of_side.close()
