/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recorder's eBPF program, assembled by hand, and the verdict on what it noted.
 *
 * The filter sees each segment after the policy check and before TCP's own checks, so also what TCP
 * will refuse: one running maximum of clear sequence numbers could be walked round by an attacker.
 * Hence one maximum for each stretch of 2^23 numbers, so that a stranger's segments far outside the
 * window do not look like an attack either.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/membarrier.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-bind/broker_recorder.h"

#define BEHIND_MAX (1u << 30) /* as far ahead as a TCP window can reach, RFC 7323 2.3 */
/* Beyond the buffer: rounding of the window, a segment that begins at its end, an urgent pointer,
 * and a buffer that the program had made smaller before anybody looked. */
#define REACH_SLACK (1u << 20)

struct recorder {
	int map, program;
	struct recorder_record *record;
	size_t mapped_bytes;
};

/*
 * Assembler: one line, one instruction.  Registers: R6 the segment (__sk_buff), R7 the record,
 * R8 octets of payload, R9 sequence number.  The stack holds the TCP header.
 */
enum { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 };

#define HEADER_AT (-24)
#define SEQUENCE_AT (HEADER_AT + 4)
#define OFFSET_AT (HEADER_AT + 12)
#define FLAGS_AT (HEADER_AT + 13)
#define URGENT_AT (HEADER_AT + 18)
#define HEADER_BYTES 20
#define TCP_FIN 0x01
#define TCP_URG 0x20
#define TRIES 8 /* of a compare-and-exchange before the record counts as poisoned */
#define FIELD(name) ((int16_t)offsetof(struct recorder_record, name))

#define OP(c, d, s, o, i)   \
	((struct bpf_insn){ \
		.code = (c), .dst_reg = (d), .src_reg = (s), .off = (int16_t)(o), .imm = (i) })
#define MOVE(d, s) OP(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOVE32(d, s) OP(BPF_ALU | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i) OP(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD(d, s) OP(BPF_ALU64 | BPF_ADD | BPF_X, d, s, 0, 0)
#define ADD32(d, s) OP(BPF_ALU | BPF_ADD | BPF_X, d, s, 0, 0)
#define ADD_NUMBER(d, i) OP(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define ADD32_NUMBER(d, i) OP(BPF_ALU | BPF_ADD | BPF_K, d, 0, 0, i)
#define SUBTRACT(d, s) OP(BPF_ALU64 | BPF_SUB | BPF_X, d, s, 0, 0)
#define SUBTRACT32(d, s) OP(BPF_ALU | BPF_SUB | BPF_X, d, s, 0, 0)
#define AND_NUMBER(d, i) OP(BPF_ALU64 | BPF_AND | BPF_K, d, 0, 0, i)
#define OR(d, s) OP(BPF_ALU64 | BPF_OR | BPF_X, d, s, 0, 0)
#define RIGHT(d, i) OP(BPF_ALU64 | BPF_RSH | BPF_K, d, 0, 0, i)
#define LEFT(d, i) OP(BPF_ALU64 | BPF_LSH | BPF_K, d, 0, 0, i)
#define FROM_NETWORK(d, bits) OP(BPF_ALU | BPF_END | BPF_TO_BE, d, 0, 0, bits)
#define LOAD(size, d, s, o) OP(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE(size, d, o, i) OP(BPF_ST | BPF_MEM | (size), d, 0, o, i)
#define ATOMIC(size, d, o, s, op) OP(BPF_STX | BPF_ATOMIC | (size), d, s, o, op)
#define CALL(function) OP(BPF_JMP | BPF_CALL, 0, 0, 0, function)
#define EXIT OP(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define JUMP_IF(cond, d, i, to) OP(BPF_JMP | (cond) | BPF_K, d, 0, to, i)
#define JUMP_IF_REGISTER(cond, d, s, to) OP(BPF_JMP | (cond) | BPF_X, d, s, to, 0)
#define JUMP32_IF(cond, d, i, to) OP(BPF_JMP32 | (cond) | BPF_K, d, 0, to, i)

#define PROGRAM_MAX 512
#define PATCHES_MAX 128

/* Where a jump goes is known later: label numbers, patched at the end. */
enum label { AFTER_FIRST, PASS, JUDGE_CLEAR, AFTER_END, AFTER_URGENT, DROP, LABEL_COUNT };

