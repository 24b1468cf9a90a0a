#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes ike_*.hex from RFC 7296 and doc/protocol.md with Python's own hmac and hashlib.

Nothing here is shared with the C code: this is a second reading of the same texts.
Run in tests/vectors; the output is the same each time.
"""
import hashlib
import hmac
import struct

SOURCE = "computed by generate.py (Python hmac and hashlib)"


def prf(key, data, name="sha256"):
    return hmac.new(key, data, name).digest()


def prf_plus(key, seed, length, name="sha256"):
    """RFC 7296 2.13"""
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = prf(key, block + seed + bytes([counter]), name)
        out += block
        counter += 1
    return out[:length]


def octets(label, length):
    """Test values that look random and are not."""
    out, counter = b"", 0
    while len(out) < length:
        out += hashlib.sha256(f"gss-ipsec vector {label} {counter}".encode()).digest()
        counter += 1
    return out[:length]


def cut(stream, lengths):
    for length in lengths:
        yield stream[:length]
        stream = stream[length:]


def write(name, what, fields):
    with open(name, "w", encoding="ascii") as f:
        f.write(f"# {what}; {SOURCE}\n")
        for field, value in fields:
            f.write(f"{field} = {value.hex()}\n")


def key_schedule():
    """RFC 7296 2.14, 2.15 and 2.17; RFC 5282 7.1"""
    ni, nr = octets("Ni", 32), octets("Nr", 48)
    spi_i, spi_r = octets("SPIi", 8), octets("SPIr", 8)
    shared = octets("g^ir", 32)
    skeyseed = prf(ni + nr, shared)
    stream = prf_plus(skeyseed, ni + nr + spi_i + spi_r, 3 * 32 + 2 * 36)
    sk_d, sk_ei, sk_er, sk_pi, sk_pr = cut(stream, [32, 36, 36, 32, 32])
    id_body = bytes([2, 0, 0, 0]) + b"server.example.org"
    write("ike_key_schedule.hex", "RFC 7296 2.14 and 2.15, AES-256-GCM and HMAC-SHA2-256", [
        ("ni", ni), ("nr", nr), ("spi_i", spi_i), ("spi_r", spi_r), ("shared", shared),
        ("sk_d", sk_d), ("sk_ei", sk_ei), ("sk_er", sk_er), ("sk_pi", sk_pi), ("sk_pr", sk_pr),
        ("id_body", id_body), ("maced_id_r", prf(sk_pr, id_body)),
    ])
    keymat = prf_plus(sk_d, ni + nr, 72)
    write("ike_child_keys.hex", "RFC 7296 2.17, AES-256-GCM with salt", [
        ("sk_d", sk_d), ("ni", ni), ("nr", nr),
        ("i_to_r", keymat[:36]), ("r_to_i", keymat[36:]),
    ])


def key_schedule_512():
    """The same with ChaCha20-Poly1305 (RFC 7634) and HMAC-SHA2-512; AUTH of nobody (RFC 7619 2.1)"""
    ni, nr = octets("Ni 512", 32), octets("Nr 512", 32)
    spi_i, spi_r = octets("SPIi 512", 8), octets("SPIr 512", 8)
    shared = octets("g^ir 512", 32)
    skeyseed = prf(ni + nr, shared, "sha512")
    stream = prf_plus(skeyseed, ni + nr + spi_i + spi_r, 3 * 64 + 2 * 36, "sha512")
    sk_d, sk_ei, sk_er, sk_pi, sk_pr = cut(stream, [64, 36, 36, 64, 64])
    id_body, message = bytes([13, 0, 0, 0]), octets("T1", 200)
    maced_id = prf(sk_pi, id_body, "sha512")
    padded = prf(sk_pi, b"Key Pad for IKEv2", "sha512")
    keymat = prf_plus(sk_d, ni + nr, 40, "sha512")
    write("ike_key_schedule_512.hex",
          "RFC 7296 2.14, 2.15 and 2.17, RFC 7619 2.1, ChaCha20-Poly1305, HMAC-SHA2-512, "
          "ESP AES-128-GCM", [
              ("ni", ni), ("nr", nr), ("spi_i", spi_i), ("spi_r", spi_r), ("shared", shared),
              ("sk_d", sk_d), ("sk_ei", sk_ei), ("sk_er", sk_er), ("sk_pi", sk_pi),
              ("sk_pr", sk_pr), ("id_body", id_body), ("maced_id_i", maced_id),
              ("message", message),
              ("auth_null", prf(padded, message + nr + maced_id, "sha512")),
              ("i_to_r", keymat[:20]), ("r_to_i", keymat[20:]),
          ])


def tuples():
    """doc/protocol.md, section 3"""
    sk_d, spi_i = octets("SK_d of the tag", 32), octets("SPIi of the hash", 8)
    fields = [("sk_d", sk_d), ("spi_i", spi_i)]
    cases = [
        ("v4", bytes([192, 0, 2, 1]), 49152, bytes([198, 51, 100, 7]), 143),
        ("v6", bytes.fromhex("20010db8000000000000000000000001"), 50000,
         bytes.fromhex("20010db8000100000000000000000002"), 389),
    ]
    for name, initiator, initiator_port, acceptor, acceptor_port in cases:
        tuple_octets = (bytes([6]) + initiator + struct.pack(">H", initiator_port) +
                        acceptor + struct.pack(">H", acceptor_port))
        digest = hashlib.sha256(spi_i + tuple_octets).digest()
        fields += [
            (f"{name}_initiator", initiator),
            (f"{name}_initiator_port", struct.pack(">H", initiator_port)),
            (f"{name}_acceptor", acceptor),
            (f"{name}_acceptor_port", struct.pack(">H", acceptor_port)),
            (f"{name}_hash", digest[:2]),
            (f"{name}_veil", digest[2:6]),
            (f"{name}_tag", prf(sk_d, b"\0gss-ipsec connection" + tuple_octets)),
        ]
    write("ike_tuple.hex", "doc/protocol.md section 3, candidates and tag", fields)


def notifies():
    """doc/protocol.md, section 3: data of each notify"""
    tag, bindings = octets("tag", 32), octets("bindings", 32)
    service = b"imap"
    write("ike_notifies.hex", "doc/protocol.md section 3, data of the notifies", [
        ("offer", bytes([1, 1, 0, 2, 0, 1, 0, 3, 3, 0xab, 0xcd, 0, 1, 0xff, 0xff])),
        ("offer_positions", bytes([1, 1, 0, 2, 0, 1, 0, 3, 3, 0xab, 0xcd, 0, 1, 0xff, 0xff]) +
         struct.pack(">III", 0, 0x01020304, 0xfffffffe)),
        ("offer_nothing", bytes([1, 1, 3, 1, 0, 1, 0])),
        ("answer", bytes([1, 2, 0, 0, 1]) + struct.pack(">I", 0xc0ffee01) + tag),
        ("answer_tag", tag),
        ("answer_no", bytes([1, 2, 4])),
        ("context", bytes([1]) + struct.pack(">I", 0x3e) + bytes([0x80, 0, 32]) + bindings +
         bytes([len(service)]) + service),
        ("context_bindings", bindings),
        ("context_bare", bytes([1]) + struct.pack(">I", 2) + bytes([0, 1, 0, 0])),
        ("failure", bytes([1]) + struct.pack(">H", 62)),
        ("failure_reason", bytes([1]) + struct.pack(">H", 203)),
    ])


if __name__ == "__main__":
    key_schedule()
    key_schedule_512()
    tuples()
    notifies()
