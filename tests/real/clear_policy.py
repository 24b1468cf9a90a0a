#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Takes the IPsec policy off all TCP sockets of another process, as only root can:

    clear_policy.py PID

What a latch is worth after that is for covers.sh to find out.  Ends with 1 when there was no socket.
"""
import ctypes
import os
import socket
import sys

PIDFD_GETFD = 438
IP_XFRM_POLICY = 17


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    pid = int(sys.argv[1])
    process = os.pidfd_open(pid)
    cleared = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
            continue
        number = libc.syscall(PIDFD_GETFD, process, int(name), 0)
        if number < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        with socket.socket(fileno=number) as held:
            if held.type != socket.SOCK_STREAM or held.family != socket.AF_INET:
                continue
            if libc.setsockopt(number, socket.IPPROTO_IP, IP_XFRM_POLICY, None, 0) != 0:
                raise OSError(ctypes.get_errno(), "IP_XFRM_POLICY")
            cleared += 1
    print(f"{cleared} sockets")
    return 0 if cleared else 1


if __name__ == "__main__":
    sys.exit(main())
