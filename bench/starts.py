#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whole runs of programs under either of two GSS_MECH_CONFIG files, in turns, and what they take of time and
of the processor; before that, what loading takes: starts.py ROUNDS DIR HOST."""
import glob
import os
import random
import statistics
import subprocess
import sys
import time

ROUNDS, DIR, HOST = int(sys.argv[1]), sys.argv[2], sys.argv[3]
WITHOUT, OTHER, WITH = (f"{DIR}/{name}" for name in ("without", "other", "with"))
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


def show_loading():
    taken = {WITHOUT: [], OTHER: [], WITH: []}
    for _ in range(ROUNDS):
        for config in random.sample(list(taken), 3):
            output = subprocess.run([f"{DIR}/bench_load"], env={"GSS_MECH_CONFIG": config},
                                    capture_output=True, check=True).stdout
            taken[config].append(float(output))
    for config, word in ((WITHOUT, "no plugin"), (OTHER, "another plugin"), (WITH, "ours")):
        print(f"gss_indicate_mechs, {word}: median {statistics.median(taken[config]):.0f} us,"
              f" least {min(taken[config]):.0f} us", flush=True)


def main():
    show_loading()
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
