#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whole runs of programs under each of three GSS_MECH_CONFIG files, in turns, and what they take of time and
of the processor; before that, what loading takes: starts.py ROUNDS DIR HOST [PROGRAM...]."""
import glob
import os
import pwd
import random
import statistics
import subprocess
import sys
import time

ROUNDS, DIR, HOST = int(sys.argv[1]), sys.argv[2], sys.argv[3]
ALICE = pwd.getpwnam("alice")
WITHOUT, EMPTY, WITH = CONFIGS = [f"{DIR}/{name}" for name in ("without", "empty", "with")]
PSQL = glob.glob("/usr/lib/postgresql/*/bin/psql")[0]
PROGRAMS = {
    "`curl --negotiate`": ["curl", "-s", "--negotiate", "-u", ":", f"http://{HOST}/page"],
    "`ldapwhoami -Y GSSAPI`": ["ldapwhoami", "-Y", "GSSAPI", "-H", f"ldap://{HOST}"],
    "`psql`": [PSQL, "-At", f"host={HOST} user=alice dbname=postgres", "-c", "select 1"],
    "`gss-client -spnego`": ["gss-client", "-spnego", HOST, f"sample@{HOST}", "hello"],
    "`gss-server`, refused": ["gss-server", "-once", "-port", "4445", "sample"],
    "`ssh`, which logs in": ["ssh", "-n", f"alice@{HOST}", "true"],
}


def become_alice():
    if os.environ.get("REALTIME"):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))
    os.setgroups([ALICE.pw_gid])
    os.setgid(ALICE.pw_gid)
    os.setuid(ALICE.pw_uid)


def run(command, config):
    """Milliseconds of the clock, and of the processor."""
    begin = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        nowhere = os.open("/dev/null", os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nowhere, descriptor)
        become_alice()
        os.execvpe(command[0], command, dict(os.environ, GSS_MECH_CONFIG=config))
    _, _, usage = os.wait4(pid, 0)
    elapsed = time.perf_counter() - begin
    return elapsed * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def load(config):
    """Microseconds of the processor, and page faults."""
    output = subprocess.run([f"{DIR}/bench_load"], env={"GSS_MECH_CONFIG": config},
                            capture_output=True, check=True,
                            preexec_fn=become_alice).stdout
    return [float(word) for word in output.split()]


def in_turns(measure):
    taken = {config: [] for config in CONFIGS}
    for _ in range(ROUNDS):
        for config in random.sample(CONFIGS, len(CONFIGS)):
            taken[config].append(measure(config))
    return taken


def show_loading():
    print("| registered | processor: median, least | page faults |\n| --- | --- | --- |")
    taken = in_turns(load)
    for config, word in ((WITHOUT, "nothing"), (EMPTY, "an empty plugin"), (WITH, "ours")):
        micros, faults = zip(*taken[config])
        print(f"| {word} | {statistics.median(micros):.0f}, {min(micros):.0f} us |"
              f" {statistics.median(faults):.0f} |", flush=True)


def row(name, taken):
    """Of the differences the median is taken over rounds: what changes from round to round is in both."""
    clock, processor = ({c: [r[which] for r in taken[c]] for c in CONFIGS} for which in range(2))
    cells = [name]
    cells += [f"{statistics.median(clock[EMPTY]) / statistics.median(clock[WITHOUT]):.3f}, "
              f"{statistics.median(clock[WITH]) / statistics.median(clock[WITHOUT]):.3f}"]
    base = statistics.median(processor[WITHOUT])
    more = [statistics.median(b - a for a, b in zip(processor[WITHOUT], processor[c]))
            for c in (EMPTY, WITH)]
    cells += [f"{base:.2f} ms"] + [f"{m:+.3f} ms, {1 + m / base:.3f}" for m in more]
    beyond = statistics.median(b - a for a, b in zip(processor[EMPTY], processor[WITH]))
    cells += [f"{beyond:+.3f} ms, {beyond / base:+.3f}", f"{more[1] / more[0]:.2f}"]
    return "| " + " | ".join(cells) + " |"


def main():
    show_loading()
    print("| program | clock: empty, ours | processor without | empty | ours | ours beyond empty"
          " | more, ours to empty |\n|" + " --- |" * 7)
    for name, command in PROGRAMS.items():
        if len(sys.argv) == 4 or any(word in name for word in sys.argv[4:]):
            print(row(name, in_turns(lambda config, c=command: run(c, config))), flush=True)


if __name__ == "__main__":
    main()
