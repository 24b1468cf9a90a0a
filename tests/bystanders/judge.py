#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether bystanders did the same with the plugin as without: judge.py OUT [--added].

OUT has a folder for each world that bystanders.sh made.  "none" and "again" are without the plugin: what
differs between these two is nobody's doing and not compared.  Text must be the same line by line;
files and system calls, counted, may have nothing less and nothing more than the lines named below.
--added shows what was added.
"""
import collections
import pathlib
import re
import sys

OID = "1.2.840.113556.1.8000.2554.31079.55960.30804.18932.37582.1664278.1045436.1"
PLUGIN = "/usr/lib/gss/mech_ipsec.so"

# Numbers that no two runs share.
VOLATILE = [
    (r"\d{4}-\d\d-\d\d \d\d:[\dN:]+", "TIME"),
    (r"lifetime \d+", "lifetime N"),
    (r"(sent|received) [\d.]+", r"\1 N"),
    (r"in [\d.]+ seconds", "in N seconds"),
    (r"(port|:|PORT=|PID|pid|tid|pid=)( ?)\d{2,}", r"\1\2N"),
    (r"^[0-9a-f]{8}\.[0-9a-f]+ 0x[0-9a-f]+ ", ""),
    (r"^\[\w{3} \w{3} +\d+ [\d:.N]+ \d{4}\] ", ""),
    (r"(etime|qtime|tid|time|write|sync|total|longest|average)=[\d.]+", r"\1=N"),
    (r"0x[0-9a-f]+", "ADDRESS"),
    (r"size=\d+", "size=N"),
    (r"^(SHA256|debug1: Server host key):.*", r"\1"),
]
# A token is a random number; how long a dump of it is, is not.
DUMP = re.compile(r"^([0-9a-f]{2} )+$")

# What a log has in one run and not in the next, and no order but that of threads.
MOMENTARY = re.compile(
    r"connection_(input|read)|LOG:  checkpoint complete|kex_exchange_id"
    r"|Connection (closed|reset) by 127|debug1: .* rtype eow@"
    r"|FATAL:  the database system is starting up"  # whoever asked whether it is up
)

# Lines of text that only a program prints which asks for them: it lists mechanisms, or is told to
# tell everything (ssh -v prints what each mechanism that it tries says).
NAMED_TEXT = {
    "mechanisms.out": [OID],
    "ssh-v-bob.err": [
        "debug1: No credentials were supplied, or the credentials were unavailable or inaccessible",
        r"no identity is configured on this side .*",
        r"the key file of this side's identity cannot be read; .*",
        "",
    ],
}

# System calls of waiting, of memory, and of connections, whose number depends on the moment; and
# what ssh asks for every message that it might print.
UNCOUNTED = set(
    "poll ppoll select pselect6 epoll_wait epoll_pwait futex clock_nanosleep restart_syscall brk"
    " munmap rt_sigreturn sched_yield wait4 rt_sigaction getpid".split()
)
# libgssapi and libkrb5 look at their configuration once a second.
AGAIN = re.compile(
    r"(newfstatat|openat|close|getdents64) /etc/gss/mech(\.d)?( ENOENT)?$|newfstatat /etc/krb5\.conf$"
)
# ssh may end before it has read the end of its input and told the server, in a message with padding.
ENDING_OF_SSH = {"read /dev/null", "getrandom"}
CONNECTION = re.compile(
    r"^(read|write|recvfrom|sendto|recvmsg|sendmsg|writev|readv) (socket|pipe|TCP)"
)

# What the plugin adds: a pattern, and how often in one process at most.  First the library and the
# line that registers it, then what it looks for, then its memory.
FILES = [
    (r"newfstatat /etc/gss/mech\.d/ipsec\.conf", 4),
    (r"(openat|newfstatat|read|close|fcntl|lseek) /etc/gss/mech\.d/ipsec\.conf", 8),
    (r"(openat|read|newfstatat|mmap|close|pread64) " + re.escape(PLUGIN), 12),
    (r"newfstatat /home/\w+/\.config/gss-ipsec/ipsec\.conf ENOENT", 16),
]
UNCONFIGURED = [(r"newfstatat /etc/gss/ipsec\.conf ENOENT", 16)]
CONFIGURED = [
    (r"newfstatat /", 4),
    (r"(newfstatat|openat|read|close|fcntl|lseek) /etc/gss/ipsec\.conf", 60),
    (r"(newfstatat|openat|faccessat2?) /etc/gss/sample\.pem( EACCES)?", 40),
    (r"madvise", 1),
    (r"(geteuid|getuid)", 40),
]
MEMORY = [
    (r"mmap", 4),
    (r"mprotect", 4),
]
WORLDS = {"bare": FILES + UNCONFIGURED + MEMORY, "one": FILES + CONFIGURED + MEMORY}


def lines_of(path):
    lines = []
    for line in path.read_text(errors="replace").splitlines():
        for pattern, word in VOLATILE:
            line = re.sub(pattern, word, line)
        if not MOMENTARY.match(line):
            lines.append("DUMP" if DUMP.match(line) else line)
    return sorted(lines) if path.suffix == ".log" else lines


def is_named(name, line):
    return any(re.fullmatch(pattern, line) for pattern in NAMED_TEXT.get(name, []))


def judge_text(name, before, after):
    """A list of what is wrong."""
    left = [line for line in after if not is_named(name, line)]
    wanted = [line for line in before if not is_named(name, line)]
    if left == wanted:
        return []
    return [f"- {line}" for line in wanted if line not in left] + [
        f"+ {line}" for line in left if line not in wanted
    ] or ["the order of lines"]


def whole_calls(path):
    """The calls of a trace, those put together that another process's call has cut."""
    waiting = {}
    for line in path.read_text(errors="replace").splitlines():
        pid, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            waiting[pid] = text[: -len("<unfinished ...>")].rstrip()
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
        if resumed:
            text = waiting.pop(pid, "") + resumed.group(1)
        yield text


