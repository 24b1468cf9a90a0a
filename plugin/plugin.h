/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GSS-API itself: what the entry_*.c files share.  This layer checks arguments, converts between
 * GSS-API's types and mech/'s, and does nothing else.  It is loaded into every program that lists
 * mechanisms, so loading it has no effect: no constructor, no thread, no descriptor.
 *
 * It calls nothing of libgssapi, and is not linked with it: for each library that a plugin needs the
 * loader walks all of the program's, in programs that merely list mechanisms, too (doc/bench.md).
 *
 * Exported gss_* functions are shims for MIT's mechglue; nothing in here calls one of them, since
 * such a call would reach the mechglue's function of that name with a handle that is not its own.
 */
#ifndef PLUGIN_PLUGIN_H
#define PLUGIN_PLUGIN_H

#include <pthread.h>

#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>

#include "base/bytes.h"
#include "base/error.h"
#include "include/gssapi_ipsec.h"
#include "mech/mech.h"

#define PLUGIN_EXPORT __attribute__((visibility("default")))

/* Largest IKE message (doc/protocol.md section 2) and the header that may precede it. */
#define PLUGIN_MESSAGE_BYTES_MAX 65535
#define PLUGIN_TOKEN_BYTES_MAX (PLUGIN_MESSAGE_BYTES_MAX + 64)
#define PLUGIN_NAME_TOKEN_BYTES_MAX 1024
#define PLUGIN_CREDENTIAL_TOKEN_BYTES_MAX 4096

/* What stands behind gss_ctx_id_t.  A reader and a writer thread may use one context at once. */
struct gss_ctx_id_struct {
	pthread_mutex_t lock;
	struct mech_context *mech; /* NULL once it could not hand out a token it had made */
};

/* --- oids.c: static for the process's life, told from copies by their address --- */
extern const gss_OID plugin_mech_oid;
extern const gss_OID plugin_public_key_name_type;
extern const gss_OID plugin_option_descriptor;
extern const gss_OID plugin_option_no_ci_flags;
extern const gss_OID plugin_inquiry_latch;
extern const gss_OID plugin_inquiry_unique;
extern const gss_OID plugin_inquiry_end_point;
extern const gss_OID plugin_inquiry_credential_key;
extern const gss_OID plugin_inquiry_ssf;
extern const gss_OID plugin_type_user;
extern const gss_OID plugin_type_hostbased;
extern const gss_OID plugin_type_hostbased_x;
extern const gss_OID plugin_type_anonymous;
extern const gss_OID plugin_type_export;
extern const gss_OID plugin_type_composite;
bool plugin_oid_is_ours(gss_const_OID oid);
bool plugin_oid_equal(gss_const_OID a, gss_const_OID b);
/* Libgssapi's own constant of that name: what its 1.20.1 gets as the type of a displayed name and is none of
 * them, it frees.  caller: the return address of the entry, since a program may have several libgssapi, or one of
 * another file name (Python's wheels).  ERR_INTERNAL.  From then on that libgssapi stays in the process. */
enum err plugin_libgssapi_oid(
	const void *caller, const char *name, gss_OID *ret_oid) ERR_MUST_CHECK;
/* Finds that libgssapi where a credential is made, so that no forked child has to: where other threads
 * open libraries, that may end it (glibc 2.36). */
void plugin_libgssapi_meet(const void *caller);

/* --- status.c --- */
/* Sets *minor to code and returns its major, one that GSS_ERROR() sees unless code is ERR_OK. */
OM_uint32 plugin_status(OM_uint32 *minor, enum err code);
/* As plugin_status, with the table's supplementary majors alone (gss_unwrap, gss_verify_mic). */
OM_uint32 plugin_message_status(OM_uint32 *minor, enum err code);
/* As plugin_status with a major that the caller of this entry point looks for. */
OM_uint32 plugin_status_as(OM_uint32 *minor, OM_uint32 major, enum err code);

/* --- framing.c: RFC 2743 3.1 and 3.2 --- */
/* The IKE message behind the header of a first token, as a view.  ERR_TOKEN_FRAMING: any other
 * header, a length that is not minimal DER or does not agree with the token's (but see framing.c for
 * one octet too many), nothing behind the header. */
enum err plugin_framing_token_read(struct bytes token, struct bytes *ret_message) ERR_MUST_CHECK;
enum err plugin_framing_token_write(struct bytes message, struct writer *w) ERR_MUST_CHECK;
/* The inner part of an exported name of this mechanism, as a view; ERR_NAME_FORMAT. */
enum err plugin_framing_name_read(struct bytes token, struct bytes *ret_inner) ERR_MUST_CHECK;
enum err plugin_framing_name_write(struct bytes inner, struct writer *w) ERR_MUST_CHECK;
/* The same for a composite exported name (RFC 6680 7.8). */
enum err plugin_framing_composite_read(struct bytes token, struct bytes *ret_inner) ERR_MUST_CHECK;
enum err plugin_framing_composite_write(struct bytes inner, struct writer *w) ERR_MUST_CHECK;

