#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The campaign of sudden deaths: which moments, what was on the wire, and the table of results.

    kills.py plan --seed N --kills N [--from N] --lanes N --folder FOLDER CALLS
        CALLS: what "kill_lane count" printed.  Writes FOLDER/plan.0, plan.1, ...  With --kills 0
        one moment of each victim in each step, else so many: every moment once before any twice.
        --from: goes on where another run with this seed ended.
    kills.py judge WINDOWS CAPTURE...
        each connection in its window of time, and the other one over the whole time.
    kills.py table --head TEXT RESULT...
        what the lanes printed, as a table.
"""
import argparse
import collections
import random
import re
import sys

import capture

PORT, OTHER_PORT = 4646, 4747
VICTIMS = ("client", "server", "A", "B", "worker-A", "worker-B", "both")
PAUSES = ("T1", "T2", "T3", "T4", "T5")
STAGES = ("idle", "transfer", "fin-wait-1", "fin-wait-2", "last-ack", "orphan", "time-wait")
BROKERS = ("A", "B", "both")
# In the long form, of each victim in each stage, before any moment comes again.
STAGE_TIMES = {"client": 10, "server": 10, "A": 5, "B": 5, "worker-A": 2, "worker-B": 2, "both": 2}
ADOPTION_TIMES = 5
MISSED_FEW = 3  # calls that some exchanges make and others do not
STEPS = PAUSES + ("failure", "idle", "adoption", "transfer", "close", "fin-wait-1", "fin-wait-2",
                  "last-ack", "orphan", "time-wait")


FAILING = ("stranger", "silent")  # scenarios in which the exchange comes to nothing


def category(scenario, step):
    return "failure" if scenario in FAILING else step


def is_wanted(caller, scenario, step, kind, ordinal):
    """Of the calls counted, those that lead somewhere else than another one."""
    if step in ("start", "transfer") or (kind == "option" and caller in ("client", "server")):
        return False
    if kind in ("diag", "event"):  # once a second as long as anything lives, or when others end
        return scenario == "whole" and ordinal == 1 and (
            step == "close" or (step == "idle" and kind == "diag"))
    if scenario == "whole":  # a broker has nothing to do when a connection is idle
        return step != "idle"
    if scenario == "stranger":
        return step in ("T3", "T4", "failure")
    return step == "failure" or (step == "T3" and caller in ("server", "B", "worker-B"))


def moments_of_calls(lines):
    calls = [line.split() for line in lines]
    # The last word that a worker waits for in a step comes with the next request only.
    last = {(c[0], c[1], c[2], c[3]): int(c[4]) for c in calls}
    for caller, scenario, step, kind, ordinal, when in calls:
        if not is_wanted(caller, scenario, step, kind, int(ordinal)):
            continue
        if (caller.startswith("worker") and kind == "hear" and when == "after"
                and int(ordinal) == last[caller, scenario, step, kind]):
            continue
        yield (caller, caller, scenario, step, kind, ordinal, when)
        if caller in "AB" and kind in ("xfrm", "journal") and when == "after":
            yield ("both", caller, scenario, step, kind, ordinal, when)


def moments_of_stages(is_long, chance):
    """Each with its milliseconds after the stage's begin."""
    places = [("whole", stage) for stage in STAGES] + [(f"pause-{at}", at) for at in PAUSES]
    places = [(victim, *place) for victim in VICTIMS for place in places
              for _ in range(STAGE_TIMES[victim] if is_long else 1)]
    places += [(victim, "whole", "adoption") for victim in BROKERS
               for _ in range(ADOPTION_TIMES if is_long else 1)]
    return [(victim, "nobody", scenario, step, "-", str(chance.randrange(200)), "-")
            for victim, scenario, step in places]


def plan_short(moments, chance):
    """One of each victim in each step."""
    groups = collections.defaultdict(list)
    for moment in moments:
        groups[moment[0], category(moment[2], moment[3])].append(moment)
    return [chance.choice(group) for group in groups.values()]


def plan_long(calls, stages, kills, chance):
    chosen = calls + stages
    chance.shuffle(chosen)
    while len(chosen) < kills:
        chosen += chance.sample(calls, len(calls))
    return chosen[:kills]


