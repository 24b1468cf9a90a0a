# SPDX-License-Identifier: BSD-2-Clause
"""The ways in which a latched connection ends or is disturbed, for closing.py.

Each function gets a connection that was just latched; what it says of states, octets and errors is
what TCP promises.  That nothing leaves in the clear is judged by the wire, in every row.
"""
import os
import socket
import subprocess

from closing_hosts import (COVERED, KEY_BYTES, LEASE_BROKEN, TOKEN_BYTES, Connection, Crossed,
                           demand, never, until)
from closing_wire import other

RESET = ("ECONNRESET",)
BULK = 200000


def answers(connection, side):
    """Waits for one more packet of side's, which can only be ESP."""
    before = connection.flow.esp[side]
    return until(lambda: connection.flow.esp[side] > before, f"{side} answers in ESP")


# --- closes ---

def close_in_turn(c, first):
    yield from c.say("A", 3000)
    yield from c.say("B", 3000)
    c.close(first)
    yield from c.hears_end(other(first))
    yield from c.reaches(first, "FIN_WAIT2")
    c.close(other(first))
    yield from c.reaches(other(first), "none")
    yield from until(lambda: c.state(first) in ("TIME_WAIT", "none"), f"{first} has the last FIN")
    # The answer to a FIN that came twice, as an acknowledgement was late, is a reset (RFC 1337).
    if c.state(first) == "none":
        raise Crossed(f"no TIME_WAIT at {first}")


def close_at_once(c):
    """Both FINs are on the cable before either arrives."""
    c.flow.holding = {"A", "B"}
    for side in "AB":
        c.close(side)
        yield from until(lambda: c.flow.held[side], "a FIN")
    for side in "AB":
        c.wire.release(c.flow, side)
    for side in "AB":
        yield from c.reaches(side, "CLOSING")
    yield from c.forge_both()
    c.flow.holding = set()
    for side in "AB":
        c.wire.release(c.flow, side)
    for side in "AB":
        yield from c.reaches(side, "TIME_WAIT")
    yield from c.forge_both()


def half_close(c, first):
    second = other(first)
    c.shut(first)
    yield from c.hears_end(second)
    for _ in range(40):
        yield from c.say(second, 10000)
        yield 0.05
    demand((c.state(first), c.state(second)) == ("FIN_WAIT2", "CLOSE_WAIT"), "half closed")
    c.close(second)
    yield from c.hears_end(first)
    c.close(first)
    yield from c.reaches(first, "TIME_WAIT")


def close_unread(c, side):
    """What was not read makes the kernel send RST."""
    c.send(other(side), 1000)
    yield 0.1
    c.close(side)
    yield from c.hears_error(other(side), RESET)
    yield from c.reaches(side, "none")
    yield from c.forge_both()


def close_linger(c, side):
    yield from c.say("A", 3000)
    c.abort(side)
    yield from c.hears_error(other(side), RESET)
    yield from c.reaches(side, "none")
    yield from c.forge_both()


def given_away(c, side):
    """A process of its own is the only one to hold this end from now on."""
    process = subprocess.Popen(["sleep", "100"], pass_fds=[c.fd[side].fileno()])
    c.fd[side].close()
    return process


def killed_both(c, side):
    """Data is queued in both directions, unread and unsent."""
    for sender in "AB":
        c.send(sender, BULK)
    yield 0.3
    process = given_away(c, side)
    process.kill()
    process.wait()
    yield from c.hears_error(other(side), RESET)
    yield from c.reaches(side, "none")


def killed_sending(c, side):
    """Nothing is unread: all that was queued arrives, and the end behind it."""
    c.send(side, BULK)
    process = given_away(c, side)
    process.kill()
    process.wait()
    yield from c.hears_end(other(side))
    c.close(other(side))
    yield from c.reaches(other(side), "none")


def passed_on(c, side):
    """While another process holds the socket, its first owner's end is nobody's."""
    process = given_away(c, side)
    yield from c.say(other(side), 0)
    yield from never(lambda: c.state(side) != "ESTABLISHED", "the socket lives", 0.5)
    process.kill()
    process.wait()
    yield from c.hears_end(other(side))
    c.close(other(side))
    yield from c.reaches(side, "TIME_WAIT")


