#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes charon_keys.hex from the log of a responding charon (charon_record.sh): one numbered set of
fields for each exchange. Nothing is computed here: every octet stands in the log.

Usage: charon_vectors.py LOG >tests/vectors/charon_keys.hex
"""
import re
import struct
import sys

# charon's names of transforms, and their numbers (IANA, "IKEv2 Parameters"): type, number, key bits.
TRANSFORMS = {
    "AES_GCM_16_256": ("encr", 20, 256), "AES_GCM_16_128": ("encr", 20, 128),
    "CHACHA20_POLY1305": ("encr", 28, 0), "CHACHA20_POLY1305_256": ("encr", 28, 0),
    "PRF_HMAC_SHA2_256": ("prf", 5, 0), "PRF_HMAC_SHA2_512": ("prf", 7, 0),
    "CURVE_25519": ("group", 31, 0), "ECP_256": ("group", 19, 0),
    "EXT_SEQ": ("esn", 1, 0),
}
DUMPS = {
    "shared Diffie Hellman secret": "shared", "Sk_d secret": "sk_d", "Sk_ei secret": "sk_ei",
    "Sk_er secret": "sk_er", "Sk_pi secret": "sk_pi", "Sk_pr secret": "sk_pr",
    "encryption initiator key": "child_i", "encryption responder key": "child_r",
}
DUMP = re.compile(r"^\d+\[\w+\] (.+) => (\d+) bytes @")
OCTETS = re.compile(r"^\d+\[\w+\] +\d+: ((?:[0-9A-F]{2} ){1,16})")
PROPOSAL = re.compile(r"selected proposal: (IKE|ESP):(\S+)")


def events(lines):
    """Yields (name, octets) for each dump and (protocol, transforms) for each chosen proposal."""
    name, length, data = None, 0, b""
    for line in lines:
        if match := PROPOSAL.search(line):
            yield match[1], match[2].split("/")
        elif match := DUMP.match(line):
            name, length, data = match[1], int(match[2]), b""
        elif name and (match := OCTETS.match(line)):
            data = (data + bytes.fromhex(match[1]))[:length]
            if len(data) == length:
                yield name, data
                name = None


def split_octets(octets, prf_bytes):
    """RFC 7296 2.15: the message (its length is in its header), the other's nonce, the MACed ID."""
    length = struct.unpack(">I", octets[24:28])[0]
    return octets[:length], octets[length:-prf_bytes], octets[-prf_bytes:]


def take_proposal(fields, prefix, transforms):
    for transform in transforms:
        kind, number, bits = TRANSFORMS[transform]
        fields[prefix + kind] = struct.pack(">H", number)
        if kind == "encr":
            fields[prefix + "key_bits"] = struct.pack(">H", bits)


def exchanges(lines):
    """The fields of each exchange; the initiator's AUTH is logged before the responder's."""
    fields, side = {}, None
    for name, value in events(lines):
        if name == "IKE":
            fields, side = {}, "i"
            take_proposal(fields, "", value)
        elif name == "ESP":
            take_proposal(fields, "child_", value)
        elif name == "IDx'":
            fields["id_" + side] = value
        elif name.startswith("octets ="):
            message, nonce, mac = split_octets(value, len(fields["sk_d"]))
            fields["message_" + side], fields["maced_id_" + side] = message, mac
            fields["nr" if side == "i" else "ni"] = nonce
            fields["spi_i"], side = message[:8], "r"
            fields["spi_r"] = message[8:16]
        elif name in DUMPS:
            fields[DUMPS[name]] = value
            if name == "encryption responder key":
                yield fields


def main():
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        found = list(exchanges(log))
    print("# RFC 7296 2.14, 2.15 and 2.17; recorded from strongSwan 5.9.8's charon by charon_record.sh")
    for number, fields in enumerate(found, 1):
        for name, value in fields.items():
            print(f"{name}_{number} = {value.hex()}")


if __name__ == "__main__":
    main()
