/*
 * gateway_access: tokens and access keys; see the header.
 */
#include "gateway/gateway_access.h"

#include "gateway/gateway_access_first.h"
#include "gateway/gateway_access_kept.h"
#include "gateway/gateway_access_revoked.h"
#include "gateway/gateway_access_ring.h"
#include "gateway/gateway_access_time.h"
#include "gateway/gateway_side.h"
#include "identity/key.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

enum { URL_BYTES = PATH_MAX + 32 };

struct gateway_access {
	struct access_ring *ring;
	struct access_time time;
	struct access_revoked *revoked;
	struct access_first first;
	struct side_thread *thread; /* NULL: no store, as the next */
	struct access_kept *kept;
};

static int
open_ring(struct gateway_access *access, const struct gateway_access_options *options)
{
	char path[PATH_MAX];
	bool is_named = options->token_secret != NULL && options->token_secret[0] != '\0';
	int n = is_named ? snprintf(path, sizeof(path), "%s", options->token_secret)
			 : snprintf(path, sizeof(path), "%s/token.secret", options->state_dir);
	return n < PATH_MAX ? access_ring_open(path, &access->ring) : -ENAMETOOLONG;
}

static int
read_store(struct gateway_access *access, struct store *store)
{
	int64_t wall_now_ms = clock_wall_ms();
	int r = access_first_enter(&access->first, store, wall_now_ms);
	if (r < 0) {
		log_error("keys_not_entered", "error=%s", strerror(-r));
		return r;
	}
	r = access_kept_load(store, access->revoked, wall_now_ms);
	if (r < 0)
		log_error("revocations_not_read", "error=%s", strerror(-r));
	return r;
}

static int
open_store(struct gateway_access *access, const struct gateway_access_options *options)
{
	char url[URL_BYTES], reason[256] = "";
	if (options->store != NULL && options->store[0] != '\0')
		snprintf(url, sizeof(url), "%s", options->store);
	else
		snprintf(url, sizeof(url), "sqlite:%s/gateway.db", options->state_dir);
	struct store *store = NULL;
	int r = access_store_open(url, &store, reason, sizeof(reason));
	if (r < 0) {
		log_error("store_not_opened", "reason=%s", reason);
		return store_exit_code(r);
	}
	if (read_store(access, store) < 0) {
		store_close(&store);
		return EX_IOERR;
	}
	r = side_thread_new(options->loop, &store, &access->thread);
	return r < 0 ? r : access_kept_new(options->loop, access->thread, &access->kept);
}

int
gateway_access_open(const struct gateway_access_options *options, struct gateway_access **ret)
{
	struct gateway_access *access = calloc(1, sizeof(*access));
	if (access == NULL)
		return -ENOMEM;
	int r = open_ring(access, options);
	if (r == 0)
		r = access_first_load(options->state_dir, &access->first);
	if (r == -EPERM)
		r = EX_NOPERM;
	if (r == 0)
		r = access_revoked_new(&access->revoked);
	if (r == 0 && options->loop != NULL)
		r = open_store(access, options);
	if (r != 0)
		gateway_access_close(&access);
	*ret = access;
	return r;
}

void
gateway_access_stop(struct gateway_access *access)
{
	if (access->kept != NULL)
		access_kept_end(access->kept);
	side_thread_free(&access->thread);
}

void
gateway_access_close(struct gateway_access **access)
{
	if (*access == NULL)
		return;
	gateway_access_stop(*access);
	access_ring_free(&(*access)->ring);
	access_kept_free(&(*access)->kept);
	access_revoked_free(&(*access)->revoked);
	key_wipe(*access, sizeof(**access));
	free(*access);
	*access = NULL;
}

/* ---- tokens ---- */

static enum gateway_who
role_of_token(enum token_role role)
{
	switch (role) {
	case TOKEN_ROLE_NODE:
		return WHO_NODE;
	case TOKEN_ROLE_CLIENT:
		return WHO_CLIENT;
	case TOKEN_ROLE_ADMIN:
		return WHO_ADMIN;
	}
	return WHO_ANYONE;
}