# --- orphans and what comes too late ---

def fin_wait1_silent(c, side):
    """The peer is not heard any more, until the orphan has given up."""
    c.flow.lost = {other(side)}
    c.send(side, 1000)
    c.close(side)
    yield from c.reaches(side, "FIN_WAIT1")
    yield from c.reaches(other(side), "CLOSE_WAIT")
    yield from c.forge_both()
    yield from c.reaches(side, "none", 25)
    yield from c.hears_end(other(side))
    c.flow.lost = set()
    c.send(other(side), 100)
    yield from answers(c, side)
    yield from c.reaches(other(side), "none")


def fin_wait2_data(c, side):
    """Octets for a program that has ended: RST, from a socket that is none any more."""
    c.close(side)
    yield from c.hears_end(other(side))
    yield from c.reaches(side, "FIN_WAIT2")
    yield from c.forge_both()
    c.send(other(side), 100)
    yield from answers(c, side)
    yield from c.reaches(other(side), "none")
    yield from c.forge_both()


def fin_wait2_over(c, side, seconds=None):
    """The orphan's time is over when the peer speaks."""
    if seconds is None:
        c.fd[side].setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 1)
    c.close(side)
    yield from c.hears_end(other(side))
    yield from c.reaches(side, "FIN_WAIT2")
    yield seconds or 1
    yield from c.reaches(side, "none")
    c.send(other(side), 100)
    yield from answers(c, side)
    yield from c.reaches(other(side), "none")


def last_ack(c, side):
    """Acknowledgements of the FIN are lost; each repetition is answered by TIME_WAIT."""
    c.close(side)
    yield from c.hears_end(other(side))
    c.flow.lost = {side}
    c.close(other(side))
    yield from c.reaches(side, "TIME_WAIT")
    demand(c.state(other(side)) == "LAST_ACK", "the last acknowledgement is missing")
    yield from c.forge_both()
    yield from answers(c, side)
    yield from answers(c, side)
    c.flow.lost = set()
    yield from c.reaches(other(side), "none")
    demand(c.state(side) == "TIME_WAIT", "still TIME_WAIT")
    yield from c.forge_both()


def late_data(c, side, seconds=0.2):
    """ESP that is still on its way when its socket has vanished."""
    c.flow.holding = {other(side)}
    c.send(other(side), 500)
    yield from until(lambda: c.flow.held[other(side)], "data on its way")
    c.abort(side)
    yield from c.reaches(other(side), "none")
    c.fd[other(side)].close()
    yield seconds
    c.flow.holding = set()
    c.wire.release(c.flow, other(side), 1)
    yield from answers(c, side)
    yield from c.forge_both()


# --- while it is open ---

def forged(c):
    yield from c.forge_both()
    yield from c.say("A", 3000)
    yield from c.say("B", 3000)
    c.shut("A")
    yield from c.hears_end("B")
    yield from c.reaches("A", "FIN_WAIT2")
    yield from c.forge_both()
    yield from c.say("B", 3000)
    c.close("B")
    yield from c.hears_end("A")
    c.close("A")


def keepalive(c):
    """Idle, kept alive, and then ended because nobody answers."""
    for side in "AB":
        c.fd[side].setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1),
                              (socket.TCP_KEEPCNT, 2)):
            c.fd[side].setsockopt(socket.IPPROTO_TCP, option, value)
    before = dict(c.flow.esp)
    yield 3.5
    demand(all(c.flow.esp[side] > before[side] + 1 for side in "AB"), "no keepalives in ESP")
    yield from c.say("A", 3000)
    yield from c.say("B", 3000)
    # Data without acknowledgement is sent again instead, for a quarter of an hour.
    yield from until(lambda: not any(map(c.unacknowledged, "AB")), "all is acknowledged")
    c.flow.lost = {"A", "B"}
    for side in "AB":
        yield from c.hears_error(side, ("ETIMEDOUT",))
    c.flow.lost = set()


