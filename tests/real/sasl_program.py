#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A client and a server over TCP that leave everything to Debian's Cyrus SASL, as a program does
that sets a channel binding or demands strength:

    sasl_program.py serve PORT SERVICE HOST OPTIONS      one line for each client, until it is ended
    sasl_program.py ask HOST PORT SERVICE NAME OPTIONS   one login; prints what came of it

OPTIONS: --binding TEXT (SASL_CHANNEL_BINDING), --critical (no login without it), --minssf N,
--external N (SASL_SSF_EXTERNAL), --mechanisms LIST (what the client would take), --hold SECONDS.
Behind the login the client sends a line through sasl_encode and has it back in capitals.
"""
import argparse
import ctypes
import socket
import struct
import sys
import time

OK, CONTINUE = 0, 1
CB_LIST_END, CB_LOG, CB_USER, CB_AUTHNAME = 0, 2, 0x4001, 0x4002
USERNAME, SSF, CHANNEL_BINDING, SSF_EXTERNAL, SEC_PROPS = 0, 1, 21, 100, 101
MESSAGE = b"said behind the login"
LENGTH = struct.Struct(">I")

sasl = ctypes.CDLL("libsasl2.so.2")
for function in sasl.sasl_errdetail, sasl.sasl_errstring:
    function.restype = ctypes.c_char_p


class Binding(ctypes.Structure):
    """sasl_channel_binding_t."""
    _fields_ = [("name", ctypes.c_char_p), ("critical", ctypes.c_int), ("length", ctypes.c_ulong),
                ("data", ctypes.c_char_p)]


class Properties(ctypes.Structure):
    """sasl_security_properties_t."""
    _fields_ = [("minssf", ctypes.c_uint), ("maxssf", ctypes.c_uint),
                ("bufsize", ctypes.c_uint), ("flags", ctypes.c_uint),
                ("names", ctypes.c_void_p), ("values", ctypes.c_void_p)]


class Callback(ctypes.Structure):
    """sasl_callback_t."""
    _fields_ = [("id", ctypes.c_ulong), ("procedure", ctypes.c_void_p),
                ("context", ctypes.c_void_p)]


LOG = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)
SIMPLE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int,
                          ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(ctypes.c_uint))


class Refused(Exception):
    """What libsasl2 says."""


class Callbacks:
    """What libsasl2 asks and tells; lives as long as it does."""

    def __init__(self, name):
        self.name = name
        self.log = LOG(self.tell)
        self.simple = SIMPLE(self.answer)
        table = [(CB_LOG, self.log), (CB_USER, self.simple), (CB_AUTHNAME, self.simple)]
        self.table = (Callback * (len(table) + 1))()
        for row, (number, procedure) in zip(self.table, table):
            row.id, row.procedure = number, ctypes.cast(procedure, ctypes.c_void_p)

    @staticmethod
    def tell(_context, _level, text):
        print("log:", text.decode(errors="replace"), flush=True)
        return OK

    def answer(self, _context, number, result, length):
        result[0] = self.name if number == CB_AUTHNAME else b""
        if length:
            length[0] = len(result[0])
        return OK


class Connection:
    """Tokens behind their length, and libsasl2's handle."""

    def __init__(self, stream, options):
        self.stream, self.options, self.handle = stream, options, ctypes.c_void_p()
        self.data, self.length = ctypes.c_void_p(), ctypes.c_uint()

    def check(self, status):
        if status not in (OK, CONTINUE):
            detail = sasl.sasl_errdetail(self.handle) if self.handle else None
            text = detail or sasl.sasl_errstring(status, None, None)
            raise Refused(f"{status} {text.decode(errors='replace')}")
        return status

    def configure(self):
        options = self.options
        self.properties = Properties(options.minssf, 256, 65536, 0, None, None)
        self.check(sasl.sasl_setprop(self.handle, SEC_PROPS, ctypes.byref(self.properties)))
        if options.external:
            self.external = ctypes.c_uint(options.external)
            self.check(sasl.sasl_setprop(self.handle, SSF_EXTERNAL, ctypes.byref(self.external)))
        if options.binding:
            text = options.binding.encode()
            self.binding = Binding(b"test", int(options.critical), len(text), text)
            self.check(sasl.sasl_setprop(self.handle, CHANNEL_BINDING, ctypes.byref(self.binding)))

    def send(self, data):
        self.stream.sendall(LENGTH.pack(len(data)) + data)

    def send_out(self):
        self.send(ctypes.string_at(self.data, self.length.value) if self.data else b"")

    def receive(self):
        length, = LENGTH.unpack(self.receive_octets(LENGTH.size))
        return self.receive_octets(length)

    def receive_octets(self, count):
        data = b""
        while len(data) < count:
            more = self.stream.recv(count - len(data))
            if not more:
                raise Refused("the other side has closed the connection")
            data += more
        return data

    def out(self):
        return ctypes.byref(self.data), ctypes.byref(self.length)

    def number(self, what):
        value = ctypes.POINTER(ctypes.c_uint)()
        self.check(sasl.sasl_getprop(self.handle, what, ctypes.byref(value)))
        return value[0]

    def text(self, what):
        value = ctypes.c_char_p()
        self.check(sasl.sasl_getprop(self.handle, what, ctypes.byref(value)))
        return value.value.decode()

    def send_sealed(self, data):
        self.check(sasl.sasl_encode(self.handle, data, len(data), *self.out()))
        self.send_out()

    def receive_sealed(self):
        data = self.receive()
        self.check(sasl.sasl_decode(self.handle, data, len(data), *self.out()))
        return ctypes.string_at(self.data, self.length.value)

    def close(self):
        if self.handle:
            sasl.sasl_dispose(ctypes.byref(self.handle))
        self.stream.close()


