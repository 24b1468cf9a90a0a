#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a command in which bpf(2) fails with EPERM: without_bpf.py COMMAND [ARGUMENT...].

What a service manager's system call filter, or a hardened kernel, does to a broker.
"""
import ctypes
import os
import struct
import sys

BPF_CALLS = {"x86_64": 321, "aarch64": 280}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, EPERM = 0x7fff0000, 0x00050001


def main():
    rows = [(LOAD, 0, 0, 0), (JUMP_EQUAL, 0, 1, BPF_CALLS[os.uname().machine]),
            (RETURN, 0, 0, EPERM), (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *row) for row in rows))
    program = ctypes.create_string_buffer(struct.pack("HP", len(rows), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program) != 0):
        sys.exit(os.strerror(ctypes.get_errno()))
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
