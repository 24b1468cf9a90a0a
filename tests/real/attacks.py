#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the attack table: attacks.py TABLE [OPTION...], started by attacks.sh in the guest.

    --client COMMAND --server COMMAND   the victims, as one quoted line each
    --host-a COMMAND --host-b COMMAND   what runs a command there as root
    --interfaces A,B                    the attacker's ends of the cable
    --only PATTERN                      rows whose name matches (fnmatch; * is any text)
    --guest KIND                        rows for this kind of guest only (guest=KIND)
    --defence NAME                      rows that name this defence
    --expect-success                    rows must show what their last column says they show
                                        where the defence is missing
    --out FOLDER                        captures and protocols of rows that fail

One line for each row: "ok NAME" or "FAIL NAME" and why.  What holds for every row is judged here
too, see violations().
"""
import argparse
import fnmatch
import itertools
import os
import re
import shlex
import subprocess
import sys
import time

import attack_esp  # noqa: F401 (for what it enters into ATTACKS)
import attack_proxy  # noqa: F401
import attack_tokens  # noqa: F401
from attack_moves import ATTACKS
from attack_frames import ESP, TCP
from attacker import Flow, Wire, other

COLUMNS = ("name", "attack", "policy", "victim", "client", "server", "client_reads",
           "server_reads", "seconds", "without")
PROTECTED = b"protectedline"
LINE = "{} {:08d} protectedline..\n"
LINE_BYTES = 32
FIRST_PORT = 20000  # of the client; each row has the next two
ROLES = {"A": "client", "B": "server"}
# A running process looks at its configuration once a second.
LOOK_SECONDS = 1.1
# How long the programs wait: rows in which they wait in vain, and all others on a busy machine.
WAITS_MS, NEVER_MS = 2000, 15000
PATIENCE = 4  # seconds behind a row's own limit until its programs count as hung


class Row:
    def __init__(self, line, number):
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != len(COLUMNS):
            raise SystemExit(f"attacks.table:{number}: {len(fields)} columns")
        self.__dict__.update(zip(COLUMNS, fields))
        self.attack_name, *words = self.attack.split()
        self.options = dict(word.split("=", 1) for word in words)
        if self.attack_name not in ATTACKS:
            raise SystemExit(f"attacks.table:{number}: no attack {self.attack_name}")
        self.defence, _, self.sign = self.without.partition(":")
        self.config = self.options.get("config", "usual")
        self.order = dict(word.split("=", 1) for word in self.victim.split())

    def is_stall(self):
        return "none" in f"{self.client}/{self.server}".split("/") or \
            "nothing" in f"{self.client_reads}/{self.server_reads}".split("/")


def expand(line):
    """A line with {a,b} as two, one with each word; all {} of the same words go together."""
    braces = re.search(r"\{([^{}]*,[^{}]*)\}", line)
    if braces is None:
        return [line]
    return [row for word in braces[1].split(",") for row in expand(line.replace(braces[0], word))]


def read_table(path):
    with open(path, encoding="ascii") as file:
        return [Row(row, number) for number, line in enumerate(file, 1)
                if line.strip() and not line.startswith("#") for row in expand(line.strip())]


class Victim:
    """One of the two programs: orders in, lines out."""

    def __init__(self, side, command):
        self.side = side
        self.process = subprocess.Popen(shlex.split(command), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.rest, self.is_ready, self.flow = b"", False, None
        self.begin(None)

    def begin(self, flow):
        self.flow, self.calls, self.lines, self.is_ended = flow, 0, [], False
        self.result = self.ended = None
        self.delivered, self.body, self.notice = None, None, b""
        self.sent, self.returned = 0, None
        self.requests, self.is_waiting = [], False

    def order(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def read(self):
        octets = self.process.stdout.read()
        if octets == b"":
            raise SystemExit(f"the {ROLES[self.side]} has ended: {self.rest}")
        *lines, self.rest = (self.rest + (octets or b"")).split(b"\n")
        for line in lines:
            word, _, text = line.decode("latin-1").partition(" ")
            self.lines.append(f"{word} {text}"[:200])
            handler = getattr(self, f"take_{word}", None)
            if handler is not None:
                handler(text)

    def take_ready(self, _):
        self.is_ready, self.ready_at = True, time.monotonic()

    def take_waiting(self, _):
        self.is_waiting = True

    def take_pid(self, text):
        self.flow.pids[self.side] = int(text)

    def take_write(self, text):
        self.flow.written[self.side] += int(text)
        self.flow.last_write[self.side] = int(text)

    def take_call(self, _):
        self.calls += 1
        self.flow.tell(f"{self.side}.call{self.calls}")

    def take_request(self, text):
        self.requests.append(text)

    def take_result(self, text):
        self.result = text
        if text.startswith("COMPLETE"):
            self.flow.tell(f"{self.side}.complete")

    def take_delivered(self, text):
        self.delivered = bytes.fromhex(text)

    def take_notice(self, text):
        self.notice = bytes.fromhex(text)

    def take_body(self, text):
        self.body = bytes.fromhex(text)

    def take_sent(self, text):
        self.sent = int(text.split()[0])

    def take_ended(self, text):
        self.ended = text

    def take_returned(self, text):
        self.returned = int(text)

    def take_end(self, _):
        self.is_ended = True
        self.flow.pids.pop(self.side, None)

    # --- what it came to ---

    def outcome(self):
        """As the table says it: "COMPLETE latched", "FAILURE pending", "none eof"."""
        if self.result is None or self.result.startswith("none"):
            return f"none {self.ended or 'hung'}"
        return self.result

    def is_latched(self):
        return self.result == "COMPLETE latched"


def genuine(side, count):
    return "".join(LINE.format(ROLES[side], i) for i in range(count // LINE_BYTES)).encode()


class Run:
    """One row, run."""

    def __init__(self, row, wire, victims, hosts, port, expects_success):
        self.row, self.wire, self.victims, self.hosts = row, wire, victims, hosts
        self.port = port  # the client's own: an earlier connection may be closing for long
        # An attack that succeeds leaves two programs that wait for each other.
        self.patience = WAITS_MS if row.is_stall() or expects_success else NEVER_MS
        self.send_bytes = int(row.order.get("send", 320))

    def play(self, past):
        row, wire = self.row, self.wire
        wire.log = []
        flow = self.flow = Flow(wire, past, bool(row.options.get("timestamps")))
        flow.attack = ATTACKS[row.attack_name](flow, row.options)
        wire.tap = flow.take
        self.prepare("SETUP")
        try:
            self.exchange(flow)
        finally:
            self.prepare("CLEANUP")
        past["spis"] |= set(flow.spis.values())
        for side in "AB":
            past[f"ESP.{side}"] = [frame for _, sender, frame in wire.log
                                   if sender == side and frame.protocol == ESP]

    def prepare(self, what):
        """What an attack wants of a host first, and takes away again."""
        for side, commands in getattr(self.flow.attack, what, {}).items():
            subprocess.run([*shlex.split(self.hosts[side]), "sh", "-e", "-c", commands], check=True)

    def exchange(self, flow):
        row, wire = self.row, self.wire
        words = {"service": row.policy, "timeout": self.patience, **row.order}
        order = " ".join(f"{name}={value}" for name, value in words.items())
        for victim in self.victims.values():
            victim.begin(flow)
        limit = time.monotonic() + float(row.seconds) + PATIENCE
        self.victims["B"].order(f"{order} halt={flow.attack.halts.get('B', 0)}")
        while not self.victims["B"].is_waiting and time.monotonic() < limit:
            wire.pump(1)
        self.victims["A"].order(
            f"{order} halt={flow.attack.halts.get('A', 0)} port={self.port}")
        while not all(victim.is_ended for victim in self.victims.values()):
            wire.pump(max(0, limit - time.monotonic()))
            if time.monotonic() > limit:
                self.end_hung()

    def end_hung(self):
        for pid in list(self.flow.pids.values()):
            os.kill(pid, 9)
        for side in list(self.flow.pids):
            self.flow.pids.pop(side)

    # --- judging ---

    def reads(self, side):
        """What the program on this side was given after COMPLETE, in the table's word."""
        victim, sender = self.victims[side], self.victims[other(side)]
        if victim.delivered is None:
            return "none"
        if not victim.delivered and (victim.ended != "eof" or not sender.sent + len(sender.notice)):
            return "nothing"
        if sender.notice:
            return "notice" if victim.delivered == sender.notice else (
                "prefix" if sender.notice.startswith(victim.delivered) else "forged")
        whole = genuine(other(side), self.send_bytes)
        if victim.delivered == whole[:sender.sent] and victim.ended == "eof":
            return "genuine"
        if not whole.startswith(victim.delivered):
            return "forged"
        if victim.ended == "eof":
            return "truncated"
        return "prefix"

    def clear_after_esp(self, side):
        """Clear segments of the connection that this host itself sent behind its first ESP."""
        has_esp = False
        for _, sender, frame in self.wire.log:
            if sender != side:
                continue
            if frame.protocol != TCP:
                has_esp |= frame is self.flow.first_esp.get(side)
            elif has_esp and self.flow.has_ports(frame):
                return True
        return False

    def protected_lines_in_clear(self, side):
        """Protected lines that this host sent readably; a connection of the row before may still speak."""
        return any(sender == side and PROTECTED in frame.raw and
                   (frame.protocol != TCP or self.flow.has_ports(frame))
                   for _, sender, frame in self.wire.log)

    def violations(self):
        """Whatever the row says, these never happen where the promise holds."""
        found = set()
        for side, victim in self.victims.items():
            if not victim.is_latched():
                if (victim.result or "").startswith("COMPLETE") and "auto" not in self.row.policy:
                    found.add("unlatched")
                continue
            if self.reads(side) in ("forged", "truncated"):
                found.add(self.reads(side))
            if victim.body is not None and victim.body.strip(b"b"):
                found.add("forged")
            if self.clear_after_esp(side):
                found.add("clear")
            if self.protected_lines_in_clear(side):
                found.add("clear")
        return found

    def differences(self):
        row = self.row
        seen = {"client": self.victims["A"].outcome(), "server": self.victims["B"].outcome(),
                "client_reads": self.reads("A"), "server_reads": self.reads("B")}
        wrong = [f"{name} {text}, not {getattr(row, name)}" for name, text in seen.items()
                 if not {text, text.split()[0]} & set(getattr(row, name).split("/"))]
        for side, victim in self.victims.items():
            if victim.returned is None or victim.returned > float(row.seconds) * 1000:
                wrong.append(f"{ROLES[side]} returned after {victim.returned} ms")
        return wrong

    def judge(self):
        return [f"promise broken: {word}" for word in sorted(self.violations())] + \
            self.differences()

    def judge_success(self):
        """Against a weakened build: the sign that the row promises must show."""
        signs = self.violations()
        if self.differences():
            signs.add("denied")
        for victim, expected in ((self.victims["A"], self.row.client),
                                 (self.victims["B"], self.row.server)):
            if "COMPLETE" not in expected and (victim.result or "").startswith("COMPLETE"):
                signs.add("impostor" if victim.is_latched() else "unlatched")
        return [] if self.row.sign in signs else \
            [f"{self.row.sign} does not show, but: {' '.join(sorted(signs)) or 'nothing'}"]

    def protocol(self):
        for side in "AB":
            yield from (f"{ROLES[side]}: {line}" for line in self.victims[side].lines)
        runs = [(event, len(list(same))) for event, same in itertools.groupby(self.flow.events)]
        yield "events: " + " ".join(
            event if count == 1 else f"{count}*{event}" for event, count in runs)