def canonical(text):
    """A call without what changes from run to run: its name, the file, and the error."""
    found = re.match(r"(\w+)\((.*)", text)
    if not found or found.group(1) in UNCOUNTED:
        return None
    name, rest = found.groups()
    error = re.search(r"= -1 (E\w+)", rest)
    descriptor = re.match(r"\d+<([^>]*)>", rest)
    path = re.search(r'(?:^|</>, |AT_FDCWD, )"(/[^"]*)"', rest)
    mapped = re.search(r"MAP_\w+, \d+<([^>]*)>", rest)
    file = ""
    if path:
        file = path.group(1)
    elif mapped:
        file = mapped.group(1)
    elif descriptor:
        file = re.sub(r"[:\[].*", "", descriptor.group(1))
    file = re.sub(r"/proc/\d+", "/proc/N", file)
    file = re.sub(r".*/\w+/([\w-]+\.(out|err))$", r"\1", file)
    call = " ".join(filter(None, [name, file, error.group(1) if error else ""]))
    return None if CONNECTION.match(call) or AGAIN.match(call) else call


def calls_of(path):
    calls = filter(None, map(canonical, whole_calls(path)))
    if path.name.startswith("ssh-"):
        calls = (call for call in calls if call not in ENDING_OF_SSH)
    return collections.Counter(calls)


def judge_calls(before, again, after, named):
    """What is wrong, and what was added by right."""
    added, wrong, left = [], [], {pattern: most for pattern, most in named}
    for call in sorted(set(before) | set(after)):
        low, high = sorted((before[call], again[call]))
        more, less = after[call] - high, low - after[call]
        if less > 0:
            wrong.append(f"- {call} ({less})")
        if more <= 0:
            continue
        pattern = next((p for p, _ in named if re.fullmatch(p, call)), None)
        if pattern is None or left[pattern] < more:
            wrong.append(f"+ {call} ({more})")
        else:
            left[pattern] -= more
            added.append(f"{call} ({more})")
    return wrong, added


def report(is_good, what, wrong):
    print(("ok " if is_good else "FAIL ") + what)
    for line in wrong[:20]:
        print("    " + line)
    return not is_good


def judge_world(out, world, shows):
    failed = 0
    for path in sorted((out / "none").iterdir()):
        name = path.name
        if path.suffix == ".trace":
            runs = [calls_of(out / each / name) for each in ("none", "again", world)]
            wrong, added = judge_calls(*runs, WORLDS[world])
            failed += report(not wrong, f"{world}: calls of {path.stem}", wrong)
            if shows:
                print("\n".join(f"    ({line})" for line in added))
        elif path.suffix in (".out", ".err", ".log"):
            wrong = judge_text(name, lines_of(path), lines_of(out / world / name))
            failed += report(not wrong, f"{world}: text of {name}", wrong)
    return failed


def main():
    out = pathlib.Path(sys.argv[1])
    failed = sum(judge_world(out, world, "--added" in sys.argv) for world in WORLDS)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