/* --- entry_credential.c --- */
/* ERR_ARGUMENT for none of the three. */
enum err plugin_usage_of_gss(gss_cred_usage_t usage, enum mech_usage *ret_usage) ERR_MUST_CHECK;
gss_cred_usage_t plugin_usage_to_gss(enum mech_usage usage);
/* The entries' views in an array that the caller frees; NULL for none.  ERR_CRED_STORE for too many. */
enum err plugin_store_entries(gss_const_key_value_set_t gss_store,
	struct mech_store_entry **ret_store, size_t *ret_count) ERR_MUST_CHECK;

/* --- entry_localname.c --- */
/* mech_localname by the process's configuration; also ERR_CONFIG, ERR_NO_MEMORY. */
enum err plugin_localname(
	const struct mech_name *name, char ret_user[MECH_LOCAL_USER_BYTES_MAX + 1]) ERR_MUST_CHECK;

/* --- entry_context.c --- */
/* A handle for mech, which it takes over, on failure too. */
enum err plugin_context_new(struct mech_context *mech, gss_ctx_id_t *ret_context) ERR_MUST_CHECK;
/* Sets the handle to NULL; GSS_C_NO_CONTEXT is fine. */
void plugin_context_free(gss_ctx_id_t *context);

/* --- entry_message.c --- */
/* Locks the context and gives its message state; on an error nothing is locked. */
enum err plugin_message_begin(
	gss_ctx_id_t context, struct mech_protect **ret_protect) ERR_MUST_CHECK;
void plugin_message_end(gss_ctx_id_t context);
/* RFC 2743 1.2.3: whether with this status the message is good and handed over. */
bool plugin_message_is_delivered(enum err status);

/* --- convert.c --- */
/* A view of the buffer; none for NULL. */
struct bytes plugin_buffer_view(const gss_buffer_desc *buffer);
/* Whether octets are where the buffer says that some are; none for NULL. */
bool plugin_buffer_is_there(const gss_buffer_desc *buffer);
/* NULL is fine; forgets what was in it, as output parameters are not initialised. */
void plugin_buffer_clear(gss_buffer_t buffer);
/* Frees what is in it, too; NULL is fine. */
void plugin_buffer_free(gss_buffer_t buffer);
/* A malloc'ed copy that the program frees; NUL-terminated, the length not counting the NUL. */
enum err plugin_buffer_set_text(gss_buffer_t buffer, const char *text) ERR_MUST_CHECK;
/* A buffer set with copies of the members; a NUL stands behind each.  Made here and not by libgssapi,
 * which loses a set that it cannot enlarge, and crashes then; the program's gss_release_buffer_set
 * frees it all the same. */
enum err plugin_set_new(
	const struct bytes *members, size_t count, gss_buffer_set_t *ret_set) ERR_MUST_CHECK;
/* Hands over what the writer holds and empties it; nothing gives an empty buffer. */
enum err plugin_buffer_take(gss_buffer_t buffer, struct writer *w) ERR_MUST_CHECK;
struct mech_bindings plugin_bindings_view(const struct gss_channel_bindings_struct *bindings);
/* The value of the descriptor options: 4 octets, big-endian. ERR_ARGUMENT. */
enum err plugin_descriptor_read(struct bytes value, int *ret_fd) ERR_MUST_CHECK;
/* ERR_UNSUPPORTED unless oid is NULL or this mechanism's. */
enum err plugin_mech_check(gss_const_OID oid) ERR_MUST_CHECK;

/* --- oid_set.c --- */
/* A copy of oid as the last member of *set, which is made where it is GSS_C_NO_OID_SET.  ERR_NO_MEMORY:
 * *set may have been made, and holds what it held. */
enum err plugin_oid_set_add(gss_const_OID oid, gss_OID_set *set) ERR_MUST_CHECK;
/* A set with one member; the program frees it with gss_release_oid_set(). */
enum err plugin_oid_set_new(gss_const_OID oid, gss_OID_set *ret_set) ERR_MUST_CHECK;
/* Sets it to GSS_C_NO_OID_SET, which is fine, too. */
void plugin_oid_set_free(gss_OID_set *set);

static inline struct mech_name *plugin_name(gss_name_t handle)
{
	return (struct mech_name *)handle;
}

static inline gss_name_t plugin_name_handle(struct mech_name *name)
{
	return (gss_name_t)name;
}

static inline struct mech_credential *plugin_credential(gss_cred_id_t handle)
{
	return (struct mech_credential *)handle;
}

static inline gss_cred_id_t plugin_credential_handle(struct mech_credential *credential)
{
	return (gss_cred_id_t)credential;
}

/* The mechglue looks these up by name; its headers do not declare them. */
OM_uint32 gss_internal_release_oid(OM_uint32 *minor_status, gss_OID *oid);
OM_uint32 gssspi_authorize_localname(OM_uint32 *minor_status, const gss_name_t name,
	gss_const_buffer_t local_user, gss_const_OID local_name_type);
OM_uint32 gssspi_set_cred_option(OM_uint32 *minor_status, gss_cred_id_t *credential_handle,
	const gss_OID option, const gss_buffer_t value);

#endif
