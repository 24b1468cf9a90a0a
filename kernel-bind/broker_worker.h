/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Worker processes: the only ones that hold a client's descriptor.  A descriptor is hostile input
 * (the last close() of a socket with SO_LINGER can block for as long as its sender liked), so the
 * daemon hands over whole connections of clients, and of what came on them it sees two octets at most: the
 * request's type, by MSG_PEEK without room for descriptors.
 *
 * The conversation over a SOCK_SEQPACKET pair, always in this order:
 *
 *	worker  READY      (once: it has closed all that it inherited)
 *	daemon  CONNECTION (with the client's connection), then YOURS
 *	worker  FACTS      (request and facts about the descriptor), or IDLE without a request
 *	daemon  OPERATIONS (what to do with the descriptor), any number of times; each answered with
 *	worker  RESULT
 *	daemon  REPLY      (octets for the client; the descriptor is closed before they are sent)
 *	worker  IDLE
 *
 * Where the descriptor is of another network namespace, and others are served:
 *
 *	worker  FACTS      (with that namespace; result.error: what went wrong with a FORWARD before)
 *	daemon  FORWARD    (with the intake of that namespace's broker), or REPLY
 *	worker  IDLE       (the connection is on its way, unread)
 *
 * Both ends are one program, forked: messages are plain structs.
 */
#ifndef KERNEL_BIND_BROKER_WORKER_H
#define KERNEL_BIND_BROKER_WORKER_H

#include <sys/stat.h>
#include <sys/types.h>

#include "kernel-bind/broker_protocol.h"

enum worker_message_type {
	WORKER_READY = 1,
	WORKER_CONNECTION,
	WORKER_FACTS,
	WORKER_OPERATIONS,
	WORKER_RESULT,
	WORKER_REPLY, /* its octets follow; none: just hang up */
	WORKER_IDLE,
	WORKER_FORWARD,
	WORKER_DISCARD, /* daemon: a connection to close, which only a worker may: what its client
			 * sent is in it, and closing that can block too. Then YOURS; answered
			 * with IDLE. */
	WORKER_YOURS	/* daemon: has closed its own descriptor of the connection. A worker that
			 * closed it before would leave the last close() to the daemon. */
};

enum worker_operation {
	WORKER_ATTACH,	   /* the program that comes with the message becomes the socket's filter */
	WORKER_SETTLE,	   /* waits until no segment is under way that came before the filter */
	WORKER_DETACH,	   /* the socket's filter goes */
	WORKER_REQUIRE_IN, /* socket policies */
	WORKER_REQUIRE_OUT,
	WORKER_BLOCK, /* both directions */
	WORKER_CLEAR, /* both directions */
	WORKER_MARK,  /* the close cover's second form: SO_MARK */
	WORKER_PROBE, /* a segment without octets, so that TCP learns what room ESP leaves it */
	WORKER_LOCK,  /* the filter can no more be taken off, by nobody */
	WORKER_OPERATION_COUNT
};
#define WORKER_OPERATIONS_MAX 5

struct worker_facts {
	uint8_t reason;	     /* why this descriptor cannot be latched at all; 0: it can */
	bool is_established; /* TCP state, when reason is 0 */
	bool has_filter, has_ulp;
	bool has_extended_filter; /* in eBPF: the recorder, where there is a lease */
	bool is_bound;		  /* to a device, as far as can be seen */
	uint64_t cookie;	  /* 0: no socket */
	uint64_t space_cookie;	  /* OTHER_NETNS: which; 0: not known */
	uint64_t taken_bytes;	  /* received since the connection began, and read by its program */
	uint32_t mark;		  /* SO_MARK */
	uint32_t buffer_bytes;	  /* SO_RCVBUF: no window reaches further */
	struct kbind_tuple tuple;
};

struct worker_operations {
	uint8_t list[WORKER_OPERATIONS_MAX];
	uint8_t count;
	uint8_t family; /* of the connection's packets */
	uint32_t reqid_in, reqid_out;
};

struct worker_result {
	int error; /* of the first operation that failed, else 0; those behind it were not tried */
	uint8_t failed; /* that operation */
};

struct worker_message {
	enum worker_message_type type;
	struct broker_request request;	     /* FACTS */
	struct worker_facts facts;	     /* FACTS; RESULT: as they are afterwards */
	struct worker_operations operations; /* OPERATIONS */
	struct worker_result result;	     /* RESULT */
};

/* Where a worker works. */
struct worker_place {
	struct stat network_namespace;
	bool has_others; /* descriptors of other namespaces have a broker too; else they are refused */
	bool keeps_priority; /* the daemon's own; else an ordinary user's */
};

/* Forks a worker. Returns the daemon's end of the conversation (non-blocking, closed by the daemon),
 * or a positive errno. */
int worker_start(const struct worker_place *place, pid_t *ret_pid, int *ret_fd) ERR_MUST_CHECK;
/* The daemon's own namespace. */
int worker_namespace(struct stat *ret_namespace) ERR_MUST_CHECK;
/* To the worker, with descriptor unless -1 (stays the caller's). reply may be empty. */
int worker_send(int fd, const struct worker_message *message, struct bytes reply,
	int descriptor) ERR_MUST_CHECK;
/* From the worker; EAGAIN: nothing there; EPIPE: it is gone. The caller wipes the message, and closes
 * the descriptor (-1: none). */
int worker_receive(int fd, struct worker_message *ret_message, int *ret_descriptor) ERR_MUST_CHECK;

#endif
