#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A server that takes any mechanism, and a first token of ours: accept.py make TARGET FILE, then
accept.py take FILE.  "taken" or "refused" for no credential (as PostgreSQL does) and for the default one
(as Cyrus SASL's GSSAPI does)."""
import sys

import gssapi

OID = "1.2.840.113556.1.8000.2554.31079.55960.30804.18932.37582.1664278.1045436.1"


def make(target, file):
    mech = gssapi.OID.from_int_seq(OID)
    name = gssapi.Name(target, gssapi.NameType.hostbased_service)
    with open(file, "wb") as out:
        out.write(gssapi.SecurityContext(name=name, mech=mech, usage="initiate").step())


def answer(token, credential):
    try:
        creds = gssapi.Credentials(usage="accept") if credential else None
        gssapi.SecurityContext(usage="accept", creds=creds).step(token)
    except gssapi.exceptions.GSSError:
        return "refused"
    return "taken"


def take(file):
    with open(file, "rb") as source:
        token = source.read()
    print("none", answer(token, False), "default", answer(token, True))


if sys.argv[1] == "make":
    make(sys.argv[2], sys.argv[3])
else:
    take(sys.argv[2])