struct assembly {
	struct bpf_insn code[PROGRAM_MAX];
	struct {
		size_t at;
		enum label label;
	} patches[PATCHES_MAX];
	size_t labels[LABEL_COUNT];
	size_t count, patch_count;
};

static void put(struct assembly *a, struct bpf_insn instruction)
{
	if (a->count < PROGRAM_MAX)
		a->code[a->count] = instruction;
	a->count++;
}

static void put_jump(struct assembly *a, struct bpf_insn instruction, enum label label)
{
	if (a->patch_count < PATCHES_MAX) {
		a->patches[a->patch_count].at = a->count;
		a->patches[a->patch_count].label = label;
	}
	a->patch_count++;
	put(a, instruction);
}

static void put_label(struct assembly *a, enum label label)
{
	a->labels[label] = a->count;
}

/* R2 := PRESENT | low 32 bits of R1; uses R3. */
static void put_present(struct assembly *a)
{
	put(a, MOVE32(R2, R1));
	put(a, SET(R3, 1));
	put(a, LEFT(R3, 32));
	put(a, OR(R2, R3));
}

/*
 * Value of this size at R4 := R2, when there is none or `wins` says that R2 goes before it, by
 * compare-and-exchange; goes on at label.  Uses R0, R1, R5.
 */
static void put_replace(struct assembly *a, uint8_t size,
	void (*wins)(struct assembly *, enum label done), enum label label)
{
	for (int i = 0; i < TRIES; i++) {
		put(a, LOAD(size, R0, R4, 0));
		put(a, JUMP_IF(BPF_JEQ, R0, 0, 0));
		size_t none_at = a->count - 1;
		wins(a, label);
		a->code[none_at].off = (int16_t)(a->count - none_at - 1);
		put(a, MOVE(R5, R0));
		put(a, ATOMIC(size, R4, 0, R2, BPF_CMPXCHG));
		put_jump(a, JUMP_IF_REGISTER(BPF_JEQ, R0, R5, 0), label);
	}
	put(a, STORE(BPF_DW, R7, FIELD(is_poisoned), 1));
}

/* Leaves for done unless the number in R2 is higher than that in R0 (same stretch: plain). */
static void put_higher(struct assembly *a, enum label done)
{
	put_jump(a, JUMP_IF_REGISTER(BPF_JGE, R0, R2, 0), done);
}

/* R1 := how far the number in R2 lies behind that in R0, modulo 2^32. */
static void put_distance(struct assembly *a)
{
	put(a, MOVE32(R1, R2));
	put(a, SUBTRACT32(R1, R0));
}

/* Leaves for done unless the number in R2 is before that in R0. */
static void put_before(struct assembly *a, enum label done)
{
	put_distance(a);
	put_jump(a, JUMP32_IF(BPF_JSGE, R1, 0, 0), done);
}

/* Leaves for done unless the number in R2 is behind that in R0. */
static void put_behind(struct assembly *a, enum label done)
{
	put_distance(a);
	put_jump(a, JUMP32_IF(BPF_JSLE, R1, 0, 0), done);
}

/*
 * The first number that comes is the anchor; one too far from it poisons.  A peer may send 2^31 octets
 * and more behind its token, of which somebody on the path lets through what he likes: numbers so far
 * apart would lead the lowest and the highest one round.  R2: the number; uses R0, R1, R4.
 */
static void put_anchor(struct assembly *a)
{
	put(a, SET(R0, 0));
	put(a, MOVE(R4, R7));
	put(a, ADD_NUMBER(R4, FIELD(anchor)));
	put(a, ATOMIC(BPF_DW, R4, 0, R2, BPF_CMPXCHG));
	put(a, JUMP_IF(BPF_JEQ, R0, 0, 5));
	put_distance(a);
	put(a, ADD32_NUMBER(R1, RECORDER_FAR));
	put(a, JUMP32_IF(BPF_JLT, R1, 2 * RECORDER_FAR, 1));
	put(a, STORE(BPF_DW, R7, FIELD(is_poisoned), 1));
}

