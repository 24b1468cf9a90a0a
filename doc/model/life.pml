/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection at one end, from RESERVE to the last answer behind its end: socket, broker with
 * its state file, worker, client.  Broker, worker and application may die at any step, and the
 * broker starts again.  Judged: behind COMPLETE nothing of the connection leaves in the clear; no
 * latched socket goes back to clear; no reservation stays for ever; no policy, SA or cover is left
 * that no lease knows of.
 */
#include "defences.pml"

#ifndef TIME_WAIT_OUTLIVES
#define TIME_WAIT_OUTLIVES 0 /* TIME_WAIT lives longer than the broker lingers */
#endif
#ifdef WITHOUT_COVER_LAST
#define COVER_LAST 0
#else
#define COVER_LAST 1 /* at the end the SAs go before the cover */
#endif
#ifdef WITHOUT_JOURNAL_FIRST
#define JOURNAL_FIRST 0
#else
#define JOURNAL_FIRST 1 /* in the state file before it is done */
#endif

mtype = { opened, orphan, waiting, gone };			/* the socket */
mtype = { none, larval, established, failed, broken, closing }; /* the lease */

mtype sock = opened;
bool requires_in, requires_out, blocks, drops;
bool sa_in, sa_out, cover;
bool is_complete, is_initiator, has_received;

bool is_up = true, is_at_work; /* the broker; a request */
bool is_held; /* a worker holds the descriptor: the socket does not end */
byte deaths, flushes;
mtype lease = none, kept = none; /* in the broker's memory, in its state file */
bool has_in, has_out, has_cover, is_released;
bool kept_in, kept_out, kept_cover, kept_released;

inline journal()
{
	d_step {
		kept = lease; kept_in = has_in; kept_out = has_out;
		kept_cover = has_cover; kept_released = is_released
	}
}

/* Where the broker is gone, or the request lost, a step of it does not happen. */
#define STEP(...) \
	if \
	:: atomic { is_up && is_at_work && !is_lost -> __VA_ARGS__ } \
	:: atomic { !is_up || !is_at_work || is_lost -> is_lost = true } \
	fi

/* What the worker does, it does without the broker too; and it may die before. */
#define WORK(...) \
	if \
	:: is_lost \
	:: atomic { !is_lost -> __VA_ARGS__ } \
	:: atomic { !is_lost && is_up && is_at_work -> worker_dies() } \
	fi

inline worker_dies() /* broker_request_abandon() */
{
	if
	:: lease == larval ->
		is_released = true;
		sa_in = false;
		sa_out = false;
		lease = broken;
		journal()
	:: else
	fi;
	is_at_work = false;
	is_lost = true
}

#define REFUSE is_refused = true; is_at_work = false

/* A request begins only where a broker is. */
#define BEGIN \
	is_refused = false; \
	if \
	:: atomic { is_up && sock == opened -> is_at_work = true; is_held = true; is_lost = false } \
	:: !is_up || sock != opened -> is_lost = true \
	fi
/* The worker closes its copy of the descriptor before the client has its answer. */
#define END_OF_REQUEST is_held = false

inline request_reserve()
{
	BEGIN;
	STEP(
		if
		:: lease == none || (!has_in && (is_released || lease == broken)) ->
			must_clear = has_out; has_out = false; sa_in = false; sa_out = false;
			lease = larval; is_released = false
		:: else -> REFUSE
		fi);
	if
	:: !is_refused ->
		STEP(sa_in = true);
		STEP(sa_out = is_initiator; has_out = is_initiator; journal());
		WORK(requires_out = is_initiator || (requires_out && !must_clear); must_clear = false);
		STEP(if :: lease != larval -> REFUSE :: else -> is_at_work = false fi)
	:: else
	fi;
	END_OF_REQUEST
}

inline request_latch()
{
	BEGIN;
	STEP(if :: lease != larval || is_released -> REFUSE :: true -> REFUSE :: lease == larval && !is_released && has_received fi);
	if
	:: !is_refused ->
		STEP(sa_out = true);
		STEP(has_in = true; has_out = true; if :: JOURNAL_FIRST -> journal() :: else fi);
		WORK(requires_out = true);
		WORK(requires_in = HAS_A);
		STEP(if :: lease != larval -> REFUSE :: else fi);
		STEP(has_cover = HAS_COVER; if :: JOURNAL_FIRST -> journal() :: else fi);
		STEP(cover = HAS_COVER);
		STEP(drops = HAS_B);
		STEP(
			if
			:: is_refused || lease != larval -> REFUSE
			:: lease == larval && !is_refused -> lease = failed; REFUSE /* judged */
			:: lease == larval && !is_refused -> lease = established
			fi; journal());
		STEP(is_at_work = false)
	:: else
	fi;
	END_OF_REQUEST
}

inline request_release()
{
	BEGIN;
	STEP(
		if
		:: lease == none -> REFUSE
		:: lease == broken && has_in -> must_block = true
		:: lease != none && !(lease == broken && has_in) &&
			(has_in || (is_initiator && has_received && lease == larval) ||
			lease == failed || lease == closing) ->
			is_released = true;
			lease = (lease == established || lease == larval -> failed : lease);
			journal(); REFUSE
		:: lease != none && !has_in && lease != failed && lease != closing &&
			!(is_initiator && has_received && lease == larval) -> skip
		fi);
	if
	:: !is_refused && !is_lost && must_block -> WORK(blocks = true); is_released = true
	:: !is_refused && !is_lost && !must_block ->
		WORK(
			if
			:: requires_in -> VIOLATION("violation: a latched socket goes back to clear\n")
			:: else -> requires_out = false
			fi);
		STEP(
			is_released = true; has_out = false;
			if
			:: !is_initiator && lease == larval
			:: else -> sa_in = false; sa_out = false; lease = none
			fi;
			journal());
	:: else
	fi;
	STEP(is_at_work = false);
	END_OF_REQUEST
}