def configure(name, hosts, victims):
    """Both hosts have the configuration with this name (attacks.sh) from now on."""
    for side in "AB":
        subprocess.run([*shlex.split(hosts[side]), "cp", f"/etc/gss/{name}.conf",
                        "/etc/gss/ipsec.conf"], check=True)
    looked = max(victim.ready_at for victim in victims.values())
    time.sleep(max(0, looked + LOOK_SECONDS - time.monotonic()))


def run_rows(rows, wire, victims, options):
    past, failed, config = {"spis": set()}, 0, "usual"
    hosts = {"A": options.host_a, "B": options.host_b, "M": ""}
    for number, row in enumerate(rows):
        begun = time.monotonic()
        if row.config != config:
            config = row.config
            configure(config, hosts, victims)
        run = Run(row, wire, victims, hosts, FIRST_PORT + 2 * number,
                  options.expect_success)
        run.play(past)
        wrong = run.judge_success() if options.expect_success else run.judge()
        name = f"{row.defence}: {row.name}" if options.expect_success else row.name
        seconds = time.monotonic() - begun
        print(f"{'FAIL' if wrong else 'ok'} {name} ({seconds:.2f} s)", flush=True)
        if wrong or options.verbose:
            failed += bool(wrong)
            print("    " + "\n    ".join(wrong + list(run.protocol())), flush=True)
            base = os.path.join(options.out, re.sub("[^A-Za-z0-9]+", "-", row.name))
            wire.write_capture(base + ".pcap", wire.log)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table")
    for name in ("client", "server", "host-a", "host-b", "interfaces", "out"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--only", default="*")
    parser.add_argument("--defence")
    parser.add_argument("--guest")
    parser.add_argument("--expect-success", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    # The modules of the machine's own kernel are not ours to load.
    is_native = os.environ.get("GUEST_KIND", "native") == "native"
    rows = [row for row in read_table(options.table)
            if fnmatch.fnmatch(row.name, options.only)
            and row.options.get("guest") == options.guest
            and not (is_native and ATTACKS[row.attack_name].LOADS_MODULES)
            and (options.defence is None or row.defence == options.defence)
            and (not options.expect_success or row.defence != "-")]
    rows.sort(key=lambda row: (row.config != "usual", row.config))  # few changes of configuration
    if not rows:
        print("FAIL no row of the table is meant")
        return 1
    wire = Wire(dict(zip("AB", options.interfaces.split(","))))
    victims = {side: Victim(side, getattr(options, ROLES[side])) for side in "AB"}
    for victim in victims.values():
        wire.watch(victim.process.stdout, victim.read)
    while not all(victim.is_ready for victim in victims.values()):
        wire.pump(10)
    return 1 if run_rows(rows, wire, victims, options) else 0


if __name__ == "__main__":
    sys.exit(main())