/* The clear end in R1 goes into its stretch; goes on at label. */
static void put_clear_end(struct assembly *a, enum label label)
{
	put(a, MOVE32(R2, R1));
	put(a, AND_NUMBER(R2, RECORDER_STRETCH - 1));
	put(a, ADD_NUMBER(R2, RECORDER_STRETCH));
	put(a, MOVE32(R4, R1));
	put(a, RIGHT(R4, RECORDER_STRETCH_BITS));
	put(a, LEFT(R4, 2));
	put(a, ADD(R4, R7));
	put(a, ADD_NUMBER(R4, FIELD(clear_end)));
	put_replace(a, BPF_W, put_higher, label);
	put_label(a, label);
}

static void put_start(struct assembly *a, int map)
{
	put(a, MOVE(R6, R1));
	put(a, OP(BPF_LD | BPF_DW | BPF_IMM, R7, BPF_PSEUDO_MAP_VALUE, 0, map));
	put(a, OP(0, 0, 0, 0, 0)); /* second half: offset 0 in the map's value */
	put(a, SET(R2, 0));
	put(a, MOVE(R3, R10));
	put(a, ADD_NUMBER(R3, HEADER_AT));
	put(a, SET(R4, HEADER_BYTES));
	put(a, CALL(BPF_FUNC_skb_load_bytes));
	put_jump(a, JUMP_IF(BPF_JNE, R0, 0, 0), DROP);
	put(a, LOAD(BPF_W, R9, R10, SEQUENCE_AT));
	put(a, FROM_NETWORK(R9, 32));
	put(a, LOAD(BPF_W, R8, R6, offsetof(struct __sk_buff, len)));
	put(a, LOAD(BPF_B, R1, R10, OFFSET_AT));
	put(a, RIGHT(R1, 4));
	put(a, LEFT(R1, 2));
	/* A header that claims to be longer than the segment is none. */
	put_jump(a, JUMP_IF_REGISTER(BPF_JGT, R1, R8, 0), DROP);
	put(a, SUBTRACT(R8, R1));
}

static void put_protected(struct assembly *a)
{
	put(a, SET(R1, 1));
	put(a, ATOMIC(BPF_DW, R7, FIELD(protected_packets), R1, BPF_ADD));
	put_jump(a, JUMP_IF(BPF_JEQ, R8, 0, 0), PASS);
	put(a, ATOMIC(BPF_DW, R7, FIELD(protected_bytes), R8, BPF_ADD));
	put(a, MOVE(R1, R9));
	put_present(a);
	put_anchor(a);
	put(a, MOVE(R4, R7));
	put(a, ADD_NUMBER(R4, FIELD(first_protected)));
	put_replace(a, BPF_DW, put_before, AFTER_FIRST);
	put_label(a, AFTER_FIRST);
	put(a, MOVE(R1, R9));
	put(a, ADD32(R1, R8));
	put_present(a);
	put(a, MOVE(R4, R7));
	put(a, ADD_NUMBER(R4, FIELD(last_protected)));
	put_replace(a, BPF_DW, put_behind, PASS);
	put_label(a, PASS);
	put(a, OP(BPF_ALU | BPF_MOV | BPF_K, R0, 0, 0, -1));
	put(a, EXIT);
}

static void put_clear(struct assembly *a)
{
	put_label(a, JUDGE_CLEAR);
	put(a, LOAD(BPF_B, R1, R10, FLAGS_AT));
	put(a, AND_NUMBER(R1, TCP_FIN));
	put(a, ADD(R1, R8));
	put_jump(a, JUMP_IF(BPF_JEQ, R1, 0, 0), AFTER_END);
	put(a, ADD32(R1, R9));
	put_clear_end(a, AFTER_END);
	put(a, LOAD(BPF_B, R1, R10, FLAGS_AT));
	put(a, AND_NUMBER(R1, TCP_URG));
	put_jump(a, JUMP_IF(BPF_JEQ, R1, 0, 0), AFTER_URGENT);
	put(a, LOAD(BPF_H, R1, R10, URGENT_AT));
	put(a, FROM_NETWORK(R1, 16));
	put(a, ADD32_NUMBER(R1, 1));
	put(a, ADD32(R1, R9));
	put_clear_end(a, AFTER_URGENT);
	/* Record first, with full barrier, then read the mode: either the verdict sees the record
	 * or this sees the mode. */
	put(a, SET(R1, 0));
	put(a, ATOMIC(BPF_DW, R7, FIELD(protected_packets), R1, BPF_ADD | BPF_FETCH));
	put(a, LOAD(BPF_DW, R1, R7, FIELD(mode)));
	put(a, JUMP_IF(BPF_JNE, R1, 0, 2));
	put(a, OP(BPF_ALU | BPF_MOV | BPF_K, R0, 0, 0, -1));
	put(a, EXIT);
	put_label(a, DROP);
	put(a, SET(R0, 0));
	put(a, EXIT);
}