def small_router(c, side):
    """A router with a small link says so by ICMP, and segments become shorter."""
    yield from c.say(side, 50000)
    c.flow.mtu = 1300
    yield from c.say(side, 50000)
    demand(c.flow.routed > 0, "no packet was too big")
    c.flow.routed, c.flow.largest[side] = 0, 0
    yield from c.say(side, 50000)
    demand(c.flow.routed == 0 and c.flow.largest[side] <= 1300, "still too big")
    c.close(side)
    yield from c.hears_end(other(side))


# --- the same port again ---

def reset(c):
    """Nothing of either socket is left.  B's is closed first: of one that was reset and is still held
    the broker takes the SAs away as soon as it looks, see held_after_reset()."""
    c.close("B")
    c.abort("A")
    for side in "AB":
        yield from c.reaches(side, "none")


def used_again(c, aborts):
    """While the lease is closing its cover yields; another port works; the same right after it."""
    yield from reset(c) if aborts else close_in_turn(c, "B")
    yield from given_up_again(c)
    yield from latched_again(c)
    fresh = Connection(c.world, c.family)
    yield from fresh.latch()
    yield from fresh.say("A", 3000)
    fresh.abort("A")
    yield from c.leases_go()
    demand(not c.flow.clear, f"{c.flow.clear}")
    c.forget()
    third = Connection(c.world, c.family, c.flow.ports["A"])
    yield from third.latch()
    yield from third.say("B", 3000)
    yield from close_in_turn(third, "A")


def reserve_again(c):
    """Both sides' reservations on its tuple, while the old SAs carry what is said.  Forged segments
    do not come through before them, nor between, nor behind."""
    again = Connection(c.world, c.family, c.flow.ports["A"], c.flow)
    yield from again.open()
    keys = {side: os.urandom(KEY_BYTES) for side in "AB"}
    yield from again.say("A", TOKEN_BYTES)
    yield from again.forge_both()
    reason = again.reserve("B", keys)
    demand(reason == 0, f"RESERVE at B: reason {reason}")
    yield from again.forge_both()
    yield from again.say("B", TOKEN_BYTES)
    reason = again.reserve("A", keys, again.spis["B"])
    demand(reason == 0, f"RESERVE at A: reason {reason}")
    yield from again.forge_both()
    return again, keys


def given_up_again(c):
    """Reserved, which makes the old cover yield, and never latched: what comes in the clear to the
    vanished sockets is not answered in the clear."""
    again, _ = yield from reserve_again(c)
    yield from reset(again)
    yield from meets_cover(again)


def latched_again(c):
    """From the old SAs to new ones, with no clear segment between or behind them."""
    again, keys = yield from reserve_again(c)
    yield from again.say("A", TOKEN_BYTES)
    again.conclude("B", keys)
    yield from again.forge_both()
    yield from again.say("B", TOKEN_BYTES)
    again.conclude("A", keys)
    yield from again.forge_both()
    yield from again.say("A", 3000)
    yield from again.say("B", 3000)
    yield from close_in_turn(again, "A")
    yield from meets_cover(again)


def meets_cover(c):
    """Neither host says anything in the clear to what is forged now."""
    for side in "AB":
        c.forge(side)
    yield 0.2
    demand(not c.flow.clear, f"{c.flow.clear}")


def used_again_beside(c):
    """What a socket that was bound to a device leaves is found by no question for the tuple alone:
    the cover does not yield to another socket, which is on all devices."""
    yield from close_in_turn(c, "A")
    bound = Connection(c.world, c.family)
    yield from bound.latch(device="wire")
    yield from close_in_turn(bound, "A")
    again = Connection(c.world, c.family, bound.flow.ports["A"], bound.flow)
    yield from again.open()
    keys = {side: os.urandom(KEY_BYTES) for side in "AB"}
    yield from again.say("A", TOKEN_BYTES)
    reason = again.reserve("B", keys)
    demand(reason == 0, f"RESERVE at B: reason {reason}")
    reason = again.reserve("A", keys, again.spis["B"])
    demand(reason == COVERED, f"RESERVE at A: reason {reason}")
    yield from reset(again)
    yield from meets_cover(bound)


def used_again_bound(c):
    """A socket that is bound to a device has the tuple for itself as soon as another one has."""
    yield from reset(c)
    again = Connection(c.world, c.family, c.flow.ports["A"], c.flow)
    yield from again.latch(device="wire")
    yield from again.say("A", 3000)
    yield from close_in_turn(again, "B")
    yield from meets_cover(again)


