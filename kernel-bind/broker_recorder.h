/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recorder: an eBPF socket filter that notes, for each segment that reaches the socket, whether
 * it came in the clear or under the inbound SA's mark, and that can be switched to drop what came
 * in the clear (doc/protocol.md section 6, verdict (b) to (d)).  Once attached it stays on the
 * socket without this object; the object is needed until the verdict.
 */
#ifndef KERNEL_BIND_BROKER_RECORDER_H
#define KERNEL_BIND_BROKER_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "include/ipsec_latch.h"

#define RECORDER_MARK_MASK 0x7fffffff /* the close cover's second form changes the top bit */
#define RECORDER_STRETCH_BITS 23      /* a stretch is 2^23 sequence numbers: one page holds all */
#define RECORDER_STRETCH (1u << RECORDER_STRETCH_BITS)
#define RECORDER_STRETCHES (1u << (32 - RECORDER_STRETCH_BITS))
#define RECORDER_PRESENT (1ull << 32) /* a sequence number is there */
/* How far from the anchor a number under the mark may lie: twice that and the longest segment are less
 * than half of all numbers, or nobody could tell any more what lies behind what. */
#define RECORDER_FAR ((1u << 30) - (1u << 20))

/* Shared with the eBPF program: the layout is part of it. */
struct recorder_record {
	uint64_t mode;		    /* 0 record, 1 drop what has not the mark */
	uint64_t is_poisoned;	    /* a record could not be made */
	uint64_t protected_bytes;   /* payload under the mark */
	uint64_t protected_packets; /* segments under the mark, empty ones too */
	uint64_t anchor; /* PRESENT | number of the payload under the mark that came first */
	uint64_t first_protected; /* PRESENT | the lowest such number */
	uint64_t last_protected;  /* PRESENT | the highest end of such payload */
	/* For each stretch: STRETCH + where in it the highest clear end lies; 0: none does. */
	uint32_t clear_end[RECORDER_STRETCHES];
};

struct recorder;

/* Loads a recorder for this mark (not 0, top bit clear); 0 or a positive errno. */
int recorder_new(uint32_t mark, struct recorder **ret_recorder) ERR_MUST_CHECK;
/* How many there are, each with one descriptor, or two until recorder_close_program. */
size_t recorder_count(void);
/* The program, for SO_ATTACH_BPF; the recorder's, -1 after recorder_close_program. */
int recorder_program(const struct recorder *recorder);
void recorder_close_program(struct recorder *recorder);
/* Waits until each segment that came to the filter's place before the recorder was attached is in
 * one of the socket's queues, where it can be looked for: some milliseconds with several processors.
 * 0 or a positive errno; EINVAL: a kernel with nohz_full cannot. */
int recorder_settle(void);
/* From now on only what bears the mark passes, for the socket's life. Full barrier. */
void recorder_drop(struct recorder *recorder);
void recorder_read(const struct recorder *recorder, struct recorder_record *ret_record);
/* NULL is fine; nulls it. Whether attached or not, the program lives on with its socket. */
void recorder_free(struct recorder **recorder);

/* Verdict (c) and (d) on a record: LATCHED, SHORT or CLEAR_BEHIND.  buffer_bytes is the largest that
 * the socket's receive buffer was seen to be: no segment further behind the last octet under the mark
 * was ever acceptable. */
enum ipsec_latch_reason recorder_judge(const struct recorder_record *record, uint64_t token_bytes,
	uint32_t buffer_bytes) ERR_MUST_CHECK;

/* Segments that bear the mark must have come through the SA, which counts before the recorder does.
 * CLEAR_BEHIND: there are more of them than it has decapsulated, so some were clear. */
enum ipsec_latch_reason recorder_judge_marks(
	const struct recorder_record *record, uint64_t decapsulated_packets) ERR_MUST_CHECK;

#endif