static bool recorder_assemble(struct assembly *a, int map, uint32_t mark)
{
	put_start(a, map);
	put(a, LOAD(BPF_W, R1, R6, offsetof(struct __sk_buff, mark)));
	put(a, AND_NUMBER(R1, RECORDER_MARK_MASK));
	put_jump(a, JUMP32_IF(BPF_JNE, R1, (int32_t)mark, 0), JUDGE_CLEAR);
	put_protected(a);
	put_clear(a);
	if (a->count > PROGRAM_MAX || a->patch_count > PATCHES_MAX)
		return false;
	for (size_t i = 0; i < a->patch_count; i++)
		a->code[a->patches[i].at].off =
			(int16_t)(a->labels[a->patches[i].label] - a->patches[i].at - 1);
	return true;
}

static int bpf(enum bpf_cmd command, union bpf_attr *attributes, size_t len)
{
	return (int)syscall(SYS_bpf, command, attributes, len);
}

static int map_create(size_t *ret_mapped_bytes)
{
	union bpf_attr attributes = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = sizeof(uint32_t),
		.value_size = sizeof(struct recorder_record),
		.max_entries = 1,
		.map_flags = BPF_F_MMAPABLE,
		.map_name = "gss_ipsec",
	};

	*ret_mapped_bytes = (size_t)sysconf(_SC_PAGESIZE);
	return bpf(BPF_MAP_CREATE, &attributes, sizeof(attributes));
}

static int program_load(const struct assembly *a)
{
	union bpf_attr attributes = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uint64_t)(uintptr_t)a->code,
		.insn_cnt = (uint32_t)a->count,
		.license = (uint64_t)(uintptr_t) "Dual BSD/GPL",
		.prog_name = "gss_ipsec",
	};

	return bpf(BPF_PROG_LOAD, &attributes, sizeof(attributes));
}

static size_t recorders; /* that there are: each holds a descriptor */

static struct recorder *recorder_make(void)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));

	if (recorder == NULL)
		return NULL;
	recorder->map = recorder->program = -1;
	recorders++;
	return recorder;
}

size_t recorder_count(void)
{
	return recorders;
}

int recorder_new(uint32_t mark, struct recorder **ret_recorder)
{
	struct recorder *recorder = recorder_make();
	struct assembly *a = calloc(1, sizeof(*a));
	void *mapped = MAP_FAILED;
	int result = ENOMEM;

	if (recorder == NULL)
		goto out;
	if (a == NULL)
		goto out;
	recorder->map = map_create(&recorder->mapped_bytes);
	if (recorder->map < 0) {
		result = errno;
		goto out;
	}
	mapped = mmap(
		NULL, recorder->mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, recorder->map, 0);
	if (mapped == MAP_FAILED) {
		result = errno;
		goto out;
	}
	recorder->record = mapped;
	/* Workers are forked and have no business with it. */
	if (madvise(mapped, recorder->mapped_bytes, MADV_DONTFORK) != 0) {
		result = errno;
		goto out;
	}
	result = EINVAL;
	if (!recorder_assemble(a, recorder->map, mark))
		goto out;
	recorder->program = program_load(a);
	result = recorder->program < 0 ? errno : 0;
	if (result == 0) {
		*ret_recorder = recorder;
		recorder = NULL;
	}
out:
	free(a);
	recorder_free(&recorder);
	return result;
}

int recorder_program(const struct recorder *recorder)
{
	return recorder->program;
}

void recorder_close_program(struct recorder *recorder)
{
	if (recorder->program >= 0)
		(void)close(recorder->program);
	recorder->program = -1;
}