def held_after_reset(c):
    """B's program keeps a socket that was reset: its SAs are gone, its cover is not."""
    c.flow.holding = {"B"}
    c.send("B", 500)
    yield from until(lambda: c.flow.held["B"], "data on its way")
    c.abort("A")
    yield from c.hears_error("B", RESET)
    yield from until(lambda: c.lease_state("B") == LEASE_BROKEN, "B's lease is broken")
    c.flow.holding = set()
    c.wire.release(c.flow, "B")
    yield from c.forge_both()
    for flow in (c.flow, None):
        yield from meets_silence(c, flow)
        yield from until(lambda: not c.has_lease("A"), "A's lease is gone")
    c.fd["B"].close()
    yield from c.leases_go()
    third = Connection(c.world, c.family, c.flow.ports["A"])
    yield from third.latch()
    yield from close_in_turn(third, "A")


def meets_silence(c, flow):
    """A uses the port again (without flow: A has no cover any more, B has); another one works."""
    again = Connection(c.world, c.family, c.flow.ports["A"], flow)
    again.flow.esp["B"] += 1  # B sends nothing in the clear in either case
    again.connect()
    yield from never(lambda: c.world.accepted(c.family, c.flow.ports["A"]), "connected", 1.5)
    again.end()
    fresh = Connection(c.world, c.family)
    yield from fresh.latch()
    yield from close_in_turn(fresh, "A")
    demand(c.has_lease("B"), "B's lease for as long as the socket")


# --- the real times, with a broker's real 120 seconds ---

def fins_hold(c, side, count):
    """side in TIME_WAIT by the first of so many repetitions of its peer's FIN; the others are held."""
    peer = other(side)
    c.close(side)
    yield from c.hears_end(peer)
    yield from c.reaches(side, "FIN_WAIT2")
    c.flow.holding, c.flow.lost = {peer}, {side}
    yield 0.3
    c.flow.held[peer].clear()  # a second acknowledgement, where the FIN was sent twice
    c.shut(peer)  # a socket that somebody holds repeats its FIN for minutes
    yield from until(lambda: len(c.flow.held[peer]) >= count, "FINs to be held", 60)
    c.flow.held[peer][count:] = []
    c.wire.release(c.flow, peer, 1)
    yield from c.reaches(side, "TIME_WAIT")


def time_wait_long(c, side, times):
    """FINs repeated at these seconds; each is answered, and begins TIME_WAIT anew."""
    yield from fins_hold(c, side, len(times) + 1)
    yield from c.world.at(c, times, lambda: repeat_fin(c, side))
    demand(c.has_lease(side), "a lease as long as TIME_WAIT")
    yield from c.forge_both()


def repeat_fin(c, side):
    demand(c.state(side) == "TIME_WAIT", f"{side} is in {c.state(side)}")
    before = c.flow.esp[side]
    c.wire.release(c.flow, other(side), 1)
    yield from until(lambda: c.flow.esp[side] > before, "TIME_WAIT answers in ESP")
    demand(c.state(side) == "TIME_WAIT", "TIME_WAIT goes on")


def time_wait_over(c, side):
    """A FIN that comes when TIME_WAIT has ended: RST out of the cover."""
    peer = other(side)
    yield from fins_hold(c, side, 2)
    yield 60
    yield from c.reaches(side, "none")
    c.flow.lost = set()
    before = c.flow.esp[side]
    c.wire.release(c.flow, peer, 1)
    yield from until(lambda: c.flow.esp[side] > before, "RST in ESP")
    yield from c.reaches(peer, "none")


def covered_long(c):
    """The cover's 120 s: data for a vanished socket just before their end; the port afterwards."""
    yield from late_data(c, "A", 110)
    demand(c.has_lease("A") and c.has_lease("B"), "leases for 120 s")
    yield from c.leases_go()
    demand(not c.flow.clear, f"{c.flow.clear}")
    c.forget()
    again = Connection(c.world, c.family, c.flow.ports["A"])
    yield from again.latch()
    yield from again.say("A", 3000)
    again.abort("A")
