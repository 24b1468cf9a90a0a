#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Many logins through Debian's libldap, as its programs make them; run as an ordinary user.

    ldap_load.py row URI MECHANISM COUNT NAME DN     COUNT logins, one behind the other
    ldap_load.py crowd URI MECHANISM COUNT NAME DN   COUNT processes, which bind at the same moment, when
                                                     all are connected; all stay until a file "go" is in
                                                     HOME

MECHANISM "anonymous" is no login, to compare.  Each asks the server who it is: DN is right.  Prints
"COUNT asked, N right, N wrong, N lost, N several" and the first five errors; exit status 0 if all
are right.
"""
import ctypes
import os
import select
import sys
import time

AUTHNAME = 0x4002  # SASL_CB_AUTHNAME
LIST_END = 0  # SASL_CB_LIST_END
QUIET = 2  # LDAP_SASL_QUIET
VERSION, DIAGNOSTIC = 0x11, 0x32  # LDAP_OPT_...
PATIENCE = 1500

ldap = ctypes.CDLL("libldap-2.5.so.0")


class Value(ctypes.Structure):
    """struct berval."""
    _fields_ = [("length", ctypes.c_ulong), ("data", ctypes.c_void_p)]


class Question(ctypes.Structure):
    """sasl_interact_t."""
    _fields_ = [("id", ctypes.c_ulong), ("challenge", ctypes.c_char_p),
                ("prompt", ctypes.c_char_p), ("default", ctypes.c_char_p),
                ("result", ctypes.c_char_p), ("length", ctypes.c_uint)]


INTERACT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p,
                            ctypes.POINTER(Question))
ldap.ldap_err2string.restype = ctypes.c_char_p


class Failed(Exception):
    """What libldap says."""


class Login:
    def __init__(self, uri, mechanism, name):
        self.handle, self.mechanism, self.name = ctypes.c_void_p(), mechanism, name.encode()
        self.interact = INTERACT(self.answer)
        self.check(ldap.ldap_initialize(ctypes.byref(self.handle), uri.encode()), "initialize")
        ldap.ldap_set_option(self.handle, VERSION, ctypes.byref(ctypes.c_int(3)))

    def check(self, status, what):
        if status == 0:
            return
        text = ctypes.c_char_p()
        if self.handle:
            ldap.ldap_get_option(self.handle, DIAGNOSTIC, ctypes.byref(text))
        raise Failed(f"{what}: {ldap.ldap_err2string(status).decode()}: "
                     f"{(text.value or b'').decode(errors='replace')}")

    def answer(self, _handle, _flags, _defaults, questions):
        at = 0
        while questions[at].id != LIST_END:
            if questions[at].id == AUTHNAME:
                questions[at].result, questions[at].length = self.name, len(self.name)
            at += 1
        return 0

    def connect(self):
        self.check(ldap.ldap_connect(self.handle), "connect")

    def bind(self):
        if self.mechanism == "anonymous":
            nothing = Value(0, None)
            status = ldap.ldap_sasl_bind_s(self.handle, None, None, ctypes.byref(nothing), None,
                                           None, None)
        else:
            status = ldap.ldap_sasl_interactive_bind_s(
                self.handle, None, self.mechanism.encode(), None, None, QUIET, self.interact, None)
        self.check(status, "bind")

    def whoami(self):
        found = ctypes.POINTER(Value)()
        self.check(ldap.ldap_whoami_s(self.handle, ctypes.byref(found), None, None), "whoami")
        text = ctypes.string_at(found[0].data, found[0].length).decode()
        ldap.ber_bvfree(found)
        return text

    def close(self):
        if self.handle:
            ldap.ldap_unbind_ext_s(self.handle, None, None)
        self.handle = ctypes.c_void_p()


class Counts:
    def __init__(self, right):
        self.right_answer, self.right, self.wrong, self.lost, self.several = right, 0, 0, 0, 0
        self.errors = []

    def add(self, answer):
        if answer == self.right_answer:
            self.right += 1
            return
        self.wrong += not answer.startswith("error: ")
        self.lost += answer.startswith("error: ")
        self.several += "several connections join" in answer
        self.errors.append(answer)

    def tell(self, count, seconds):
        print(f"{count} asked, {self.right} right, {self.wrong} wrong, {self.lost} lost, "
              f"{self.several} several")
        print(f"{seconds:.1f} s")
        for error in self.errors[:5]:
            print(error)
        return 0 if self.right == count else 1


def row(uri, mechanism, count, name, counts):
    for _ in range(count):
        login = None
        try:
            login = Login(uri, mechanism, name)
            login.bind()
            counts.add(login.whoami())
        except Failed as error:
            counts.add(f"error: {error}")
        finally:
            if login:
                login.close()


def wait_for_byte(descriptor):
    select.select([descriptor], [], [], PATIENCE)


def wait_for_file(path):
    limit = time.monotonic() + PATIENCE
    while not os.path.exists(path) and time.monotonic() < limit:
        time.sleep(0.2)


def one_of_crowd(uri, mechanism, name, report, begin, end):
    """A child: tells when it is connected, and then what the server called it."""
    try:
        login = Login(uri, mechanism, name)
        login.connect()
        os.write(report, b"connected\n")
        wait_for_byte(begin)
        login.bind()
        answer = login.whoami()
    except Failed as error:
        answer = f"error: {error}"
    os.write(report, answer.replace("\n", " ").encode()[:4000] + b"\n")
    wait_for_byte(end)
    os._exit(0)


class Crowd:
    def __init__(self):
        self.children, self.lines, self.rest = [], 0, b""
        self.report, self.told = os.pipe()
        self.begin, self.begun = os.pipe()
        self.end, self.ended = os.pipe()

    def start(self, uri, mechanism, name):
        child = os.fork()
        if child == 0:
            os.close(self.begun)
            os.close(self.ended)
            one_of_crowd(uri, mechanism, name, self.told, self.begin, self.end)
        self.children.append(child)

    def read_lines(self, wanted):
        lines = []
        limit = time.monotonic() + PATIENCE
        while len(lines) < wanted and time.monotonic() < limit:
            if not select.select([self.report], [], [], 1)[0]:
                continue
            self.rest += os.read(self.report, 65536)
            *complete, self.rest = self.rest.split(b"\n")
            lines += [line.decode() for line in complete]
        return lines


def crowd(uri, mechanism, count, name, counts):
    all_of_them = Crowd()
    for _ in range(count):
        all_of_them.start(uri, mechanism, name)
    connected = all_of_them.read_lines(count)
    print(f"{connected.count('connected')} connected", flush=True)
    answers = [line for line in connected if line != "connected"]
    os.close(all_of_them.begun)
    answers += all_of_them.read_lines(count - len(answers))
    for answer in answers:
        counts.add(answer)
    for _ in range(count - len(answers)):
        counts.add("error: no answer")
    print("all answered", flush=True)
    wait_for_file(os.path.join(os.environ["HOME"], "go"))
    os.close(all_of_them.ended)
    for child in all_of_them.children:
        os.waitpid(child, 0)


def main():
    kind, uri, mechanism, count, name, right = sys.argv[1:]
    counts = Counts(right)
    began = time.monotonic()
    {"row": row, "crowd": crowd}[kind](uri, mechanism, int(count), name, counts)
    return counts.tell(int(count), time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