class Server(Connection):
    def login(self):
        options = self.options
        self.check(sasl.sasl_server_new(options.service.encode(), options.host.encode(), None, None,
                                        None, None, 0, ctypes.byref(self.handle)))
        self.configure()
        count = ctypes.c_int()
        self.check(sasl.sasl_listmech(self.handle, None, b"", b" ", b"", *self.out(),
                                      ctypes.byref(count)))
        self.send_out()
        chosen, token = self.receive(), self.receive()
        status = self.check(sasl.sasl_server_start(self.handle, chosen, token, len(token),
                                                   *self.out()))
        while status == CONTINUE:
            self.send(b"C")
            self.send_out()
            token = self.receive()
            status = self.check(sasl.sasl_server_step(self.handle, token, len(token), *self.out()))
        self.send(b"O")  # no data with it: SASL_SUCCESS_DATA is not said
        print(f"accepted: {self.text(USERNAME)} {chosen.decode()} ssf {self.number(SSF)}",
              flush=True)
        self.send_sealed(self.receive_sealed().upper())
        self.stream.recv(1)  # the client ends the connection


class Client(Connection):
    def choose(self, offered):
        wanted = self.options.mechanisms.split()
        names = b" ".join(name for name in offered.split() if name.decode() in wanted)
        chosen = ctypes.c_char_p()
        status = self.check(sasl.sasl_client_start(self.handle, names, None, *self.out(),
                                                   ctypes.byref(chosen)))
        self.send(chosen.value)
        self.send_out()
        return status, chosen.value.decode()

    def login(self):
        options = self.options
        self.check(sasl.sasl_client_new(options.service.encode(), options.host.encode(), None, None,
                                        None, 0, ctypes.byref(self.handle)))
        self.configure()
        offered = self.receive()
        print("offered:", " ".join(name for name in offered.decode().split()
                                   if name in options.mechanisms.split()), flush=True)
        status, chosen = self.choose(offered)
        while self.receive() == b"C":
            if status != CONTINUE:
                raise Refused("the server goes on where the client has ended")
            token = self.receive()
            status = self.check(sasl.sasl_client_step(self.handle, token, len(token), None,
                                                      *self.out()))
            self.send_out()
        if status == CONTINUE:
            raise Refused("the server has ended where the client goes on")
        print(f"logged in: {chosen} ssf {self.number(SSF)}", flush=True)
        self.send_sealed(MESSAGE)
        print("answer:", self.receive_sealed().decode(), flush=True)
        time.sleep(options.hold)


def serve(options, callbacks):
    listener = socket.create_server(("", options.port))
    if sasl.sasl_server_init(callbacks.table, b"sasl_program") != OK:
        raise SystemExit("sasl_server_init failed")
    while True:
        connection = Server(listener.accept()[0], options)
        try:
            connection.login()
        except (Refused, ConnectionError) as reason:
            print(f"refused: {reason}", flush=True)
        finally:
            connection.close()


def ask(options, callbacks):
    if sasl.sasl_client_init(callbacks.table) != OK:
        raise SystemExit("sasl_client_init failed")
    connection = Client(socket.create_connection((options.host, options.port)), options)
    try:
        connection.login()
    except (Refused, ConnectionError) as reason:
        print(f"refused: {reason}", flush=True)
        return 1
    finally:
        connection.close()
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for name, function, places in (("serve", serve, ("port", "service", "host")),
                                   ("ask", ask, ("host", "port", "service", "name"))):
        command = commands.add_parser(name)
        command.set_defaults(function=function, name="")
        for place in places:
            command.add_argument(place, type=int if place == "port" else str)
        command.add_argument("--binding")
        command.add_argument("--critical", action="store_true")
        command.add_argument("--minssf", type=int, default=0)
        command.add_argument("--external", type=int, default=0)
        command.add_argument("--mechanisms", default="GS2-63L22ULZSVD GS2-63L22ULZSVD-PLUS")
        command.add_argument("--hold", type=float, default=0)
    options = parser.parse_args()
    return options.function(options, Callbacks(options.name.encode()))


if __name__ == "__main__":
    sys.exit(main())
