/* SPDX-License-Identifier: BSD-2-Clause */
/* A processor that stands still between two steps of the kernel; see race_stall.h. */
#include "tests/real/race_stall.h"

#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Runs the socket's filter, for TCP right behind the policy check (tcp_v4_rcv). */
#define PLACE "sk_filter_trim_cap"
#define NEVER_MAPPED 8

static int stall_map = -1, stall_program = -1, stall_event = -1;

static int bpf(enum bpf_cmd command, union bpf_attr *attributes)
{
	return (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static int map_make(void)
{
	union bpf_attr attributes = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = sizeof(uint32_t),
		.value_size = STALL_OCTETS_MAX - 64,
		.max_entries = 1,
	};

	return bpf(BPF_MAP_CREATE, &attributes);
}

/* Reading from where nothing is wipes the destination: much work in one call of a helper. */
static int program_make(int map, uint32_t processor, uint32_t octets)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_smp_processor_id },
		{ .code = BPF_JMP | BPF_JNE | BPF_K, .off = 5, .imm = (int32_t)processor },
		{ .code = BPF_LD | BPF_DW | BPF_IMM,
			.dst_reg = BPF_REG_1,
			.src_reg = BPF_PSEUDO_MAP_VALUE,
			.imm = map },
		{ .code = 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K,
			.dst_reg = BPF_REG_2,
			.imm = (int32_t)octets },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = NEVER_MAPPED },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_kernel },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attributes = {
		.prog_type = BPF_PROG_TYPE_KPROBE,
		.insns = (uint64_t)(uintptr_t)code,
		.insn_cnt = sizeof(code) / sizeof(code[0]),
		.license = (uint64_t)(uintptr_t) "GPL",
	};

	return bpf(BPF_PROG_LOAD, &attributes);
}

static bool kprobe_type(uint32_t *ret_type)
{
	FILE *file = fopen("/sys/bus/event_source/devices/kprobe/type", "re");
	bool is_good = file != NULL && fscanf(file, "%u", ret_type) == 1;

	if (file != NULL)
		(void)fclose(file);
	return is_good;
}

/* On its return the filter has let the segment through, or not. */
static int event_make(enum stall_place place)
{
	struct perf_event_attr attributes = {
		.size = sizeof(attributes),
		.config = place == STALL_BEHIND_FILTER,
		.kprobe_func = (uint64_t)(uintptr_t)PLACE,
	};

	if (!kprobe_type(&attributes.type))
		return -1;
	return (int)syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
}

bool stall_begin(enum stall_place place, uint32_t processor, uint32_t octets)
{
	if (place == STALL_NOWHERE)
		return true;
	if (octets > STALL_OCTETS_MAX - 64)
		octets = STALL_OCTETS_MAX - 64;
	stall_map = map_make();
	if (stall_map >= 0)
		stall_program = program_make(stall_map, processor, octets);
	if (stall_program >= 0)
		stall_event = event_make(place);
	if (stall_event >= 0 && ioctl(stall_event, PERF_EVENT_IOC_SET_BPF, stall_program) == 0 &&
		ioctl(stall_event, PERF_EVENT_IOC_ENABLE, 0) == 0)
		return true;
	stall_end();
	return false;
}

static void part_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

void stall_end(void)
{
	part_close(&stall_event);
	part_close(&stall_program);
	part_close(&stall_map);
}