def plan(options):
    chance = random.Random(options.seed)
    with open(options.calls, encoding="ascii") as file:
        calls = list(moments_of_calls(file))
    stages = moments_of_stages(options.kills > 0, chance)
    if not calls:
        sys.exit("no calls were counted")
    if options.kills == 0:
        chosen = plan_short(calls + stages, chance)
        chance.shuffle(chosen)
    else:
        chosen = plan_long(calls, stages, options.begin + options.kills, chance)[options.begin:]
    for lane in range(options.lanes):
        with open(f"{options.folder}/plan.{lane}", "w", encoding="ascii") as file:
            file.writelines(" ".join(moment) + "\n" for moment in chosen[lane::options.lanes])
    print(f"{len(calls)} moments at system calls, {len(stages)} between them; "
          f"{len(chosen)} kills in {options.lanes} lanes")


def judge(options):
    packets = [packet for path in options.captures for packet in capture.read_packets(path)]
    packets.sort(key=lambda packet: packet.when)
    refused, judged = 0, 0
    with open(options.windows, encoding="ascii") as file:
        windows = [line.rstrip("\n").split(" ", 2) for line in file]
    for begin, end, name in windows:
        inside = [p for p in packets if int(begin) <= p.when * 1000 <= int(end)]
        try:
            connection = capture.Connection(
                inside, PORT, True, any(word in FAILING for word in name.split()))
            judged += len(connection.packets)
        except capture.Refused as reason:
            refused += 1
            print(f"FAIL wire of {name}: {reason}")
    try:
        other = capture.Connection(packets, OTHER_PORT)
        other.judge()
        print(f"ok the other connection: {len(other.packets)} packets, no clear byte after ESP")
    except capture.Refused as reason:
        refused += 1
        print(f"FAIL wire of the other connection: {reason}")
    if not refused:
        print(f"ok {len(windows)} connections, {judged} packets: no clear byte after ESP")
    return 1 if refused or not windows else 0


def table(options):
    kills, failures, wire, packets, missed = collections.Counter(), [], [], 0, 0
    for path in options.results:
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                found = re.match(r"(ok|FAIL) kill (\S+) (\S+) (\S+) (\S+) (.*) \((\d+) ms\)", line)
                if found:
                    kills[category(found[4], found[5]), found[2]] += 1
                missed += line.startswith("missed ")
                if line.startswith("FAIL"):
                    (failures if found else wire).append(line.strip())
                found = re.match(r"ok .*?(\d+) packets.*: no clear byte|ok .*: (\d+) packets", line)
                packets += int(found[1] or found[2]) if found else 0
    print(options.head)
    print("\n| | " + " | ".join(VICTIMS) + " | all |\n" + "| --- " * (len(VICTIMS) + 2) + "|")
    for step in STEPS + ("all",):
        cells = [sum(n for (at, who), n in kills.items()
                     if step in (at, "all") and who == victim) for victim in VICTIMS]
        print(f"| {step} | " + " | ".join(map(str, cells)) + f" | {sum(cells)} |")
    total = sum(kills.values())
    print(f"\n{total} kills, {len(failures)} failed; {packets} packets judged, "
          f"{len(wire)} other complaints; {missed} calls did not come again.")
    for line in failures + wire:
        print(f"- {line}")
    if missed > MISSED_FEW + total // 20:
        print("FAIL too many calls did not come again")
        return 1
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("plan")
    command.set_defaults(run=plan)
    for name in ("--seed", "--kills", "--lanes"):
        command.add_argument(name, type=int, required=True)
    command.add_argument("--from", type=int, default=0, dest="begin")
    command.add_argument("--folder", required=True)
    command.add_argument("calls")
    command = commands.add_parser("judge")
    command.set_defaults(run=judge)
    command.add_argument("windows")
    command.add_argument("captures", nargs="+")
    command = commands.add_parser("table")
    command.set_defaults(run=table)
    command.add_argument("--head", default="")
    command.add_argument("results", nargs="+")
    options = parser.parse_args()
    return options.run(options) or 0


if __name__ == "__main__":
    sys.exit(main())
