/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verdict (d) alone, with numbers that go round: the attacker shows the filter any three clear
 * segments, of which TCP queues those that lie in its window.  When the record passes, none that
 * was queued may end behind the start of ESP.
 *
 * Scaled down: 32 numbers for 2^32, 16 sectors of 2 for sixteenths of 2^28, a window of 8 for 2^30.
 */
#include "defences.pml"

#define NUMBERS 32
#define SECTORS 16
#define WINDOW 8 /* the largest that TCP has: 2^30 */
#ifndef BEHIND
#define BEHIND 10 /* one sector more than the window: 2^30 + 2^28 */
#endif
#define DISTANCE(from, to) (((to) + NUMBERS - (from)) % NUMBERS)

bool present[SECTORS];
byte end_of[SECTORS]; /* the highest end in this sector */
byte start;           /* of ESP; all the same where it lies, so tried everywhere */
bool has_queued_behind;

inline record(end)
{
	if
	:: HAS_SIXTEENTHS ->
		if
		:: !present[(end) / 2] || end_of[(end) / 2] < (end) -> end_of[(end) / 2] = end
		:: else
		fi;
		present[(end) / 2] = true
	:: else -> /* one maximum, in the place of sector 0, compared by signed difference */
		if
		:: !present[0] -> end_of[0] = end
		:: present[0] && DISTANCE(end_of[0], end) > 0 &&
			DISTANCE(end_of[0], end) < NUMBERS / 2 -> end_of[0] = end
		:: else
		fi;
		present[0] = true
	fi
}

active proctype Attacker()
{
	byte i, end, sector;
	bool passes = true;

	select(start : 0 .. NUMBERS - 1);
	for (i : 1 .. 3) {
		select(end : 0 .. NUMBERS - 1);
		skip; /* a loop may not lead straight into a d_step */
		d_step {
			printf("attacker: a clear segment that ends %d behind the start of ESP\n",
				DISTANCE(start, end));
			record(end);
			/* TCP's window opens at the start of ESP, or before it. */
			has_queued_behind = has_queued_behind ||
				(DISTANCE(start, end) > 0 && DISTANCE(start, end) <= WINDOW)
		}
	}
	skip;
	d_step {
		for (sector : 0 .. SECTORS - 1) {
			if
			:: present[sector] && DISTANCE(start, end_of[sector]) > 0 &&
				DISTANCE(start, end_of[sector]) <= BEHIND -> passes = false
			:: else
			fi
		}
	}
	if
	:: passes && has_queued_behind -> VIOLATION("violation: the record passes, and clear bytes wait behind the start of ESP\n")
	:: else
	fi
}
