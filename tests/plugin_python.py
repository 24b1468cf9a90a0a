#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The plugin through python3-gssapi (Debian's package), both ends in one process.

Run by tests/plugin_run.sh, which sets GSS_MECH_CONFIG and GSS_IPSEC_CONFIG before the start.
"""
import sys

import gssapi
import gssapi.raw as raw

ARC = "1.2.840.113556.1.8000.2554.31079.55960.30804.18932.37582.1664278.1045436"
IPSEC = gssapi.OID.from_int_seq(ARC + ".1")
LATCH = gssapi.OID.from_int_seq(ARC + ".2.20")
UNIQUE = gssapi.OID.from_int_seq(ARC + ".2.21")
ATTRIBUTE = "urn:oid:" + ARC + ".3."
CREDENTIAL_KEY = gssapi.OID.from_int_seq(ARC + ".2.30")
SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
FLAGS = gssapi.RequirementFlag

failed = 0


def check(is_ok, text):
    global failed
    failed += not is_ok
    print("ok" if is_ok else "FAIL", "plugin_python:", text, flush=True)


def refuses(kind, function, text):
    try:
        function()
    except kind as error:
        check(len(str(error)) > 20, "%s (%s)" % (text, str(error).split(":")[-1].strip()[:60]))
        return
    check(False, text)


def target(text="host@server.example.org"):
    return gssapi.Name(text, gssapi.NameType.hostbased_service)


def ends(name=None, mech=IPSEC, bindings=(None, None), **extra):
    initiator = gssapi.SecurityContext(
        name=name or target(), mech=mech, usage="initiate", channel_bindings=bindings[0], **extra)
    acceptor = gssapi.SecurityContext(usage="accept", channel_bindings=bindings[1])
    return initiator, acceptor


def run(initiator, acceptor):
    token = None
    while not (initiator.complete and acceptor.complete):
        token = initiator.step(token)
        if token is None:
            break
        token = acceptor.step(token)
        if token is None:
            break
    return initiator, acceptor


def test_mechanism():
    mech = gssapi.mechs.Mechanism(IPSEC)
    check(IPSEC in [m for m in gssapi.mechs.Mechanism.all_mechs()], "listed")
    check(mech.sasl_name == "GS2-63L22ULZSVD", "SASL name")
    check(gssapi.mechs.Mechanism.from_sasl_name("GS2-63L22ULZSVD") == mech, "from SASL name")
    check(bool(mech.attrs) and mech.attrs <= mech.known_attrs | mech.attrs, "attributes")
    check(gssapi.NameType.hostbased_service in raw.inquire_names_for_mech(mech), "name types")


def test_names():
    user = gssapi.Name("alice@example.org", gssapi.NameType.user).canonicalize(IPSEC)
    check(str(user) == "alice@example.org", "user name")
    check(gssapi.Name(str(user), gssapi.NameType.user).canonicalize(IPSEC) == user,
          "user name from its text")
    exported = user.export()
    check(gssapi.Name(exported, gssapi.NameType.export) == user, "exported name")
    host = target("HTTP@Server.Example.Org").canonicalize(IPSEC)
    check(str(host) == "HTTP/server.example.org", "host name in lower case")
    check(gssapi.Name(str(host), gssapi.NameType.user).canonicalize(IPSEC) == host,
          "host name from its text")
    refuses(gssapi.exceptions.GSSError,
            lambda: gssapi.Name("a/b@c d", gssapi.NameType.user).canonicalize(IPSEC), "bad name")


def test_credentials():
    mine = gssapi.Credentials(usage="initiate", mechs=[IPSEC])
    check(str(mine.name) == "alice@example.org", "default initiator")
    check(mine.lifetime is None or mine.lifetime > 1000, "its lifetime")
    back = gssapi.Credentials(token=mine.export())
    check(str(back.name) == "alice@example.org", "exported and imported")
    stored = gssapi.Credentials(usage="initiate", mechs=[IPSEC],
                                store={"ipsec_identity": "alice", "ccache": "MEMORY:none"})
    check(str(stored.name) == "alice@example.org", "from a store")
    refuses(gssapi.exceptions.GSSError,
            lambda: gssapi.Credentials(usage="initiate", mechs=[IPSEC],
                                       store={"ipsec_identity": "nobody"}), "no such identity")
    refuses(raw.MissingCredentialsError,
            lambda: gssapi.Credentials(usage="both", mechs=[IPSEC],
                                       name=gssapi.Name("bob@example.org", gssapi.NameType.user)),
            "somebody else's")


def test_context():
    initiator, acceptor = ends(flags=FLAGS.mutual_authentication | FLAGS.out_of_sequence_detection)
    first = initiator.step()
    check(first[0] == 0x60 and not initiator.complete, "first token is framed")
    check(initiator.mech == IPSEC and initiator.locally_initiated, "partial initiator inquired")
    second = acceptor.step(first)
    check(not acceptor.complete and not acceptor.locally_initiated, "partial acceptor inquired")
    fourth = acceptor.step(initiator.step(second))
    check(acceptor.complete and not initiator.complete, "acceptor completes first")
    check(initiator.step(fourth) is None and initiator.complete, "initiator completes")
    check(str(acceptor.initiator_name) == "alice@example.org", "initiator's name")
    check(str(initiator.target_name) == "host/server.example.org", "acceptor's name")
    check(FLAGS.mutual_authentication in initiator.actual_flags, "mutual authentication")
    check(acceptor.unwrap(initiator.wrap(b"secret", True).message).message == b"secret", "wrap")
    check(initiator.unwrap(acceptor.wrap(b"plain", False).message).encrypted is False,
          "wrap without sealing")
    check(acceptor.verify_signature(b"text", initiator.get_signature(b"text")) is not False, "MIC")
    refuses(raw.BadMICError, lambda: acceptor.verify_signature(
        b"other", initiator.get_signature(b"text")), "MIC of another text")
    ours = raw.inquire_sec_context_by_oid(initiator, UNIQUE)
    check(ours == raw.inquire_sec_context_by_oid(acceptor, UNIQUE), "unique binding on both sides")
    check(raw.inquire_sec_context_by_oid(initiator, LATCH)[1] == b"none", "latch inquiry")


def test_attributes():
    initiator, acceptor = run(*ends(flags=FLAGS.mutual_authentication))
    peer = acceptor.initiator_name
    inquired = raw.inquire_name(peer)
    check(inquired.is_mech_name and inquired.mech == IPSEC and
          {ATTRIBUTE + n for n in "1234"} == {a.decode() for a in inquired.attrs},
          "attributes of the peer's name")
    method = raw.get_name_attribute(peer, (ATTRIBUTE + "1").encode())
    check(method.values == [b"Ed25519"] and method.authenticated and method.complete, "method")
    key = raw.get_name_attribute(peer, (ATTRIBUTE + "2").encode())
    own = gssapi.Credentials(usage="initiate", mechs=[IPSEC])
    told = raw.inquire_cred_by_oid(own, CREDENTIAL_KEY)
    check(len(key.values[0]) == 32 and key.display_values == [told[0]], "key, as its owner tells it")
    latch = raw.get_name_attribute(peer, (ATTRIBUTE + "3").encode())
    check(latch.display_values == [b"none"] and len(latch.values[0]) == 4, "latch")
    check(raw.get_name_attribute(peer, (ATTRIBUTE + "4").encode()).values == [b"alice"], "entry")
    refuses(gssapi.exceptions.GSSError,
            lambda: raw.get_name_attribute(peer, (ATTRIBUTE + "5").encode()), "no such attribute")
    refuses(gssapi.exceptions.GSSError, lambda: raw.set_name_attribute(
        peer, (ATTRIBUTE + "1").encode(), [b"better"]), "attributes are not set")
    refuses(gssapi.exceptions.GSSError, lambda: raw.delete_name_attribute(
        peer, (ATTRIBUTE + "3").encode()), "attributes are not deleted")
    back = gssapi.Name(raw.export_name_composite(peer), gssapi.NameType.composite_export)
    check(back == peer and set(raw.inquire_name(back).attrs) == set(inquired.attrs),
          "composite name")
    check(raw.display_name_ext(acceptor.target_name, gssapi.NameType.hostbased_service) ==
          b"host@server.example.org", "host name as host-based service")


def test_stores():
    mine = gssapi.Credentials(usage="initiate", mechs=[IPSEC])
    stored = mine.store(usage="initiate", mech=IPSEC, overwrite=True)
    check(stored.mechs == {IPSEC} or list(stored.mechs) == [IPSEC], "stored: it is there")
    refuses(raw.DuplicateCredentialsElementError,
            lambda: mine.store(usage="initiate", mech=IPSEC), "stored twice")
    refuses(gssapi.exceptions.GSSError, lambda: mine.store(
        store={"ipsec_config": "/nonexistent"}, usage="initiate", mech=IPSEC, overwrite=True),
        "stored elsewhere")
    alice = gssapi.Name("alice@example.org", gssapi.NameType.user)
    added = mine.add(alice, SPNEGO, usage="initiate")
    check(SPNEGO in added.mechs and IPSEC in added.mechs, "a copy with one mechanism more")


def test_mech_attributes():
    mech = gssapi.mechs.Mechanism(IPSEC)
    by_name = set(raw.inquire_attrs_for_mech(mech).mech_attrs)
    check(by_name and all(str(raw.display_mech_attr(a).name, "ascii").startswith("GSS_C_MA_")
                          for a in by_name), "every attribute has a name")
    check(IPSEC in raw.indicate_mechs_by_attrs(desired_mech_attrs=by_name), "found by attributes")
    check(IPSEC not in raw.indicate_mechs_by_attrs(except_mech_attrs=by_name), "excluded by them")


def bindings(text):
    if text is None:
        return None
    return raw.ChannelBindings(application_data=text)


def test_bindings():
    for a, b in ((b"a", b"a"), (b"a", None), (None, b"b"), (None, None)):
        initiator, acceptor = run(*ends(bindings=(bindings(a), bindings(b))))
        check(initiator.complete and acceptor.complete, "bindings %s/%s" % (a, b))
    refuses(raw.BadChannelBindingsError,
            lambda: run(*ends(bindings=(bindings(b"a"), bindings(b"b")))), "bindings a/b")


def test_failures():
    refuses(gssapi.exceptions.GSSError, lambda: run(*ends(target("host@other.example.org"))),
            "another host")
    refuses(gssapi.exceptions.GSSError, lambda: ends()[1].step(b"\x60\x03abc"), "no token")
    initiator, acceptor = ends()
    second = bytearray(acceptor.step(initiator.step()))
    second[60] ^= 1
    refuses(gssapi.exceptions.GSSError, lambda: acceptor.step(initiator.step(bytes(second))),
            "T2 changed")


def test_spnego():
    initiator, acceptor = run(*ends(mech=SPNEGO))
    check(initiator.complete and acceptor.complete, "SPNEGO")
    check(str(acceptor.initiator_name) == "alice@example.org", "SPNEGO: initiator's name")
    check(acceptor.unwrap(initiator.wrap(b"x", True).message).message == b"x", "SPNEGO: wrap")


for test in (test_mechanism, test_mech_attributes, test_names, test_attributes, test_credentials,
             test_stores, test_context, test_bindings, test_failures, test_spnego):
    try:
        test()
    except Exception as error:  # the others still run
        check(False, "%s: %s" % (test.__name__, error))
sys.exit(1 if failed else 0)
