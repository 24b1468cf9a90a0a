#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Computes prf_plus.hex, message.hex and pseudo_random.hex from doc/protocol.md, without the code under test.

Needs Python's standard library and, for AES-GCM, the package python3-cryptography.
Usage: make_vectors.py, in the directory of the vectors.
"""
import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def prf(key, data, name="sha256"):
    return hmac.new(key, data, name).digest()


def prf_plus(key, seed, length, name="sha256"):
    """RFC 7296 2.13."""
    block, output, count = b"", b"", 1
    while len(output) < length:
        block = prf(key, block + seed + bytes([count]), name)
        output += block
        count += 1
    return output[:length]


def token(fields, by_acceptor, is_wrap, is_sealed, sequence, message, covered=b"", tag_first=False):
    """doc/protocol.md, sections 5 and 7."""
    label = b"\0gss-ipsec message " + (b"r" if by_acceptor else b"i")
    seed = label + fields["ni"] + fields["nr"] + fields["instance"]
    keymat = prf_plus(fields["sk_d"], seed, 36)
    header = struct.pack(">HBB", 0x4757 if is_wrap else 0x474D, 1,
                         (1 if by_acceptor else 0) | (2 if is_sealed else 0) |
                         (4 if covered else 0) | (8 if tag_first else 0))
    header += fields["instance"] + struct.pack(">Q", sequence)
    aad = header + (struct.pack(">Q", len(covered)) + covered if covered else b"")
    nonce = keymat[32:] + struct.pack(">Q", sequence)
    cipher = AESGCM(keymat[:32])
    if is_sealed:
        sealed = cipher.encrypt(nonce, message, aad)
        body, tag = sealed[:-16], sealed[-16:]
    else:
        body, tag = message if is_wrap else b"", cipher.encrypt(nonce, b"", aad + message)
    return header + (tag + body if tag_first else body + tag)


def pseudo_random(sk_d, unique, label, data, length):
    """doc/protocol.md, section 8; RFC 4401."""
    key, output, number = prf(sk_d, label + unique), b"", 0
    while len(output) < length:
        output += prf(key, struct.pack(">I", number) + data)
        number += 1
    return output[:length]


def write(path, source, fields):
    with open(path, "w", encoding="ascii") as out:
        out.write("# " + source + "\n")
        for name, value in fields.items():
            out.write(f"{name} = {value.hex()}\n")


def main():
    key, seed = bytes(range(32)), bytes(range(0x40, 0x80))
    write("prf_plus.hex",
          "prf+ of RFC 7296 2.13 with PRF_HMAC_SHA2_256; source: make_vectors.py (Python's hmac)",
          {"key": key, "seed": seed, "output": prf_plus(key, seed, 100)})
    key = bytes(range(64))
    write("prf_plus_512.hex",
          "prf+ of RFC 7296 2.13 with PRF_HMAC_SHA2_512; source: make_vectors.py (Python's hmac)",
          {"key": key, "seed": seed, "output": prf_plus(key, seed, 200, "sha512")})
    fields = {
        "sk_d": hashlib.sha256(b"SK_d").digest(),
        "ni": hashlib.sha256(b"Ni").digest(),
        "nr": hashlib.sha256(b"Nr").digest(),
        "instance": bytes.fromhex("0123456789abcdef"),
        "message": b"per-message tokens of gss-ipsec",
    }
    message = fields["message"]
    fields["wrap_sealed_i_0"] = token(fields, False, True, True, 0, message)
    fields["wrap_clear_i_1"] = token(fields, False, True, False, 1, message)
    fields["mic_i_2"] = token(fields, False, False, False, 2, message)
    fields["wrap_empty_i_3"] = token(fields, False, True, True, 3, b"")
    fields["wrap_sealed_r_0"] = token(fields, True, True, True, 0, message)
    fields["mic_r_1"] = token(fields, True, False, False, 1, message)
    fields["wrap_clear_r_2"] = token(fields, True, True, False, 2, message)
    fields["associated"] = b"covered, not carried"
    covered = fields["associated"]
    fields["wrap_sealed_associated_i_4"] = token(fields, False, True, True, 4, message, covered)
    fields["wrap_clear_associated_i_5"] = token(fields, False, True, False, 5, message, covered)
    fields["wrap_sealed_tag_first_i_6"] = token(fields, False, True, True, 6, message, b"", True)
    fields["wrap_clear_tag_first_i_7"] = token(fields, False, True, False, 7, message, covered, True)
    write("message.hex",
          "per-message tokens, doc/protocol.md section 7; source: make_vectors.py "
          "(Python's hmac, python3-cryptography's AES-GCM)", fields)
    fields = {
        "sk_d": hashlib.sha256(b"SK_d").digest(),
        "unique": hashlib.sha256(b"unique").digest(),
        "input": b"input of a pseudo-random function",
    }
    for name, label in (("full", b"\0gss-ipsec prf full"), ("partial", b"\0gss-ipsec prf partial")):
        fields[name] = pseudo_random(fields["sk_d"], fields["unique"], label, fields["input"], 100)
    write("pseudo_random.hex",
          "GSS_Pseudo_random, doc/protocol.md section 8; source: make_vectors.py (Python's hmac)",
          fields)


if __name__ == "__main__":
    main()
