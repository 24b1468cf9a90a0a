/* SPDX-License-Identifier: BSD-2-Clause */
/* Base64 (RFC 4648 section 4) as fingerprints and public keys are written; public values only. */
#ifndef MECH_BASE64_H
#define MECH_BASE64_H

#include "base/bytes.h"

/* Digits for a value of len octets, without padding. */
#define MECH_BASE64_DIGITS(len) (((len)*8 + 5) / 6)

/* Writes the digits without padding, then NUL: MECH_BASE64_DIGITS(value.len) + 1 octets in all. */
void mech_base64_write(struct bytes value, char *ret_text);
/* Appends the value to w.  Padding may be there or not; what is not the canonical form of its
 * value (spare bits set, line ends, anything behind it) is ERR_NAME_FORMAT and appends nothing. */
enum err mech_base64_read(struct bytes text, struct writer *w) ERR_MUST_CHECK;

#endif
