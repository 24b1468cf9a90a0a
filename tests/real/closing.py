#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every end that a latched connection can have, and what may happen to it before: see closing.sh.

    closing.py BATCH --out FOLDER --interfaces A,B,A2 --pids A,B --run A,B --brokers A B [--only TEXT]

Rows of one batch run side by side, each over IPv4 and IPv6; those that change a whole host run one
after the other.  Judged of every row: what it says itself (closing_rows.py); that behind its first
ESP packet neither host ever sent a clear segment of the connection; at the end that no SA, no SPD
entry and no lease is left.  Batch without-cover is for a broker that installs no close cover: there
each row of the cover must show the clear segment.
"""
import argparse
import itertools
import os
import re
import socket
import sys
import time
import traceback

import closing_rows as rows
from closing_hosts import LINGER_SECONDS, PORT, Connection, Crossed, Failed, Host, demand, until
from closing_world import DESTROY_ROWS, WORLD_ROWS
from closing_wire import Wire, capture_write

SIDE_BY_SIDE = 10
FAMILIES = ((socket.AF_INET, "IPv4"), (socket.AF_INET6, "IPv6"))
ADDRESSES = {socket.AF_INET: {"A": "10.77.0.1", "B": "10.77.0.2"},
             socket.AF_INET6: {"A": "fd77::1", "B": "fd77::2"}}

# what it is, function, arguments, whether it is the cover that keeps it from the clear
QUICK = (
    ("A closes first", rows.close_in_turn, ("A",), False),
    ("B closes first", rows.close_in_turn, ("B",), False),
    ("both close at once", rows.close_at_once, (), False),
    ("A ends its half, B goes on for 2 s", rows.half_close, ("A",), False),
    ("B ends its half, A goes on for 2 s", rows.half_close, ("B",), False),
    ("A closes with octets unread", rows.close_unread, ("A",), False),
    ("B closes with octets unread", rows.close_unread, ("B",), False),
    ("A closes with SO_LINGER 0", rows.close_linger, ("A",), False),
    ("B closes with SO_LINGER 0", rows.close_linger, ("B",), False),
    ("A is killed, data queued both ways", rows.killed_both, ("A",), False),
    ("B is killed, data queued both ways", rows.killed_both, ("B",), False),
    ("A is killed with data to send", rows.killed_sending, ("A",), False),
    ("B is killed with data to send", rows.killed_sending, ("B",), False),
    ("B's socket passed on, its holder killed", rows.passed_on, ("B",), False),
    ("A in FIN_WAIT1, B silent, then speaks", rows.fin_wait1_silent, ("A",), True),
    ("B in FIN_WAIT1, A silent, then speaks", rows.fin_wait1_silent, ("B",), True),
    ("data for A in FIN_WAIT2", rows.fin_wait2_data, ("A",), True),
    ("data for B in FIN_WAIT2", rows.fin_wait2_data, ("B",), True),
    ("data when A's FIN_WAIT2 is over", rows.fin_wait2_over, ("A",), True),
    ("data when B's FIN_WAIT2 is over", rows.fin_wait2_over, ("B",), True),
    ("B in LAST_ACK, acknowledgements lost", rows.last_ack, ("A",), True),
    ("A in LAST_ACK, acknowledgements lost", rows.last_ack, ("B",), True),
    ("late data for A's vanished socket", rows.late_data, ("A",), True),
    ("late data for B's vanished socket", rows.late_data, ("B",), True),
    ("forged to the open and the half closed", rows.forged, (), False),
    ("idle, keepalives, then silence", rows.keepalive, (), False),
    ("a router with a small MTU behind A", rows.small_router, ("A",), False),
    ("a router with a small MTU behind B", rows.small_router, ("B",), False),
    ("the port again, reset before", rows.used_again, (True,), False),
    ("the port again, TIME_WAIT before", rows.used_again, (False,), False),
    ("the port again, B holds a reset socket", rows.held_after_reset, (), False),
    ("the port again, TIME_WAIT on a device", rows.used_again_beside, (), False),
    ("the port again, on a device", rows.used_again_bound, (), False),
)

LONG = (
    ("A's TIME_WAIT, FINs over 130 s", rows.time_wait_long, ("A", (1, 30, 58, 116, 130)), True),
    ("B's TIME_WAIT, FINs over 130 s", rows.time_wait_long, ("B", (1, 30, 58, 116, 130)), True),
    ("A's TIME_WAIT, a FIN when it is over", rows.time_wait_over, ("A",), True),
    ("B's TIME_WAIT, a FIN when it is over", rows.time_wait_over, ("B",), True),
    ("data when A's 60 s of FIN_WAIT2 are over", rows.fin_wait2_over, ("A", 61), True),
    ("data when B's 60 s of FIN_WAIT2 are over", rows.fin_wait2_over, ("B", 61), True),
    ("late data after 110 s, the port after 120 s", rows.covered_long, (), True),
)


class World:
    """Both hosts, the wire between them, and what listens on B."""

    def __init__(self, options):
        self.out = options.out
        self.hosts = {side: Host(side, pid, run, broker) for side, pid, run, broker in zip(
            "AB", options.pids.split(","), options.run.split(","), options.brokers)}
        self.wire = Wire(options.interfaces.split(","))
        self.texts = ADDRESSES
        self.addresses = {family: {side: socket.inet_pton(family, text)
                                   for side, text in texts.items()}
                          for family, texts in ADDRESSES.items()}
        self.ports = itertools.count(20001)
        self.connections, self.arrived, self.listeners = [], {}, {}
        for family, _ in FAMILIES:
            self.listen(family)

    def listen(self, family):
        with self.hosts["B"]:
            listener = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", PORT))
        listener.listen(64)
        listener.setblocking(False)
        self.listeners[family] = listener

    def next_port(self):
        return next(self.ports)

    def accepted(self, family, port):
        """Whether the connection from this port is there."""
        try:
            while True:
                accepted, address = self.listeners[family].accept()
                self.arrived[family, address[1]] = accepted
        except BlockingIOError:
            return (family, port) in self.arrived

    def take(self, family, port):
        return self.arrived.pop((family, port))

    def at(self, connection, times, action):
        """Runs a generator at each of these seconds from now."""
        begun = time.monotonic()
        for seconds in times:
            yield max(0, begun + seconds - time.monotonic())
            yield from action()

    def is_clean(self):
        return not any(host.count_xfrm() or host.journal_leases() for host in self.hosts.values())

    def brokers_start(self, linger_seconds=LINGER_SECONDS):
        """With their own 120 s: None."""
        for host in self.hosts.values():
            host.broker_start(self.out, linger_seconds)

    def brokers_stop(self):
        for host in self.hosts.values():
            host.broker_stop()


class Task:
    """One row over one family, or of the whole world."""

    def __init__(self, world, name, needs_cover, make):
        self.world, self.name, self.needs_cover, self.make = world, name, needs_cover, make
        self.connections, self.problem, self.seconds = [], None, 0.0
        self.steps, self.begun = None, None

    def step(self):
        """The seconds until it wants to go on; None: it is over."""
        if self.steps is None:
            self.begun = time.monotonic()
            self.steps = self.make()
        known = len(self.world.connections)
        try:
            return next(self.steps)
        except StopIteration:
            pass
        except Failed as problem:
            self.problem = str(problem)
        except Exception:  # a fault of the test's own fails the row, not the batch
            self.problem = traceback.format_exc()
        finally:
            self.connections += self.world.connections[known:]
            self.seconds = time.monotonic() - self.begun
        for connection in self.connections:
            connection.end()
        return None

    def clear(self):
        return [text for connection in self.connections for text in connection.flow.clear]

    def tell(self, wants_clear):
        """Prints the line; whether it is well."""
        clear = self.clear()
        if wants_clear:
            is_good, problem = bool(clear), "no clear segment without the cover"
            detail = f": {clear[0]}" if clear else ""
        else:
            is_good, problem = not clear and self.problem is None, self.problem
            detail = ""
        print(f"{'ok' if is_good else 'FAIL'} {self.name} ({self.seconds:.1f} s){detail}",
              flush=True)
        if not is_good:
            for text in [problem] * (problem is not None) + clear[:5]:
                print("    " + text.replace("\n", "\n    "))
            self.keep()
        return is_good

    def keep(self):
        frames = sorted(frame for connection in self.connections
                        for frame in connection.flow.frames)
        name = re.sub("[^A-Za-z0-9]+", "-", self.name)
        capture_write(os.path.join(self.world.out, f"{name}.pcap"), frames)


def row_make(world, family, function, arguments):
    def once():
        connection = Connection(world, family)
        yield from connection.latch()
        yield from function(connection, *arguments)

    def make():
        for _ in range(2):
            try:
                yield from once()
                return
            except Crossed as problem:
                print(f"    {dict(FAMILIES)[family]}: begins anew: {problem}", flush=True)
        yield from once()
    return make


def tasks_of(world, table):
    return [Task(world, f"{family_name}: {name}", needs_cover,
                 row_make(world, family, function, arguments))
            for name, function, arguments, needs_cover in table
            for family, family_name in FAMILIES]


def tasks_run(world, tasks, at_once):
    """Side by side, while the wire goes on."""
    waiting, due = list(tasks), {}
    while waiting or due:
        while waiting and len(due) < at_once:
            due[waiting.pop(0)] = 0.0
        now = time.monotonic()
        world.wire.pump(max(0, min(0.02, min(due.values()) - now)))
        for task in [task for task, when in due.items() if when <= time.monotonic()]:
            seconds = task.step()
            if seconds is None:
                del due[task]
            else:
                due[task] = time.monotonic() + seconds


def clean_task(world, seconds):
    return Task(world, "nothing is left in SAD, SPD and state files", False,
                lambda: until(world.is_clean, "nothing is left", seconds))


def world_tasks(world, table, only):
    return [Task(world, name, False, lambda function=function: function(world))
            for name, function in table if only in name]


def batch_destroy(world, only):
    tasks = world_tasks(world, DESTROY_ROWS, only) + [clean_task(world, 30)]
    world.brokers_start()
    tasks_run(world, tasks, 1)
    return tasks, False


def batch_quick(world, only):
    tasks = [task for task in tasks_of(world, QUICK) if only in task.name]
    others = world_tasks(world, WORLD_ROWS, only)
    world.brokers_start()
    tasks_run(world, tasks, SIDE_BY_SIDE)
    tasks_run(world, others, 1)
    last = clean_task(world, 30)
    tasks_run(world, [last], 1)
    return tasks + others + [last], False


def batch_long(world, only):
    tasks = [task for task in tasks_of(world, LONG) if only in task.name]
    world.brokers_start(None)
    tasks_run(world, tasks, len(tasks))
    return tasks, False


def batch_without_cover(world, only):
    tasks = [task for task in tasks_of(world, QUICK) if task.needs_cover and only in task.name]
    demand(tasks, "no such row")
    world.brokers_start()
    tasks_run(world, tasks, SIDE_BY_SIDE)
    return tasks, True


BATCHES = {"quick": batch_quick, "long": batch_long, "destroy": batch_destroy,
           "without-cover": batch_without_cover}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("batch", choices=BATCHES)
    for name in ("--out", "--interfaces", "--pids", "--run"):
        parser.add_argument(name, required=True)
    parser.add_argument("--brokers", nargs=2, required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    world = World(options)
    try:
        tasks, wants_clear = BATCHES[options.batch](world, options.only)
    finally:
        world.brokers_stop()
    results = [task.tell(wants_clear) for task in tasks]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
