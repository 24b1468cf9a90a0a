/* SPDX-License-Identifier: BSD-2-Clause */
/* Which algorithms the configuration leaves (doc/configuration.md, [gss-ipsec]). */
#include "mech/context.h"

/* clang-format off */
static const struct {
	enum config_choice choice;
	const char *word;
	uint16_t id, key_bits;
} policy_words[] = {
	{ CONFIG_IKE_GROUPS,  "curve25519",        IKE_GROUP_CURVE25519,       0 },
	{ CONFIG_IKE_GROUPS,  "p256",              IKE_GROUP_P256,             0 },
	{ CONFIG_IKE_CIPHERS, "aes-256-gcm",       IKE_ENCR_AES_GCM_16,        256 },
	{ CONFIG_IKE_CIPHERS, "chacha20-poly1305", IKE_ENCR_CHACHA20_POLY1305, 0 },
	{ CONFIG_IKE_PRFS,    "sha2-256",          IKE_PRF_HMAC_SHA2_256,      0 },
	{ CONFIG_IKE_PRFS,    "sha2-512",          IKE_PRF_HMAC_SHA2_512,      0 },
	{ CONFIG_ESP_CIPHERS, "aes-256-gcm",       IKE_ENCR_AES_GCM_16,        256 },
	{ CONFIG_ESP_CIPHERS, "aes-128-gcm",       IKE_ENCR_AES_GCM_16,        128 },
	{ CONFIG_ESP_CIPHERS, "chacha20-poly1305", IKE_ENCR_CHACHA20_POLY1305, 0 },
};
/* clang-format on */

static bool policy_allows(
	const struct config *config, enum config_choice choice, uint16_t id, uint16_t key_bits)
{
	for (size_t i = 0; i < sizeof(policy_words) / sizeof(policy_words[0]); i++)
		if (policy_words[i].choice == choice && policy_words[i].id == id &&
			policy_words[i].key_bits == key_bits)
			return config_allows(config, choice, policy_words[i].word);
	return false;
}

uint32_t mech_policy_ike_suites(const struct config *config)
{
	uint32_t set = 0;

	for (size_t i = 0; i < ike_suite_count(); i++) {
		const struct ike_suite *suite = ike_suite_at(i);

		if (policy_allows(config, CONFIG_IKE_GROUPS, suite->group, 0) &&
			policy_allows(config, CONFIG_IKE_PRFS, suite->prf, 0) &&
			policy_allows(config, CONFIG_IKE_CIPHERS, suite->encr, suite->key_bits))
			set |= 1u << i;
	}
	return set;
}

bool mech_policy_allows_esp(const struct config *config, const struct esp_suite *suite)
{
	return policy_allows(config, CONFIG_ESP_CIPHERS, suite->encr, suite->key_bits);
}
