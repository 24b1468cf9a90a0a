# SPDX-License-Identifier: BSD-2-Clause
"""What happens to a whole host while connections are latched, for closing.py: one at a time, to a
connection of each family."""
import socket

import closing_rows as rows
from closing_hosts import Connection, demand, until
from closing_wire import other

FAMILIES = (socket.AF_INET, socket.AF_INET6)


def pair_latch(world):
    pair = [Connection(world, family) for family in FAMILIES]
    for connection in pair:
        yield from connection.latch()
    return pair


def speak(pair, count=20000):
    """Both directions, without waiting."""
    for connection in pair:
        for side in "AB":
            connection.send(side, count)


def all_arrives(pair, seconds=20):
    for connection in pair:
        for side in "AB":
            yield from until(lambda: connection.is_whole(side), f"everything at {side}", seconds)


def pair_close(pair):
    for connection in pair:
        yield from rows.close_in_turn(connection, "A")


def disturbed(world, side, begin, end):
    """Both directions speak while commands have changed the host; then they are undone."""
    pair = yield from pair_latch(world)
    yield from pair_through(world.hosts[side], pair, begin, end)
    yield from pair_close(pair)


def pair_through(host, pair, begin, end):
    speak(pair)
    for command in begin:
        host.command(*command.split())
    speak(pair)
    yield 1
    for command in end:
        host.command(*command.split())
    speak(pair)
    yield from all_arrives(pair)


def interface_down(world):
    for side in "AB":
        yield from disturbed(world, side, ["ip link set wire down"], ["ip link set wire up"])


def addresses_removed(world):
    addresses = ["10.77.0.1/24 dev wire", "fd77::1/64 dev wire"]
    yield from disturbed(world, "A", [f"ip address del {text}" for text in addresses],
                         [f"ip address add {addresses[0]}", f"ip address add {addresses[1]} nodad"])


def routes_of(kind, options=""):
    return [f"ip route {kind} 10.77.0.2/32 {options}".strip(),
            f"ip -6 route {kind} fd77::2/128 {options}".strip()]


def route_through_nothing(world):
    yield from disturbed(world, "A", routes_of("add blackhole"), routes_of("del blackhole"))


def route_through_another(world):
    """Frames leave by another interface of A; the wire listens there too."""
    there = world.hosts["B"].output("ip", "-o", "link", "show", "wire").split("link/ether ")[1]
    there = there.split()[0]
    neighbours = [f"ip neighbour replace {address} lladdr {there} dev wire2 nud permanent"
                  for address in ("10.77.0.2", "fd77::2")]
    pair = yield from pair_latch(world)
    host = world.hosts["A"]
    for command in neighbours + [
            "ip route replace 10.77.0.2/32 dev wire2 src 10.77.0.1",
            "ip -6 route replace fd77::2/128 dev wire2 src fd77::1"]:
        host.command(*command.split())
    before = world.wire.second_count
    speak(pair)
    yield from all_arrives(pair)
    demand(world.wire.second_count > before, "nothing left by the other interface")
    for command in routes_of("del", "dev wire2"):
        host.command(*command.split())
    speak(pair)
    yield from all_arrives(pair)
    yield from pair_close(pair)


def mtu_changed(world):
    for side in "AB":
        yield from disturbed(world, side, ["ip link set wire mtu 1300"],
                             ["ip link set wire mtu 1500"])


def brokers_restarted(world):
    """Both brokers are away while one connection is closed and another goes on."""
    pair = yield from pair_latch(world)
    more = yield from pair_latch(world)
    world.hosts["A"].broker_stop(is_killed=True)
    world.hosts["B"].broker_stop()
    for connection, side in zip(pair, "AB"):
        yield from rows.last_ack(connection, side)
    speak(more)
    yield from all_arrives(more)
    world.brokers_start()
    for connection in pair:
        demand(connection.has_lease("A") and connection.has_lease("B"), "leases are found again")
        yield from connection.forge_both()
    speak(more)
    yield from all_arrives(more)
    yield from pair_close(more)
    for connection in pair + more:
        yield from connection.leases_go()


def yields(world, side):
    """How many SPD entries of this host yield."""
    return world.hosts[side].output("ip", "-o", "xfrm", "policy", "list", "nosock").count("localok")


def brokers_restarted_between(world):
    """Both brokers end while covers yield to reservations, which are lost with them."""
    first = yield from pair_latch(world)
    second = []
    for connection in first:
        yield from rows.reset(connection)
        again, _ = yield from rows.reserve_again(connection)
        second.append(again)
    demand(all(yields(world, side) == len(first) for side in "AB"), "covers yield")
    world.hosts["A"].broker_stop(is_killed=True)
    world.hosts["B"].broker_stop()
    world.brokers_start()
    demand(not yields(world, "A") and not yields(world, "B"), "no cover yields any more")
    for connection in second:
        yield from connection.forge_both()
        connection.abort("A")
        connection.fd["B"].close()
        yield from rows.meets_cover(connection)
    for connection in second:
        yield from connection.leases_go()


def destroyed(world):
    """SOCK_DESTROY at one end, with data on its way and without; then of what TIME_WAIT leaves."""
    for side in "AB":
        pair = yield from pair_latch(world)
        for connection in pair:
            connection.send(other(side), 1000)
            yield 0.1
            socket_destroy(connection, side)
            yield from connection.hears_error(side, ("ECONNABORTED",))
            yield from connection.hears_error(other(side), rows.RESET)
            yield from connection.forge_both()
        pair = yield from pair_latch(world)
        for connection in pair:
            yield from time_wait_destroyed(connection, side)


def socket_destroy(connection, side):
    local, remote = connection.ports(side)
    family = "-4" if connection.family == socket.AF_INET else "-6"
    connection.world.hosts[side].output(
        "ss", family, "-K", "-tan", f"sport = :{local} and dport = :{remote}")


def time_wait_destroyed(connection, side):
    """The peer's FIN then finds nothing: RST out of the cover."""
    peer = other(side)
    connection.close(side)
    yield from connection.hears_end(peer)
    connection.flow.lost = {side}
    connection.close(peer)
    yield from connection.reaches(side, "TIME_WAIT")
    socket_destroy(connection, side)
    yield from connection.reaches(side, "none")
    connection.flow.lost = set()
    yield from rows.answers(connection, side)
    yield from connection.reaches(peer, "none")


# whole hosts change
WORLD_ROWS = (
    ("interface down and up", interface_down),
    ("addresses removed and added", addresses_removed),
    ("a route into nothing", route_through_nothing),
    ("a route by another interface", route_through_another),
    ("MTU of the interface lowered and raised", mtu_changed),
    ("both brokers away during the close", brokers_restarted),
    ("both brokers away when the port is used again", brokers_restarted_between),
)

# where the kernel has SOCK_DESTROY
DESTROY_ROWS = (("sockets destroyed by root", destroyed),)