/* By the wall clock; and by those that were ours before it was set. */
static int
verify(struct gateway_access *access, const char *text, size_t n, int64_t wall_ms,
       int64_t steady_ms, struct token *ret)
{
	int64_t step_ms = access_time_tell(&access->time, wall_ms, steady_ms);
	if (step_ms != 0)
		log_warn("clock_stepped", "step_ms=%lld", (long long)step_ms);
	int r = access_ring_verify(access->ring, text, n, wall_ms, steady_ms, ret);
	if (r == 0 && access_time_is_before(&access->time, ret->issued_at_ms))
		r = -ETIME;
	for (size_t i = 0;
	     r == -ETIME && access_time_earlier(&access->time, i, steady_ms, &wall_ms); i++)
		r = access_ring_verify(access->ring, text, n, wall_ms, steady_ms, ret);
	return r;
}

static int
check_token(struct gateway_access *access, const char *text, size_t n, int64_t wall_now_ms,
	    int64_t steady_ms, struct gateway_caller *ret)
{
	struct token token = { 0 };
	int r = verify(access, text, n, wall_now_ms, steady_ms, &token);
	if (r < 0)
		return r;
	if (token.role == TOKEN_ROLE_NODE &&
	    access_revoked_is(access->revoked, token.subject, token.issued_at_ms))
		return -EACCES;
	ret->role = role_of_token(token.role);
	memcpy(ret->subject, token.subject, sizeof(ret->subject));
	ret->issued_at_ms = token.issued_at_ms;
	ret->expires_at_ms = token.expires_at_ms;
	return 0;
}

int
gateway_access_mint(struct gateway_access *access, enum gateway_who role, const char *subject,
		    int64_t issued_at_ms, int64_t lifetime_ms, char ret_text[TOKEN_TEXT_MAX_BYTES],
		    int64_t *ret_expires_at_ms)
{
	struct token token = {
		.role = role == WHO_NODE ? TOKEN_ROLE_NODE : TOKEN_ROLE_CLIENT,
		.issued_at_ms = issued_at_ms,
		.expires_at_ms = issued_at_ms + lifetime_ms,
	};
	size_t n = strlen(subject);
	if (n >= sizeof(token.subject) || (role != WHO_NODE && role != WHO_CLIENT))
		return -EINVAL;
	memcpy(token.subject, subject, n);
	*ret_expires_at_ms = token.expires_at_ms;
	return access_ring_mint(access->ring, &token, clock_boottime_ms(), ret_text);
}

void
gateway_access_revoke(struct gateway_access *access, const uint8_t node_id[UUID_BYTES],
		      int64_t since_ms)
{
	int64_t wall_now_ms = clock_wall_ms();
	int r = access_revoked_put(access->revoked, node_id, since_ms, wall_now_ms);
	if (r < 0)
		log_error("revocation_lost", "reason=%s", "out of memory");
	else if (r > 0 && access->thread != NULL)
		access_kept_add(access->kept, node_id, since_ms, wall_now_ms);
}

/* ---- keys ---- */

static void
name_caller(struct gateway_caller *caller, enum access_key_kind kind, const char *name)
{
	caller->role = access_key_kind_role(kind);
	caller->is_enrolment = kind == ACCESS_KEY_NODE;
	if (caller->is_enrolment)
		snprintf(caller->subject, sizeof(caller->subject), GATEWAY_ENROL_SUBJECT);
	else
		snprintf(caller->subject, sizeof(caller->subject), "key:%s", name);
}

/* 0 when the text has the form of a key of ours. */
static int
check_key(const struct gateway_access *access, const char *text, size_t n,
	  struct gateway_caller *ret)
{
	enum access_key_kind kind;
	bool is_key = access_key_parse(text, n, &kind);
	if (mac_sha256(text, n, ret->digest) < 0)
		return -EIO;
	const struct access_first_key *first = access_first_find(&access->first, ret->digest);
	if (first != NULL) {
		name_caller(ret, first->kind, "");
		snprintf(ret->subject, sizeof(ret->subject), "%s", first->subject);
	} else if (is_key && access->thread != NULL) {
		name_caller(ret, kind, "");
	} else {
		return -ENOENT;
	}
	ret->is_unconfirmed = access->thread != NULL;
	return 0;
}

