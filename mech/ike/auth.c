/* SPDX-License-Identifier: BSD-2-Clause */
/* MACedID of the signed octets (RFC 7296 2.15), and the MAC that is no proof of anybody (RFC 7619). */
#include <string.h>

#include "mech/ike/ike.h"

enum err ike_auth_maced_id(const struct ike_algorithms *algorithms, const struct secret_key *sk_p,
	struct bytes id_body, uint8_t ret_mac[CRYPTO_PRF_OUTPUT_MAX])
{
	uint8_t mac[CRYPTO_PRF_OUTPUT_MAX] = { 0 };
	enum err status =
		crypto_prf_compute(algorithms->prf, secret_key_view(sk_p), &id_body, 1, mac);

	if (status == ERR_OK)
		memcpy(ret_mac, mac, sizeof(mac));
	/* Never sent, and what is signed should not lie about (RFC 7296 2.15). */
	secret_wipe(mac, sizeof(mac));
	return status;
}

enum err ike_auth_null(const struct ike_algorithms *algorithms, const struct secret_key *sk_p,
	const struct bytes parts[3], uint8_t ret_mac[CRYPTO_PRF_OUTPUT_MAX])
{
	static const char pad[] = "Key Pad for IKEv2"; /* RFC 7296 2.15, without a zero behind it */
	struct bytes label = BYTES((const uint8_t *)pad, sizeof(pad) - 1);
	uint8_t padded[CRYPTO_PRF_OUTPUT_MAX] = { 0 }, mac[CRYPTO_PRF_OUTPUT_MAX] = { 0 };
	enum err status =
		crypto_prf_compute(algorithms->prf, secret_key_view(sk_p), &label, 1, padded);

	if (status == ERR_OK)
		status = crypto_prf_compute(algorithms->prf,
			BYTES(padded, algorithms->prf->output_bytes), parts, 3, mac);
	if (status == ERR_OK)
		memcpy(ret_mac, mac, sizeof(mac));
	secret_wipe(padded, sizeof(padded));
	secret_wipe(mac, sizeof(mac));
	return status;
}
