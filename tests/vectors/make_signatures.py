#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes rsa_pss.hex: RSASSA-PSS signatures of the test key rsa_alice.pem, computed from RFC 8017
(8.1.1, 9.1.1, B.2.1) with Python's integers and hashlib, without the code under test.

Run in tests/vectors; the output is the same each time.  The keys protect nothing.
"""
import base64
import hashlib


def der(data):
    """The elements of a DER run: (tag, content)."""
    found = []
    while data:
        tag, length, start = data[0], data[1], 2
        if length >= 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[2:start], "big")
        found.append((tag, data[start:start + length]))
        data = data[start + length:]
    return found


def private_key(path):
    with open(path, encoding="ascii") as pem:
        body = base64.b64decode("".join(line for line in pem if not line.startswith("-")))
    info = der(der(body)[0][1])
    numbers = [int.from_bytes(content, "big") for _, content in der(der(info[2][1])[0][1])]
    return numbers[1], numbers[2], numbers[3]


def mgf1(seed, length, name):
    out = b""
    for counter in range(length):
        out += hashlib.new(name, seed + counter.to_bytes(4, "big")).digest()
    return out[:length]


def sign(message, salt, n, d, name):
    em_bits = n.bit_length() - 1
    em_len = (em_bits + 7) // 8
    digest = hashlib.new(name, bytes(8) + hashlib.new(name, message).digest() + salt).digest()
    block = bytes(em_len - len(salt) - len(digest) - 2) + b"\x01" + salt
    masked = bytearray(a ^ b for a, b in zip(block, mgf1(digest, len(block), name)))
    masked[0] &= 0xFF >> (8 * em_len - em_bits)
    encoded = int.from_bytes(bytes(masked) + digest + b"\xbc", "big")
    return pow(encoded, d, n).to_bytes((n.bit_length() + 7) // 8, "big")


def element(tag, *parts):
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    return bytes([tag, 0x82]) + len(content).to_bytes(2, "big") + content


def integer(value):
    return element(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def main():
    n, e, d = private_key("rsa_alice.pem")
    algorithm = element(0x30, bytes.fromhex("06092a864886f70d0101010500"))
    spki = element(0x30, algorithm,
                   element(3, b"\0", element(0x30, integer(n), integer(e))))
    message = b"gss-ipsec signs this"
    fields = [("spki", spki), ("message", message)]
    for number, name in enumerate(["sha256", "sha384", "sha512"], 1):
        size = hashlib.new(name).digest_size
        salt = hashlib.shake_128(name.encode()).digest(size)
        fields.append((f"signature_{number}", sign(message, salt, n, d, name)))
    fields.append(("short_salt", sign(message, bytes(20), n, d, "sha256")))
    with open("rsa_pss.hex", "w", encoding="ascii") as out:
        out.write("# RSASSA-PSS with SHA2-256, -384, -512; source: make_signatures.py\n")
        for field, value in fields:
            out.write(f"{field} = {value.hex()}\n")


if __name__ == "__main__":
    main()
