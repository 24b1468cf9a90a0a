/* SPDX-License-Identifier: BSD-2-Clause */
/* Every unit test suite: X(module) stands for Suite *suite_module(void) in tests/unit/test_module.c. */
#ifndef TESTS_UNIT_SUITES_H
#define TESTS_UNIT_SUITES_H

#include <check.h>

/* clang-format off */
#define SUITES(X) \
	X(bytes) \
	X(error) \
	X(secret) \
	X(config) \
	X(config_renew) \
	X(plugin_framing) \
	X(plugin_oid) \
	X(broker_protocol) \
	X(candidates) \
	X(connections) \
	X(verdict) \
	X(client) \
	X(client_trouble) \
	X(exchange) \
	X(families) \
	X(rendezvous) \
	X(algorithms) \
	X(anonymous) \
	X(retry) \
	X(attacks) \
	X(ike_message) \
	X(ike_sealed) \
	X(ike_payload) \
	X(ike_keymat) \
	X(charon_keys) \
	X(ike_notify) \
	X(name) \
	X(name_facts) \
	X(localname) \
	X(credential) \
	X(peer) \
	X(crypto) \
	X(generator) \
	X(signature) \
	X(verify) \
	X(protect) \
	X(pieces) \
	X(context_token) \
	X(bindings_out) \
	X(pseudo_random) \
	X(broker_lease) \
	X(broker_journal) \
	X(broker_adopt) \
	X(broker_recorder) \
	X(broker_quota) \
	X(broker_log) \
	X(broker_reasons) \
	X(broker_refusals) \
	X(broker_pool) \
	X(broker_sweep) \
	X(broker_cover) \
	X(broker_users) \
	X(ssh_key) \
	X(threads) \
	X(xfrm_events) \
	X(xfrm_policy)
/* clang-format on */

#define X(module) Suite *suite_##module(void);
SUITES(X)
#undef X

#endif
