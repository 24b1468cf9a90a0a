#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Logins between the two hosts of hosts.sh in which one call fails: in the client, the server, or
one of the brokers.  Run by faults.sh:

    faults.py DIRECTORY LOG SAMPLES SECONDS PIDS WHO... ::: SERVER-COMMAND ::: CLIENT-COMMAND

PIDS are the brokers'.  WHO is client, server, A or B, or WHO:TITLE for one row of the tables below.

DIRECTORY/WHO.faults is the control block of tests/faults/faults.h that WHO has preloaded.  Of each
kind SAMPLES calls fail (0: all), each in a login of its own.  Each login ends within SECONDS on both
sides, complete and latched or with a sentence, and nobody dies of a signal; a program whose call failed
says nothing that this kind of failure does not mean, and has no more descriptors open and no blocks
of the mechanism's left at its end than one whose calls all succeed.  Prints "ok" and "FAIL" lines, and
appends each login to LOG."""

import collections
import functools
import os
import re
import struct
import subprocess
import sys
import time

KINDS = ("memory", "random", "crypto", "system", "netlink")
LAYOUT = struct.Struct("=iiiiq5qqqii64siii512I")  # struct faults_control
PLUGIN = "/usr/lib/gss/mech_ipsec.so"
# The configuration is kept for the next login, and looked at anew when a second has passed.
KEPT = re.compile(r"/base/(config[a-z_]*|thread_memory)\.c:")
# What a program may say, by itself, of its own calls that fail; of system calls much is right.
MEMORY = "this process got no memory"
CRYPTO = "OpenSSL on this side refused"  # which does not always say why
LIBRARY = "Unknown error"  # of libgssapi's own
BROKER = "gss-ipsecd does not answer"  # no answer of it could be had
VERDICTS = {"the peer's token was changed": "EVP_CipherFinal_ex",
            "the peer's signature does not verify": "EVP_DigestVerify"}
RIGHT = {"memory": (MEMORY, CRYPTO, LIBRARY, BROKER, "the broker of this side was restarted"),
         "random": ("this host gave no random numbers", CRYPTO),
         "crypto": (CRYPTO, MEMORY)}
TRIES = 3
FROM_T3 = 2  # the second call of either program takes T2 or T3, makes T3 or T4

Row = collections.namedtuple("Row", "title kind only_ours from_call")
OF_BROKER = (Row("memory", "memory", 1, 0), Row("system", "system", 1, 0),
             Row("netlink", "netlink", 1, 0))
OF_PROGRAM = (Row("memory", "memory", 1, 0), Row("random", "random", 0, 0),
              Row("crypto", "crypto", 1, 0), Row("system", "system", 1, 0),
              Row("all-memory-from-T3", "memory", 0, FROM_T3))


class Control:
    def __init__(self, directory, who):
        self.path = os.path.join(directory, who + ".faults")

    def arm(self, row, at):
        values = [1, KINDS.index(row.kind), row.only_ours, row.from_call, at] + [0] * 9 + [b""] + \
            [0] * 515
        with open(self.path, "r+b") as file:
            file.write(LAYOUT.pack(*values))

    def disarm(self):
        with open(self.path, "r+b") as file:
            file.write(struct.pack("=i", 0))

    def read(self):
        """How often each kind was called, how many failed, which function did, and what is left."""
        with open(self.path, "rb") as file:
            fields = LAYOUT.unpack(file.read(LAYOUT.size))
        is_ended, descriptors, left = fields[15:18]
        return dict(zip(KINDS, fields[5:10])), fields[10], fields[14].rstrip(b"\0").decode(), \
            Left(is_ended, descriptors, collections.Counter(fields[18:18 + left]))


# What a program had at its end: descriptors open, and who has allocated the blocks that are left.
Left = collections.namedtuple("Left", "is_ended descriptors blocks")


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
        if "login ok" in said and not re.search(r"^(reason: [0-9]+ latched|login failed: .*)$", said, re.M):
            return f"complete without a latch: {said!r}"
    for pid in brokers:
        if not os.path.exists(f"/proc/{pid}"):
            return "a broker died"
    (client, heard), (server, told) = ends
    if client != 0 and server != 0 and "failed" not in heard + told:
        return f"nobody says why: {heard!r} {told!r}"
    return ""


def wrong_left(left, clean):
    """The same of what a program has left."""
    if not left.is_ended:
        return "it did not end by itself"
    if left.descriptors > clean.descriptors:
        return f"{left.descriptors} descriptors are open at its end, not {clean.descriptors}"
    lost = [f"{count} of {place}" for place, count in ((allocated_at(at), count) for at, count in
                                                      (left.blocks - clean.blocks).items())
            if not KEPT.search(place)]
    return "blocks are lost: " + " ".join(lost) if lost else ""


@functools.cache
def allocated_at(offset):
    """The source line of a call that returns there."""
    said = subprocess.run(["addr2line", "-e", PLUGIN, hex(offset - 1)], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    return said.strip() or hex(offset)


def sentences(said):
    return [line[7:] for line in said.splitlines() if line.startswith("minor: ")]


def wrong_said(said, row, name):
    """What a program should not say of its call of that name, or ""."""
    for sentence in sentences(said):
        verdicts = [text for text, function in VERDICTS.items() if function == name]
        if row.kind in RIGHT and not sentence.startswith((*RIGHT[row.kind], *verdicts)):
            return f"not for this: {sentence!r}"
    return ""


class Tally:
    def __init__(self):
        self.refused = self.tolerated = self.missed = 0
        self.problems = []

    def add(self, text, failed, ends, problem):
        if problem:
            self.problems.append(f"{text}: {problem}")
        elif not failed:
            self.missed += 1
        elif all(status == 0 for status, _ in ends):
            self.tolerated += 1
        else:
            self.refused += 1


def count_calls(logins, control, row, tally):
    """Those of a login in which nothing fails, and what it leaves; where all is busy it may take longer
    than the programs wait."""
    for _ in range(TRIES):
        control.arm(row, 0)
        ends = logins.run()
        seen, _, _, left = control.read()
        control.disarm()
        if all(status == 0 for status, _ in ends):
            break
    else:
        tally.problems.append(f"nothing fails, and yet: {ends}")
    return seen[row.kind], left


def fail_each(logins, control, who, row, samples, brokers, log):
    is_program = who in ("client", "server")
    tally = Tally()
    calls, clean = count_calls(logins, control, row, tally)
    began, slowest = time.monotonic(), 0.0
    for at in sorted({1 + index * calls // samples for index in range(samples)} if samples
                     else range(1, calls + 1)):
        control.arm(row, at)
        login_began = time.monotonic()
        ends = logins.run()
        slowest = max(slowest, time.monotonic() - login_began)
        _, failed, name, left = control.read()
        control.disarm()
        problem = wrong(ends, brokers)
        if is_program and not problem:
            said = ends[0 if who == "client" else 1][1]
            problem = wrong_said(said, row, name) or wrong_left(left, clean)
        tally.add(f"{row.title}:{at} {name}", failed, ends, problem)
        print(who, row.title, at, name, *(status for status, _ in ends),
              *("|".join(sentences(said)) or "-" for _, said in ends), problem, sep="\t", file=log,
              flush=True)
    for problem in tally.problems[:8]:
        print("    " + problem)
    print(f"{'FAIL' if tally.problems else 'ok'} faults of {who}, {row.title}: of {calls} calls "
          f"{tally.refused + tally.tolerated + tally.missed} failed in turn: {tally.refused} refused, "
          f"{tally.tolerated} tolerated, {tally.missed} not reached, {len(tally.problems)} wrong; "
          f"{time.monotonic() - began:.0f} s, the slowest login {slowest:.1f} s", flush=True)
    return not tally.problems


def main():
    directory, log_path, samples, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    broker_pids, rest = sys.argv[5].split(","), sys.argv[6:]
    whos, rest = rest[:rest.index(":::")], rest[rest.index(":::") + 1:]
    server, client = rest[:rest.index(":::")], rest[rest.index(":::") + 1:]
    logins = Logins(seconds, server, client)
    good = True
    with open(log_path, "a", encoding="ascii") as log:
        for who, _, wanted in (name.partition(":") for name in whos):
            for row in OF_BROKER if who in "AB" else OF_PROGRAM:
                if wanted not in ("", row.title):
                    continue
                good &= fail_each(logins, Control(directory, who), who, row, samples, broker_pids, log)
    sys.exit(0 if good else 1)


main()
