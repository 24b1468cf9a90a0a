/* SPDX-License-Identifier: BSD-2-Clause */
/* The error table and the latch reasons, looked up by number (base/error.h). */
#include "base/error.h"

#include <stddef.h>

#include "include/ipsec_latch.h"

struct error_row {
	unsigned int code;
	const char *name;
	const char *text;
	bool tells_peer;
};

static const struct error_row errors[] = {
#define X(name, number, major, tell, text) { (number), #name, (text), (tell) },
	ERROR_TABLE(X)
#undef X
};

struct reason_row {
	unsigned int reason;
	const char *name; /* as an error: LATCH_<name> */
	const char *word;
	const char *text;
};

static const struct reason_row reasons[] = {
#define X(name, number, word, text) { (number), "LATCH_" #name, (word), (text) },
	IPSEC_LATCH_REASON_TABLE(X)
#undef X
};

struct state_row {
	unsigned int state;
	const char *word;
};

static const struct state_row states[] = {
#define X(name, number, word) { (number), (word) },
	IPSEC_LATCH_STATE_TABLE(X)
#undef X
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

_Static_assert(COUNT_OF(reasons) <= ERR_LATCH_COUNT, "a latch reason has no error number");

static const struct error_row *error_find(unsigned int code)
{
	for (size_t i = 0; i < COUNT_OF(errors); i++)
		if (errors[i].code == code)
			return &errors[i];
	return NULL;
}

static const struct reason_row *reason_find(unsigned int reason)
{
	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		if (reasons[i].reason == reason)
			return &reasons[i];
	return NULL;
}

/* The reason an error code stands for; the table itself has ERR_LATCH + "latched". */
static const struct reason_row *reason_of_error(unsigned int code)
{
	if (code <= ERR_LATCH || code - ERR_LATCH >= ERR_LATCH_COUNT)
		return NULL;
	return reason_find(code - ERR_LATCH);
}

const char *error_text(unsigned int code)
{
	const struct error_row *row = error_find(code);
	const struct reason_row *reason = reason_of_error(code);

	if (row != NULL)
		return row->text;
	return reason != NULL ? reason->text : "an error that this version does not know";
}

const char *error_name(unsigned int code)
{
	const struct error_row *row = error_find(code);
	const struct reason_row *reason = reason_of_error(code);

	if (row != NULL)
		return row->name;
	return reason != NULL ? reason->name : "UNKNOWN";
}

bool error_tells_peer(unsigned int code)
{
	const struct error_row *row = error_find(code);

	return row != NULL ? row->tells_peer : reason_of_error(code) != NULL;
}

bool error_is_known(unsigned int code)
{
	return error_find(code) != NULL || reason_of_error(code) != NULL;
}

const char *latch_reason_word(unsigned int reason)
{
	const struct reason_row *row = reason_find(reason);

	return row != NULL ? row->word : "unknown";
}

bool latch_reason_is_silence(unsigned int reason)
{
	return reason == IPSEC_LATCH_NO_BROKER || reason == IPSEC_LATCH_BROKER_BUSY;
}

const char *latch_reason_text(unsigned int reason)
{
	const struct reason_row *row = reason_find(reason);

	return row != NULL ? row->text : "a reason that this version does not know";
}

const char *latch_state_word(unsigned int state)
{
	for (size_t i = 0; i < COUNT_OF(states); i++)
		if (states[i].state == state)
			return states[i].word;
	return "unknown";
}