int
gateway_access_check(struct gateway_access *access, const char *header, int64_t wall_now_ms,
		     int64_t steady_ms, struct gateway_caller *ret)
{
	*ret = (struct gateway_caller){ .role = WHO_ANYONE };
	if (header == NULL)
		return -ENOENT;
	if (strncasecmp(header, "Bearer ", 7) != 0)
		return -EACCES;
	const char *text = header + 7;
	size_t n = strlen(text);
	if (n == 0 || n >= TOKEN_TEXT_MAX_BYTES)
		return -EACCES;
	int r = check_key(access, text, n, ret);
	return r == -ENOENT ? check_token(access, text, n, wall_now_ms, steady_ms, ret) : r;
}

/* One confirmation under way. */
struct confirmation {
	struct side_job job; /* first */
	struct gateway_caller *caller;
	gateway_access_fn fn;
	void *arg;
	uint8_t digest[MAC_BYTES];
	bool takes_use, has_use;
	int64_t wall_now_ms;
	struct access_row row;
};

/* On the store's thread. */
static int
confirmation_run(struct store *store, struct side_job *job)
{
	struct confirmation *asked = (struct confirmation *)job;
	int r = access_store_find(store, asked->digest, &asked->row);
	if (r == 0 && access_row_state(&asked->row, asked->wall_now_ms) != ACCESS_VALID)
		r = -ENOENT;
	asked->has_use = r == 0 && asked->takes_use && asked->row.uses_max > 0;
	/* The table decides who has the last one. */
	if (asked->has_use)
		r = access_store_use(store, asked->digest, asked->wall_now_ms);
	return r;
}

static void
confirmation_done(struct side_job *job)
{
	struct confirmation *asked = (struct confirmation *)job;
	struct gateway_caller *caller = asked->caller;
	int result = job->result == -ENOENT ? -EACCES : job->result;
	bool is_first = strncmp(caller->subject, "key:", 4) != 0;
	caller->is_unconfirmed = false;
	/* A key's text says what it is for; the row has the last word. */
	if (result == 0 && access_key_kind_role(asked->row.kind) != caller->role)
		result = -EACCES;
	if (result == 0 && !is_first)
		name_caller(caller, asked->row.kind, asked->row.name);
	caller->has_use = result == 0 && asked->has_use;
	asked->fn(result, asked->arg);
	free(asked);
}

int
gateway_access_confirm(struct gateway_access *access, struct gateway_caller *caller, bool takes_use,
		       int64_t wall_now_ms, gateway_access_fn fn, void *arg)
{
	struct confirmation *asked = calloc(1, sizeof(*asked));
	if (asked == NULL)
		return -ENOMEM;
	asked->job = (struct side_job){ .run = confirmation_run, .done = confirmation_done };
	asked->caller = caller;
	asked->fn = fn;
	asked->arg = arg;
	memcpy(asked->digest, caller->digest, MAC_BYTES);
	asked->takes_use = takes_use;
	asked->wall_now_ms = wall_now_ms;
	int r = access->thread != NULL ? side_thread_run(access->thread, &asked->job) : -EIO;
	if (r < 0)
		free(asked);
	return r;
}

struct refund {
	struct side_job job; /* first */
	uint8_t digest[MAC_BYTES];
};

static int
refund_run(struct store *store, struct side_job *job)
{
	return access_store_unuse(store, ((struct refund *)job)->digest);
}

static void
refund_done(struct side_job *job)
{
	if (job->result < 0)
		log_warn("use_not_given_back", "error=%d", job->result);
	free(job);
}

/* A use is the enrolment of a new node, a route, or any request of the other kinds. */
static bool
is_used(const struct gateway_caller *caller, int status)
{
	if (caller->is_enrolment)
		return status == 201;
	return caller->role != WHO_CLIENT || (status >= 200 && status < 300);
}

void
gateway_access_settle(struct gateway_access *access, struct gateway_caller *caller, int status)
{
	if (!caller->has_use)
		return;
	caller->has_use = false;
	if (is_used(caller, status) || access->thread == NULL)
		return;
	struct refund *refund = calloc(1, sizeof(*refund));
	if (refund == NULL)
		return;
	refund->job = (struct side_job){ .run = refund_run, .done = refund_done };
	memcpy(refund->digest, caller->digest, MAC_BYTES);
	if (side_thread_run(access->thread, &refund->job) < 0)
		free(refund);
}

struct side_thread *
gateway_access_store(const struct gateway_access *access)
{
	return access->thread;
}
