#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a program without a mechanism of its own is given: default credentials, and mechanisms."""
import sys

import gssapi
from gssapi.raw import indicate_mechs


def dotted(oid):
    return oid.dotted_form


def show(usage):
    try:
        credential = gssapi.Credentials(usage=usage)
    except gssapi.exceptions.GSSError as error:
        print(usage, "refused", str(error).replace("\n", " "))
        return
    lifetime = credential.lifetime
    kind = "none" if lifetime == 0 else "limited" if lifetime and lifetime < 10**7 else "endless"
    print(usage, credential.name, "lifetime", kind, sorted(map(dotted, credential.mechs)))


if sys.argv[1:] == ["mechs"]:
    for oid in sorted(map(dotted, indicate_mechs())):
        print(oid)
else:
    for each in ("initiate", "accept", "both"):
        show(each)
