/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Snapshots of the configuration: what they hold and their life.
 *
 * One lock serves the current snapshot (config_current.c) and the profile library.  It lies in memory
 * that the kernel zeroes in a forked child, so that a fork in the midst of it leaves the child a lock
 * that nobody holds; what the lock protects is replaced by single stores of pointers to finished
 * objects.
 */
#include "base/config_internal.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/config_profile.h"
#include "base/thread_memory.h"

#define READ_ATTEMPTS 3
#define BROKER_PATH_DEFAULT "/run/gss-ipsec/broker.sock"

/* --- what was wrong --- */

struct mistake {
	char text[CONFIG_ERROR_BYTES];
	bool passes;
};

static struct thread_memory last_mistake = { .len = sizeof(struct mistake) };

/* What a file holds is shown on terminals and in logs. */
static void make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

enum err config_complain(const char *path, unsigned int line, const char *format, ...)
{
	struct mistake *mistake = thread_memory_get(&last_mistake);
	char *text = NULL;
	va_list arguments;

	if (mistake == NULL)
		return ERR_CONFIG;
	mistake->passes = false;
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (line > 0)
		snprintf(mistake->text, sizeof(mistake->text), "%s:%u: %s", path, line,
			text != NULL ? text : "");
	else
		snprintf(mistake->text, sizeof(mistake->text), "%s: %s", path,
			text != NULL ? text : "");
	free(text);
	make_printable(mistake->text);
	return ERR_CONFIG;
}

enum err config_complain_passing(enum err complaint)
{
	struct mistake *mistake = thread_memory_get(&last_mistake);

	if (mistake != NULL)
		mistake->passes = true;
	return complaint;
}

/* Others pass: descriptors that are short, a lease, a file server that is away. */
static bool is_of_the_file(int code)
{
	return code == EACCES || code == EPERM || code == ELOOP || code == ENOTDIR ||
	       code == ENAMETOOLONG;
}

enum err config_complain_system(const char *path, int code)
{
	/* not translated: that would open libraries, under our lock */
	const char *why = strerrordesc_np(code);
	enum err complaint;

	if (code == ENOMEM)
		return ERR_NO_MEMORY;
	complaint =
		config_complain(path, 0, "cannot be read: %s", why != NULL ? why : "unknown error");
	return is_of_the_file(code) ? complaint : config_complain_passing(complaint);
}

bool config_mistake_passes(void)
{
	const struct mistake *mistake = thread_memory_get(&last_mistake);

	return mistake == NULL || mistake->passes;
}

void config_complain_again(const char *text)
{
	struct mistake *mistake = thread_memory_get(&last_mistake);

	if (mistake != NULL)
		snprintf(mistake->text, sizeof(mistake->text), "%s", text);
}

const char *config_last_error(void)
{
	const struct mistake *mistake = thread_memory_get(&last_mistake);

	return mistake != NULL ? mistake->text : "";
}

/* --- a snapshot's memory --- */

void *config_alloc(struct config *config, size_t len)
{
	struct config_memory *memory = calloc(1, sizeof(*memory) + len);

	if (memory == NULL)
		return NULL;
	memory->next = config->memory;
	config->memory = memory;
	return memory->data;
}

char *config_copy_text(struct config *config, const char *text, size_t len)
{
	char *copy = config_alloc(config, len + 1);

	if (copy != NULL)
		memcpy(copy, text, len);
	return copy;
}

struct config_entry *config_list_find(const struct config_list *list, const char *tag)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->entries[i].tag, tag) == 0)
			return &list->entries[i];
	return NULL;
}

/* Of no file at all.  It is shared, so nobody counts references to it. */
static struct config config_of_nothing = {
	.general.as.general = {
		.latch = CONFIG_LATCH_YES,
		.unknown_peer = CONFIG_UNKNOWN_REFUSE,
		.broker_path = BROKER_PATH_DEFAULT,
		.choices = { UINT_MAX, UINT_MAX, UINT_MAX, UINT_MAX, UINT_MAX },
	},
};
_Static_assert(CONFIG_CHOICE_COUNT == 5, "all words of each choice are allowed");

