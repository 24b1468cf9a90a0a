/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a latch is, for everybody: the state of a connection's latch and the reason why there is
 * none.  The same numbers stand in the API (GSS_IPSEC_OID_INQ_LATCH), in GSS_LATCH and GSS_CONTEXT
 * notifies, in the broker's replies, in 'gss-ipsec status' and in the logs.  They never change.
 */
#ifndef IPSEC_LATCH_H
#define IPSEC_LATCH_H

/* X(name, number, word for status, sentence) */
/* clang-format off */
#define IPSEC_LATCH_REASON_TABLE(X) \
	X(LATCHED,            0, "latched",         "the connection is protected by this context's own ESP security associations") \
	X(NONE,               1, "none",            "no connection joins the two processes: tokens travel over a pipe, a proxy or another process; connect directly, or set latch = auto for that service") \
	X(SEVERAL,            2, "several",         "several connections join the two processes and their traffic does not tell which one carries the tokens; let the program name the descriptor") \
	X(NO_BROKER,          3, "no-broker",       "gss-ipsecd does not answer on this side; is it running, and may this user write to its socket?") \
	X(NO_ESP,             4, "no-esp",          "the kernel of this side has no ESP; load esp4, and esp6 for IPv6") \
	X(NOT_TCP,            5, "not-tcp",         "the socket is not a connected TCP socket, which is all that can be latched; set latch = auto for that service, or use TCP") \
	X(POLICY_NO,          6, "policy-no",       "latching is switched off for this service on this side (latch = no); change that to have it") \
	X(PEER_WONT,          7, "peer-wont",       "the other side does not latch; its own reason is in its log") \
	X(NO_SUITE,           8, "no-suite",        "the two sides share no ESP algorithm; compare their versions and configurations") \
	X(ALREADY_LATCHED,    9, "already-latched", "the connection is latched already, or another context is latching it; authenticate once for each connection") \
	X(HAS_FILTER,        10, "has-filter",      "the application has a socket filter of its own on the connection; take it off, or set latch = auto for that service") \
	X(NO_BPF,            11, "no-bpf",          "the kernel of this side refuses the recorder (an eBPF socket filter); give gss-ipsecd CAP_BPF, as its unit file does") \
	X(OFFLOAD,           12, "offload",         "esp4_offload or esp6_offload is loaded on this side, with which the kernel mixes packets of different peers; unload it, or start gss-ipsecd with --gso where all peers trust each other") \
	X(PRESCRIBED,        13, "prescribed",      "the host's own IPsec policy prescribes how this connection is protected ('ip xfrm policy'); leave it out there, set latch = auto, or start gss-ipsecd with --override-spd") \
	X(COVERED,           14, "covered",         "an earlier connection with the same addresses and ports is not over yet; try again from another port, or in two minutes") \
	X(OTHER_NETNS,       15, "other-netns",     "the socket is of another network namespace (start gss-ipsecd with --namespaces)") \
	X(QUOTA,             16, "quota",           "this user, or this host, has as many latches as the broker allows; close connections, or raise --quota-user or --quota-total") \
	X(TRAFFIC,           17, "traffic",         "the connection that was named did not carry the tokens: a wrong guess, or a lie; let the program name the descriptor") \
	X(CLEAR_BEHIND,      18, "clear-behind",    "clear bytes arrived behind the start of ESP: somebody on the path injects, or a segment was repeated; try again") \
	X(PENDING,           19, "pending",         "segments out of order were still waiting when the latch closed; try again") \
	X(URGENT,            20, "urgent",          "the connection has an urgent mark: somebody on the path injects, or the program sends urgent data; connect anew") \
	X(SOCKET_GONE,       21, "socket-gone",     "the connection was closed, or reconnected, while it was being latched; connect anew") \
	X(KERNEL,            22, "kernel",          "the kernel of this side refused a security association or policy; the broker's log says which") \
	X(EXPIRED,           23, "expired",         "the exchange took longer than the broker keeps a reservation; try again, and look what makes a side slow") \
	X(SHORT,             24, "short",           "fewer bytes came in under ESP than the token has: it travelled another way, or firewalls drop protocol 50") \
	X(SELF,              25, "self",            "the socket is connected to itself; connect to the server's port from another one") \
	X(NO_PROC,           26, "no-proc",         "/proc is not visible here, so the process's connections cannot be found; name the descriptor") \
	X(BROKER_LOST,       27, "broker-lost",     "the broker of this side was restarted, or gave no answer, while the connection was being latched; connect anew") \
	X(TOO_MANY,          28, "too-many",        "the process has more descriptors than the search looks at, or none left to look with; name the descriptor, and raise the limit (ulimit -n) if need be") \
	X(CANDIDATE,         29, "candidate",       "the exchange ended unlatched although this process holds a connection that carried the tokens (latch = auto allows that); the reasons are in the log") \
	X(NOT_ALLOWED,       30, "not-allowed",     "the broker of this side does not serve this user, or the secret of the lease is not the caller's; look at gss-ipsecd's --allow-user") \
	X(ULP,               31, "ulp",             "the socket speaks a protocol of its own in the kernel (TCP_ULP, TLS for example), so what the program reads is not what arrives; authenticate before that is switched on") \
	X(SA_GONE,           32, "sa-gone",         "its security associations were deleted: 'ip xfrm state flush', or another IPsec daemon; connect anew") \
	X(SA_USED_UP,        33, "sa-used-up",      "its security associations carried as many packets as they may (2^40); connect anew") \
	X(MOVED,             34, "moved",           "the program disconnected the latched socket and connected it anew; what it latched is gone; close the socket and open another") \
	X(ENDED,             35, "ended",           "the connection was reset, or the program disconnected it, and still holds the socket; nothing travels on it any more; close it") \
	X(OFFLOADED,         36, "offloaded",       "esp4_offload or esp6_offload was loaded on this side while the connection was latched, and with it the kernel mixes packets of different peers; unload it, or start gss-ipsecd with --gso where all peers trust each other, and connect anew") \
	X(BROKER_BUSY,       37, "broker-busy",     "gss-ipsecd of this side did not come to this request for a whole minute, or had no process, descriptor or memory for it (its log says so); try again when fewer log in at once")
/* clang-format on */

enum ipsec_latch_reason {
#define X(name, number, word, text) IPSEC_LATCH_##name = (number),
	IPSEC_LATCH_REASON_TABLE(X)
#undef X
};

/* States of a lease (RFC 5660 section 2.2, plus what comes before and after a latch). */
#define IPSEC_LATCH_STATE_TABLE(X)                                                                 \
	X(LARVAL, 0,                                                                               \
		"larval") /* reserved; security associations may exist, nothing is required yet */ \
	X(ESTABLISHED, 1, "established") /* inbound policy and drop mode are on */                 \
	X(BROKEN, 2, "broken")		 /* associations or tuple are gone; carries nothing */     \
	X(FAILED, 3, "failed")	 /* latched, but its context died: speaks ESP or nothing */        \
	X(CLOSING, 4, "closing") /* the socket is gone; cover and associations stay for 120 s */

enum ipsec_latch_state {
#define X(name, number, word) IPSEC_LATCH_STATE_##name = (number),
	IPSEC_LATCH_STATE_TABLE(X)
#undef X
};

#endif
