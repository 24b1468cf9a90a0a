#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Times of whole runs under either of two GSS_MECH_CONFIG files, in turns: starts.py ROUNDS WITHOUT WITH HOST."""
import glob
import os
import random
import statistics
import subprocess
import sys
import time

ROUNDS, WITHOUT, WITH, HOST = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
PSQL = [glob.glob("/usr/lib/postgresql/*/bin/psql")[0], "-At", f"host={HOST} user=alice dbname=postgres", "-c", "select 1"]
PROGRAMS = {
    "ssh, which logs in": ["ssh", "-n", f"alice@{HOST}", "true"],
    "psql": PSQL,
    "ldapwhoami -Y GSSAPI": ["ldapwhoami", "-Y", "GSSAPI", "-H", f"ldap://{HOST}"],
    "curl --negotiate": ["curl", "-s", "--negotiate", "-u", ":", f"http://{HOST}/page"],
    "gss-client -spnego": ["gss-client", "-spnego", HOST, f"sample@{HOST}", "hello"],
    "gss-server, refused": ["gss-server", "-once", "-port", "4445", "sample"],
}


def run(command, config):
    environment = dict(os.environ, GSS_MECH_CONFIG=config)
    begin = time.perf_counter()
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=False)
    return (time.perf_counter() - begin) * 1000


def main():
    print("| program | without, ms | with, ms | median of pairs | lowest tenth |")
    print("| --- | --- | --- | --- | --- |")
    for name, command in PROGRAMS.items():
        times = {WITHOUT: [], WITH: []}
        for _ in range(ROUNDS):
            for config in random.sample([WITHOUT, WITH], 2):
                times[config].append(run(command, config))
        low = [statistics.quantiles(times[config], n=10)[0] for config in (WITHOUT, WITH)]
        middle = [statistics.median(times[config]) for config in (WITHOUT, WITH)]
        pairs = statistics.median(b - a for a, b in zip(times[WITHOUT], times[WITH]))
        print(f"| {name} | {middle[0]:.2f} | {middle[1]:.2f} ({middle[1] / middle[0]:.3f}) | {pairs:+.2f} ms"
              f" | {low[0]:.2f}, {low[1]:.2f} ({low[1] / low[0]:.3f}) |", flush=True)


if __name__ == "__main__":
    main()