struct config *config_nothing(void)
{
	return &config_of_nothing;
}

static struct config *config_new(void)
{
	struct config *config = calloc(1, sizeof(*config));

	if (config == NULL)
		return NULL;
	atomic_init(&config->references, 1);
	config->general = config_of_nothing.general;
	return config;
}

struct config *config_ref(struct config *config)
{
	if (config != &config_of_nothing)
		atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
	return config;
}

void config_release(struct config **config)
{
	struct config *last = *config;

	*config = NULL;
	if (last == NULL || last == &config_of_nothing ||
		atomic_fetch_sub_explicit(&last->references, 1, memory_order_acq_rel) != 1)
		return;
	for (struct config_memory *m = last->memory, *next; m != NULL; m = next) {
		next = m->next;
		free(m);
	}
	for (size_t i = 0; i < CONFIG_LIST_COUNT; i++)
		free(last->lists[i].entries);
	free(last);
}

/* --- what others ask --- */

size_t config_identity_count(const struct config *config)
{
	return config->lists[CONFIG_IDENTITIES].count;
}

const struct config_identity *config_identity_at(const struct config *config, size_t index)
{
	return &config->lists[CONFIG_IDENTITIES].entries[index].as.identity;
}

size_t config_peer_count(const struct config *config)
{
	return config->lists[CONFIG_PEERS].count;
}

const struct config_peer *config_peer_at(const struct config *config, size_t index)
{
	return &config->lists[CONFIG_PEERS].entries[index].as.peer;
}

size_t config_localname_count(const struct config *config)
{
	return config->lists[CONFIG_LOCALNAMES].count;
}

const struct config_localname *config_localname_at(const struct config *config, size_t index)
{
	return &config->lists[CONFIG_LOCALNAMES].entries[index].as.localname;
}

/* What [service] says of this service about that key; NULL when it says nothing. */
static const struct config_service *find_service(
	const struct config *config, const char *service, enum config_service_key key)
{
	const struct config_entry *entry = NULL;

	if (service != NULL)
		entry = config_list_find(&config->lists[CONFIG_SERVICES], service);
	return entry != NULL && (entry->keys_set & 1u << key) != 0 ? &entry->as.service : NULL;
}

enum config_latch config_latch_policy(const struct config *config, const char *service)
{
	const struct config_service *found = find_service(config, service, CONFIG_SERVICE_LATCH);

	return found != NULL ? found->latch : config->general.as.general.latch;
}

bool config_latch_is_off(const struct config *config)
{
	const struct config_list *services = &config->lists[CONFIG_SERVICES];

	for (size_t i = 0; i < services->count; i++)
		if (config_latch_policy(config, services->entries[i].tag) != CONFIG_LATCH_NO)
			return false;
	return config_latch_policy(config, NULL) == CONFIG_LATCH_NO;
}

bool config_service_has_t5(const struct config *config, const char *service)
{
	const struct config_service *found = find_service(config, service, CONFIG_SERVICE_T5);

	if (found != NULL)
		return found->has_t5;
	return service != NULL && strcmp(service, "HTTP") == 0;
}

enum config_unknown_peer config_unknown_peer(const struct config *config)
{
	return config->general.as.general.unknown_peer;
}

bool config_takes_anonymous(const struct config *config, const char *service)
{
	const struct config_service *found =
		find_service(config, service, CONFIG_SERVICE_ANONYMOUS);

	return found != NULL ? found->takes_anonymous : config->general.as.general.takes_anonymous;
}

bool config_has_anonymous(const struct config *config, bool initiators)
{
	const struct config_list *services = &config->lists[CONFIG_SERVICES];
	bool has = config_takes_anonymous(config, NULL);

	for (size_t i = 0; i < services->count && !has; i++)
		has = config_takes_anonymous(config, services->entries[i].tag);
	for (size_t i = 0; i < config_identity_count(config) && !has; i++) {
		const struct config_identity *identity = config_identity_at(config, i);

		has = identity->is_anonymous &&
		      (initiators ? identity->initiates : identity->accepts);
	}
	/* Entries are about acceptors. */
	for (size_t i = 0; i < config_peer_count(config) && !has && !initiators; i++)
		has = config_peer_at(config, i)->is_anonymous;
	return has;
}

