#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What hands do with sasl-sample-server and sasl-sample-client in two terminals: each line that
begins with "S: " is given to the client, each with "C: " to the server.

    sasl_hands.py SERVER_COMMAND CLIENT_COMMAND

Both are shell commands.  Prints what they print; exit status 0 if both end with 0.
"""
import os
import select
import subprocess
import sys
import time

PATIENCE = 30


class Terminal:
    def __init__(self, name, command):
        self.name, self.rest = name, b""
        # Their output is only as timely as a terminal's.
        self.screen, slave = os.openpty()
        self.process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, stdout=slave,
                                        stderr=slave)
        os.close(slave)

    def lines(self):
        """What is on the screen since the last time; None behind its end."""
        try:
            data = os.read(self.screen, 65536)
        except OSError:  # the program has ended
            return None
        *complete, self.rest = (self.rest + data).split(b"\n")
        return [line.rstrip(b"\r") for line in complete]

    def type(self, line):
        try:
            self.process.stdin.write(line + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass


def main():
    server, client = Terminal("server", sys.argv[1]), Terminal("client", sys.argv[2])
    other = {server: (client, b"S: "), client: (server, b"C: ")}
    open_ones = [server, client]
    limit = time.monotonic() + PATIENCE
    while open_ones and time.monotonic() < limit:
        for descriptor in select.select([one.screen for one in open_ones], [], [], 1)[0]:
            one = next(one for one in open_ones if one.screen == descriptor)
            lines = one.lines()
            if lines is None:
                open_ones.remove(one)
                other[one][0].process.stdin.close()
                continue
            for line in lines:
                print(f"{one.name}: {line.decode(errors='replace')}", flush=True)
                if line.startswith(other[one][1]):
                    other[one][0].type(line)
    for one in open_ones:
        one.process.kill()
    status = [one.process.wait() for one in (server, client)]
    print("status", *status)
    return 0 if status == [0, 0] else 1


if __name__ == "__main__":
    sys.exit(main())
