#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Logins between the two hosts of hosts.sh in which one call fails: in the client, the server, or
one of the brokers.  Run by faults.sh:

    faults.py DIRECTORY SAMPLES SECONDS PIDS WHO... ::: SERVER-COMMAND ::: CLIENT-COMMAND

PIDS are the brokers'.

DIRECTORY/WHO.faults is the control block of tests/faults/faults.h that WHO has preloaded.  Of each
kind SAMPLES calls fail (0: all), each in a login of its own.  Each login ends within SECONDS on both
sides, complete or with a sentence, and nobody dies of a signal.  Prints "ok" and "FAIL" lines."""

import os
import struct
import subprocess
import sys
import time

KINDS = ("memory", "random", "crypto", "system", "netlink")
OF_BROKER = ("memory", "system", "netlink")
OF_PROGRAM = ("memory", "random", "crypto", "system")
LAYOUT = struct.Struct("=iiiiq5qqqii64s")  # struct faults_control


class Control:
    def __init__(self, directory, who):
        self.path = os.path.join(directory, who + ".faults")

    def arm(self, kind, at):
        with open(self.path, "r+b") as file:
            file.write(LAYOUT.pack(1, KINDS.index(kind), 1, 0, at, 0, 0, 0, 0, 0, 0, 0, 0, 0, b""))

    def disarm(self):
        with open(self.path, "r+b") as file:
            file.write(struct.pack("=i", 0))

    def read(self):
        """How often each kind was called, how many failed, and which function did."""
        with open(self.path, "rb") as file:
            fields = LAYOUT.unpack(file.read(LAYOUT.size))
        return dict(zip(KINDS, fields[5:10])), fields[10], fields[14].rstrip(b"\0").decode()


class Logins:
    def __init__(self, seconds, server, client):
        self.seconds, self.server, self.client = seconds, server, client

    def run(self):
        """Both programs' (status, output)."""
        server = subprocess.Popen(self.server, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL, text=True)
        first = server.stdout.readline()
        client = subprocess.Popen(self.client, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL, text=True)
        return [self.end(client, ""), self.end(server, first)]

    def end(self, process, said):
        try:
            said += process.communicate(timeout=self.seconds)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return None, said + process.communicate()[0]
        return process.returncode, said


def wrong(ends, brokers):
    """What should not be, or ""."""
    for name, (status, said) in zip(("client", "server"), ends):
        if status is None:
            return f"the {name} does not return: {said!r}"
        if status < 0 or status > 128:
            return f"the {name} died: {status}: {said!r}"
    for pid in brokers:
        if not os.path.exists(f"/proc/{pid}"):
            return "a broker died"
    (client, heard), (server, told) = ends
    if client != 0 and server != 0 and "failed" not in heard + told:
        return f"nobody says why: {heard!r} {told!r}"
    if client == 0 and server == 0 and "latched" not in heard and "failed" not in heard:
        return f"complete without a latch: {heard!r}"
    return ""


def fail_each(logins, control, who, kind, samples, brokers):
    control.arm(kind, 0)
    ends = logins.run()
    calls = control.read()[0][kind]
    control.disarm()
    problems = [f"nothing fails, and yet: {ends}"] if any(e[0] != 0 for e in ends) else []
    refused = tolerated = missed = 0
    began, slowest = time.monotonic(), 0.0
    for at in sorted({1 + index * calls // samples for index in range(samples)} if samples
                     else range(1, calls + 1)):
        control.arm(kind, at)
        login_began = time.monotonic()
        ends = logins.run()
        slowest = max(slowest, time.monotonic() - login_began)
        _, failed, name = control.read()
        control.disarm()
        problem = wrong(ends, brokers)
        if problem:
            problems.append(f"{kind}:{at} {name}: {problem}")
        elif not failed:
            missed += 1
        elif all(status == 0 for status, _ in ends):
            tolerated += 1
        else:
            refused += 1
    for problem in problems[:8]:
        print("    " + problem)
    print(f"{'FAIL' if problems else 'ok'} faults of {who}, {kind}: of {calls} calls "
          f"{refused + tolerated + missed} failed in turn: {refused} refused, {tolerated} tolerated, "
          f"{missed} not reached, {len(problems)} wrong; {time.monotonic() - began:.0f} s, the slowest login "
          f"{slowest:.1f} s", flush=True)
    return not problems


def main():
    directory, samples, seconds, broker_pids = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), \
        sys.argv[4].split(",")
    rest = sys.argv[5:]
    whos, rest = rest[:rest.index(":::")], rest[rest.index(":::") + 1:]
    server, client = rest[:rest.index(":::")], rest[rest.index(":::") + 1:]
    logins = Logins(seconds, server, client)
    good = True
    for who in whos:
        for kind in OF_BROKER if who in "AB" else OF_PROGRAM:
            good &= fail_each(logins, Control(directory, who), who, kind, samples, broker_pids)
    sys.exit(0 if good else 1)


main()