/*
 * Such a segment may be on a processor that was stopped there, unseen by whoever looks and by the
 * recorder.  Segments are received within a read-side section of RCU; this waits for all of those.
 */
int recorder_settle(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0 ? 0 : errno;
}

void recorder_drop(struct recorder *recorder)
{
	__atomic_store_n(&recorder->record->mode, 1, __ATOMIC_SEQ_CST);
	atomic_thread_fence(memory_order_seq_cst);
}

void recorder_read(const struct recorder *recorder, struct recorder_record *ret_record)
{
	const struct recorder_record *record = recorder->record;

	ret_record->mode = __atomic_load_n(&record->mode, __ATOMIC_SEQ_CST);
	ret_record->protected_bytes = __atomic_load_n(&record->protected_bytes, __ATOMIC_SEQ_CST);
	ret_record->protected_packets =
		__atomic_load_n(&record->protected_packets, __ATOMIC_SEQ_CST);
	ret_record->anchor = __atomic_load_n(&record->anchor, __ATOMIC_SEQ_CST);
	ret_record->first_protected = __atomic_load_n(&record->first_protected, __ATOMIC_SEQ_CST);
	ret_record->last_protected = __atomic_load_n(&record->last_protected, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < RECORDER_STRETCHES; i++)
		ret_record->clear_end[i] = __atomic_load_n(&record->clear_end[i], __ATOMIC_SEQ_CST);
	/* Last: what is poison may already have changed something of the above. */
	ret_record->is_poisoned = __atomic_load_n(&record->is_poisoned, __ATOMIC_SEQ_CST);
}

void recorder_free(struct recorder **recorder)
{
	if (*recorder == NULL)
		return;
	recorder_close_program(*recorder);
	if ((*recorder)->record != NULL)
		(void)munmap((*recorder)->record, (*recorder)->mapped_bytes);
	if ((*recorder)->map >= 0)
		(void)close((*recorder)->map);
	free(*recorder);
	*recorder = NULL;
	recorders--;
}

/* In start's own stretch the highest end decides.  Of those behind it, as far as the reach, each that
 * has an end counts whole: a higher one would hide one that lies within the reach. */
static bool clear_is_behind(const struct recorder_record *record, uint32_t start, uint32_t reach)
{
	const uint32_t first = start >> RECORDER_STRETCH_BITS;
	const uint32_t place = start & (RECORDER_STRETCH - 1);
	const uint32_t count = (place + reach) >> RECORDER_STRETCH_BITS;

	if (record->clear_end[first] > RECORDER_STRETCH + place)
		return true;
	for (uint32_t i = 1; i <= count; i++)
		if (record->clear_end[(first + i) % RECORDER_STRETCHES] != 0)
			return true;
	return false;
}

/*
 * When TCP took the first clear octet that counts, what it had was received before there was a
 * recorder or came under the mark, and the token came after both: the window lay behind no more than the
 * last octet under the mark.
 */
static uint32_t recorder_reach(const struct recorder_record *record, uint32_t buffer_bytes)
{
	const uint32_t window = buffer_bytes < BEHIND_MAX ? buffer_bytes : BEHIND_MAX;

	return window + REACH_SLACK + (uint32_t)(record->last_protected - record->first_protected);
}

enum ipsec_latch_reason recorder_judge(
	const struct recorder_record *record, uint64_t token_bytes, uint32_t buffer_bytes)
{
	const uint32_t reach = recorder_reach(record, buffer_bytes);

	if ((record->first_protected & RECORDER_PRESENT) == 0 ||
		(record->last_protected & RECORDER_PRESENT) == 0 ||
		record->protected_bytes < token_bytes)
		return IPSEC_LATCH_SHORT;
	if (record->is_poisoned != 0 ||
		clear_is_behind(record, (uint32_t)record->first_protected, reach))
		return IPSEC_LATCH_CLEAR_BEHIND;
	return IPSEC_LATCH_LATCHED;
}

enum ipsec_latch_reason recorder_judge_marks(
	const struct recorder_record *record, uint64_t decapsulated_packets)
{
	return record->protected_packets <= decapsulated_packets ? IPSEC_LATCH_LATCHED
								 : IPSEC_LATCH_CLEAR_BEHIND;
}