active proctype Client()
{
	bool is_lost, is_refused, must_clear, must_block;
	byte tries;

	if
	:: is_initiator = true
	:: is_initiator = false
	fi;
	if /* how often the broker will die: twice, once, never */
	:: true
	:: deaths++
	:: deaths = 2
	fi;
	do
	:: tries < 2 && !is_complete && sock == opened ->
		tries++;
		request_reserve();
		if
		:: is_lost || is_refused
		:: else ->
			has_received = false;
			if
			:: has_received = sa_in
			:: true /* nothing comes, or it does not verify */
			fi;
			if
			:: has_received -> request_latch()
			:: true -> is_refused = true
			fi;
			if
			:: atomic { !is_lost && !is_refused -> is_complete = true; printf("COMPLETE\n") }
			:: is_lost || is_refused -> request_release()
			:: !is_lost && !is_refused -> request_release() /* (e) or (f) */
			fi
		fi
	:: true -> break
	od;
	is_lost = false; is_refused = false; must_clear = false; must_block = false; tries = 0
}

/* The application ends or closes; orphan: still a full socket, with its policies. */
active proctype Socket()
{
	if
	:: atomic { !is_held -> sock = orphan }; printf("socket closed\n");
		if
		:: sock = waiting; sock = gone
		:: sock = gone
		fi
	:: true
	fi
}

inline adopt()
{
	atomic {
		lease = kept; has_in = kept_in; has_out = kept_out; has_cover = kept_cover;
		is_released = kept_released;
		if
		:: lease == none || lease == closing
		:: lease != none && lease != closing && (sock == waiting || sock == gone) ->
			lease = (has_in -> closing : none)
		:: lease == larval && (sock == opened || sock == orphan) -> lease = broken
		:: (lease == established || lease == failed || lease == broken) &&
			(sock == opened || sock == orphan) ->
			lease = (sa_in && sa_out -> lease : broken)
		fi;
		has_cover = has_cover && lease != none;
		cover = cover && has_cover;
		sa_in = sa_in && lease != none && lease != broken;
		sa_out = sa_out && lease != none && lease != broken;
		journal();
		is_up = true;
		printf("broker started again\n")
	}
}

#define DROP(first, second, third) first; \
	if :: is_up -> second :: else fi; \
	if :: is_up -> third; lease = none; has_in = false; has_out = false; has_cover = false; journal() :: else fi

active proctype Broker()
{
end:	do
	:: atomic { is_up && deaths < 2 -> deaths++; is_up = false; is_at_work = false;
		printf("broker killed\n") }
	:: !is_up -> adopt()
	/* timers and events; no request is at work */
	:: atomic { is_up && !is_at_work && lease == larval -> /* 60 s */
		if
		:: has_out -> lease = failed
		:: else -> sa_in = false; sa_out = false; lease = broken
		fi;
		journal() }
	:: atomic { is_up && (lease == established || lease == failed || lease == larval) &&
		!(is_at_work && lease == larval) && (!sa_in || (!sa_out && lease != larval)) &&
		flushes > 0 -> sa_in = false; sa_out = false; lease = broken; journal() }
	:: atomic { is_up && !is_at_work && (sock == waiting || sock == gone) &&
		lease != none && lease != closing ->
		if
		:: has_in -> lease = closing
		:: else -> cover = false; sa_in = false; sa_out = false; lease = none
		fi;
		journal() }
	:: is_up && !is_at_work && lease == closing && (sock == gone || TIME_WAIT_OUTLIVES) ->
		if /* the linger time is over */
		:: COVER_LAST -> DROP(sa_in = false, sa_out = false, cover = false)
		:: !COVER_LAST -> DROP(cover = false, sa_in = false, sa_out = false)
		fi
	od
}

active proctype Others() /* flush the SAs of the host */
{
	if
	:: atomic { flushes++; sa_in = false; sa_out = false; printf("SAs flushed\n") }
	:: true
	fi
}

/* What leaves, or could. */
active proctype Wire()
{
end:	do
	:: atomic { is_complete && (sock == opened || sock == orphan) && !requires_out && !blocks ->
		VIOLATION("violation: a latched socket sends in the clear\n") }
	:: atomic { is_complete && sock == waiting && !cover ->
		VIOLATION("violation: TIME_WAIT answers in the clear\n") }
	:: atomic { is_complete && sock == gone && sa_in && !cover ->
		VIOLATION("violation: a late ESP segment is answered by a clear RST\n") }
	:: atomic { timeout ->
		if
		:: is_up && lease == larval -> VIOLATION("violation: a reservation stays for ever\n")
		:: is_up && sock == opened && lease == none && (requires_out || requires_in) && !blocks ->
			VIOLATION("violation: a policy is left that no lease knows of\n")
		:: is_up && lease == none && (sa_in || sa_out || cover) ->
			VIOLATION("violation: an SA or cover is left that no lease knows of\n")
		:: else -> break
		fi }
	od
}
