#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whole runs of programs under either of two GSS_MECH_CONFIG files, in turns, and what they take of time and
of the processor: starts.py ROUNDS WITHOUT WITH HOST."""
import glob
import os
import random
import statistics
import sys
import time

ROUNDS, WITHOUT, WITH, HOST = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
PSQL = glob.glob("/usr/lib/postgresql/*/bin/psql")[0]
PROGRAMS = {
    "`curl --negotiate`": ["curl", "-s", "--negotiate", "-u", ":", f"http://{HOST}/page"],
    "`ldapwhoami -Y GSSAPI`": ["ldapwhoami", "-Y", "GSSAPI", "-H", f"ldap://{HOST}"],
    "`psql`": [PSQL, "-At", f"host={HOST} user=alice dbname=postgres", "-c", "select 1"],
    "`gss-client -spnego`": ["gss-client", "-spnego", HOST, f"sample@{HOST}", "hello"],
    "`gss-server`, refused": ["gss-server", "-once", "-port", "4445", "sample"],
    "`ssh`, which logs in": ["ssh", "-n", f"alice@{HOST}", "true"],
}


def run(command, config):
    """Milliseconds of the clock, and of the processor."""
    begin = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        nowhere = os.open("/dev/null", os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nowhere, descriptor)
        os.execvpe(command[0], command, dict(os.environ, GSS_MECH_CONFIG=config))
    _, _, usage = os.wait4(pid, 0)
    elapsed = time.perf_counter() - begin
    return elapsed * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def main():
    print("| program | time without, with | ratio | processor without, with | ratio | more |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, command in PROGRAMS.items():
        runs = {WITHOUT: [], WITH: []}
        for _ in range(ROUNDS):
            for config in random.sample([WITHOUT, WITH], 2):
                runs[config].append(run(command, config))
        row = [name]
        for which in range(2):
            a, b = (statistics.median(r[which] for r in runs[c]) for c in (WITHOUT, WITH))
            row += [f"{a:.2f}, {b:.2f} ms", f"{b / a:.3f}"]
        more = statistics.median(b[1] - a[1] for a, b in zip(runs[WITHOUT], runs[WITH]))
        print("| " + " | ".join(row + [f"{more:+.2f} ms"]) + " |", flush=True)


if __name__ == "__main__":
    main()