bool config_allows(const struct config *config, enum config_choice choice, const char *word)
{
	const char *known;

	for (size_t i = 0; (known = config_choice_word(choice, i)) != NULL; i++)
		if (strcmp(known, word) == 0)
			return (config->general.as.general.choices[choice] & 1u << i) != 0;
	return false;
}

const char *config_default_domain(const struct config *config)
{
	return config->general.as.general.default_domain;
}

const char *config_broker_path(const struct config *config)
{
	return config->general.as.general.broker_path;
}

size_t config_token_padding_bytes(const struct config *config)
{
	return config->general.as.general.token_padding_bytes;
}

/* --- the lock --- */

static pthread_mutex_t lock_without_page = PTHREAD_MUTEX_INITIALIZER;
/* NULL until the first who takes it; then the same for the rest of the process's life. */
static _Atomic(pthread_mutex_t *) lock;

/*
 * A mutex of zeros is PTHREAD_MUTEX_INITIALIZER here.  No fork handler: those run for every fork of
 * the application, and clone() misses them.
 *
 * Every program that lists mechanisms comes by, so each page that it need not touch is worth it: the kernel rounds
 * sizes up to a page by itself, and gives the page at once (bench/starts.sh).
 */
static pthread_mutex_t *lock_make(void)
{
	static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_t *made = &lock_without_page, *none = NULL;
	void *page = mmap(NULL, sizeof(fresh), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (page != MAP_FAILED && madvise(page, sizeof(fresh), MADV_WIPEONFORK) == 0 &&
		memcmp(page, &fresh, sizeof(fresh)) == 0)
		made = page;
	if (atomic_compare_exchange_strong(&lock, &none, made))
		none = made;
	else
		made = &lock_without_page; /* another thread's stays */
	if (page != MAP_FAILED && made != page)
		(void)munmap(page, sizeof(fresh));
	return none;
}

/* As the thread was that has the lock. */
static int lock_cancel_state;

/* A thread that was cancelled while it reads a file would keep the lock from all others. */
enum err config_lock(void)
{
	pthread_mutex_t *taken = atomic_load(&lock);
	int state;

	if (pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state) != 0)
		return ERR_INTERNAL;
	/* Who has the loader's lock may ask for this one: not the other way round. */
	(void)config_profile_library();
	if (taken == NULL)
		taken = lock_make();
	if (pthread_mutex_lock(taken) != 0) {
		(void)pthread_setcancelstate(state, NULL);
		return ERR_INTERNAL;
	}
	lock_cancel_state = state;
	return ERR_OK;
}

void config_unlock(void)
{
	const int state = lock_cancel_state;

	pthread_mutex_unlock(atomic_load(&lock));
	(void)pthread_setcancelstate(state, NULL);
}

/* --- loading --- */

static enum err load_once(const char *const *files, struct config **ret_config, bool *ret_changed)
{
	struct config *config = config_new();
	enum err status = ERR_OK;

	*ret_changed = false;
	if (config == NULL)
		return ERR_NO_MEMORY;
	for (size_t i = 0; files[i] != NULL && status == ERR_OK; i++)
		status = config_file_add(config, files[i], i, ret_changed);
	if (status == ERR_OK)
		*ret_config = config;
	else
		config_release(&config);
	return status;
}

enum err config_load_locked(const char *const *files, struct config **ret_config)
{
	enum err status = ERR_INTERNAL;
	bool changed = true;

	for (int attempt = 0; attempt < READ_ATTEMPTS && changed; attempt++)
		status = load_once(files, ret_config, &changed);
	return status;
}

enum err config_load(const char *const *files, struct config **ret_config)
{
	enum err status = config_lock();

	if (status != ERR_OK)
		return status;
	status = config_load_locked(files, ret_config);
	config_unlock();
	return status;
}
