/*
 * gateway_access_mailbox: one function for each rpc; the store answers later, on this thread.
 */
#include "gateway/gateway_access_mailbox.h"

#include "gateway/gateway_access_message.h"
#include "gateway/gateway_side.h"
#include "identity/key.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_DEFAULT = 50, LIST_MAX = 200, CURSOR_BYTES = 24 };

/* One call under way. */
struct asked {
	struct side_job job; /* first */
	void *call;
	char peer[64], trace[BUS_TRACE_BYTES];
	union {
		Boson__Gateway__CreateKeyReply_Closure created;
		Boson__Gateway__ListKeysReply_Closure listed;
		Boson__Gateway__AccessKey_Closure revoked;
	} closure;
	int64_t wall_now_ms;
	char secret[ACCESS_KEY_TEXT_BYTES];
	int64_t after;
	size_t limit, count;
	struct access_row rows[]; /* one, or limit + 1 */
};

/* ---- what every call needs ---- */

static struct asked *
asked_new(void *call, size_t rows, side_job_fn run, void (*done)(struct side_job *job))
{
	struct asked *asked = calloc(1, sizeof(*asked) + rows * sizeof(asked->rows[0]));
	if (asked == NULL) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", 1);
		return NULL;
	}
	asked->job = (struct side_job){ .run = run, .done = done };
	asked->call = call;
	asked->wall_now_ms = clock_wall_ms();
	snprintf(asked->peer, sizeof(asked->peer), "%s", bus_call_peer(call));
	snprintf(asked->trace, sizeof(asked->trace), "%s", bus_call_trace(call));
	return asked;
}

static void
asked_free(struct asked *asked)
{
	key_wipe(asked->secret, sizeof(asked->secret));
	free(asked);
}

static void
asked_send(Boson__Gateway__Gateway_Service *service, struct asked *asked)
{
	const struct access_mailbox *mailbox = (struct access_mailbox *)service;
	if (side_thread_run(gateway_access_store(mailbox->access), &asked->job) < 0) {
		bus_call_fail_retry(asked->call, BUS_UNAVAILABLE, "busy", 1);
		asked_free(asked);
	}
}

static void
answer_failure(const struct asked *asked)
{
	switch (asked->job.result) {
	case -ENOENT:
		bus_call_fail(asked->call, BUS_NOT_FOUND, "key_unknown", NULL);
		break;
	case -ENOSPC:
		bus_call_fail(asked->call, BUS_LIMITED, "too_many_keys", NULL);
		break;
	default:
		bus_call_fail_retry(asked->call, BUS_UNAVAILABLE, "store_failed", 1);
	}
}

static void
audit(const struct asked *asked, const char *rpc)
{
	const struct access_row *row = &asked->rows[0];
	log_info("admin_write", "rpc=%s peer=%s key=%s kind=%s name=%s result=%s trace=%s", rpc,
		 asked->peer, row->id, row->name[0] != '\0' ? access_key_kind_name(row->kind) : "",
		 row->name,
		 asked->job.result == 0		? "ok"
		 : asked->job.result == -ENOENT ? "unknown"
						: "failed",
		 asked->trace);
}

/* ---- CreateKey ---- */

static int
create_run(struct store *store, struct side_job *job)
{
	struct asked *asked = (struct asked *)job;
	uint8_t digest[MAC_BYTES];
	int r = mac_sha256(asked->secret, strlen(asked->secret), digest);
	return r < 0 ? r : access_store_add(store, digest, &asked->rows[0]);
}

static void
create_done(struct side_job *job)
{
	struct asked *asked = (struct asked *)job;
	Boson__Gateway__CreateKeyReply reply = BOSON__GATEWAY__CREATE_KEY_REPLY__INIT;
	struct access_shown shown;
	audit(asked, "CreateKey");
	if (job->result == 0) {
		access_show(&shown, &asked->rows[0], asked->wall_now_ms);
		reply.key = &shown.key;
		reply.secret = asked->secret;
		asked->closure.created(&reply, asked->call);
	} else {
		answer_failure(asked);
	}
	asked_free(asked);
}

static void
on_create_key(Boson__Gateway__Gateway_Service *service,
	      const Boson__Gateway__CreateKeyRequest *input,
	      Boson__Gateway__CreateKeyReply_Closure closure, void *call)
{
	struct asked *asked = asked_new(call, 1, create_run, create_done);
	if (asked == NULL)
		return;
	asked->rows[0].created_ms = asked->wall_now_ms;
	asked->closure.created = closure;
	const char *wrong = access_read_create(input, &asked->rows[0]);
	if (wrong != NULL) {
		bus_call_fail(call, BUS_INVALID, "field", wrong);
		asked_free(asked);
	} else if (access_key_make(asked->rows[0].kind, asked->secret) < 0) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "randomness", 1);
		asked_free(asked);
	} else {
		asked_send(service, asked);
	}
}

/* ---- ListKeys ---- */

static int
list_run(struct store *store, struct side_job *job)
{
	struct asked *asked = (struct asked *)job;
	int n = access_store_list(store, asked->after, asked->rows, asked->limit + 1);
	asked->count = n > 0 ? (size_t)n : 0;
	return n < 0 ? n : 0;
}

static void
answer_list(const struct asked *asked)
{
	Boson__Gateway__ListKeysReply reply = BOSON__GATEWAY__LIST_KEYS_REPLY__INIT;
	size_t n = asked->count < asked->limit ? asked->count : asked->limit;
	struct access_shown *shown = calloc(n + 1, sizeof(*shown));
	Boson__Gateway__AccessKey **keys = calloc(n + 1, sizeof(Boson__Gateway__AccessKey *));
	char cursor[CURSOR_BYTES];
	if (shown == NULL || keys == NULL) {
		bus_call_fail_retry(asked->call, BUS_UNAVAILABLE, "memory", 1);
	} else {
		for (size_t i = 0; i < n; i++) {
			access_show(&shown[i], &asked->rows[i], asked->wall_now_ms);
			keys[i] = &shown[i].key;
		}
		reply.n_keys = n;
		reply.keys = keys;
		reply.has_count = 1;
		reply.count = (uint32_t)n;
		if (asked->count > asked->limit) {
			snprintf(cursor, sizeof(cursor), "%" PRId64, asked->rows[n - 1].number);
			reply.next_cursor = cursor;
		}
		asked->closure.listed(&reply, asked->call);
	}
	free(shown);
	free(keys);
}

static void
list_done(struct side_job *job)
{
	struct asked *asked = (struct asked *)job;
	if (job->result == 0)
		answer_list(asked);
	else
		answer_failure(asked);
	asked_free(asked);
}

static void
on_list_keys(Boson__Gateway__Gateway_Service *service, const Boson__Gateway__ListKeysRequest *input,
	     Boson__Gateway__ListKeysReply_Closure closure, void *call)
{
	uint32_t limit = input->has_limit ? input->limit : LIST_DEFAULT;
	int64_t after;
	if (limit == 0 || limit > LIST_MAX || !access_read_cursor(input->cursor, &after)) {
		bus_call_fail(call, BUS_INVALID, "field",
			      limit == 0 || limit > LIST_MAX ? "limit" : "cursor");
		return;
	}
	struct asked *asked = asked_new(call, limit + 1, list_run, list_done);
	if (asked == NULL)
		return;
	asked->closure.listed = closure;
	asked->after = after;
	asked->limit = limit;
	asked_send(service, asked);
}

/* ---- RevokeKey ---- */

static int
revoke_run(struct store *store, struct side_job *job)
{
	struct asked *asked = (struct asked *)job;
	char id[ACCESS_KEY_ID_BYTES];
	memcpy(id, asked->rows[0].id, sizeof(id));
	int r = access_store_revoke(store, id, asked->wall_now_ms);
	return r < 0 ? r : access_store_find_id(store, id, &asked->rows[0]);
}

static void
revoke_done(struct side_job *job)
{
	struct asked *asked = (struct asked *)job;
	struct access_shown shown;
	audit(asked, "RevokeKey");
	if (job->result == 0) {
		access_show(&shown, &asked->rows[0], asked->wall_now_ms);
		asked->closure.revoked(&shown.key, asked->call);
	} else {
		answer_failure(asked);
	}
	asked_free(asked);
}

static void
on_revoke_key(Boson__Gateway__Gateway_Service *service,
	      const Boson__Gateway__RevokeKeyRequest *input,
	      Boson__Gateway__AccessKey_Closure closure, void *call)
{
	if (!access_id_is_valid(input->key_id)) {
		bus_call_fail(call, BUS_INVALID, "field", "keyId");
		return;
	}
	struct asked *asked = asked_new(call, 1, revoke_run, revoke_done);
	if (asked == NULL)
		return;
	asked->closure.revoked = closure;
	memcpy(asked->rows[0].id, input->key_id, ACCESS_KEY_ID_BYTES);
	asked_send(service, asked);
}

/* ---- start ---- */

int
access_mailbox_open(struct access_mailbox *mailbox, const struct actor_context *context,
		    struct gateway_access *access)
{
	static const Boson__Gateway__Gateway_Service vtable = BOSON__GATEWAY__GATEWAY__INIT(on_);
	const char *endpoint = actor_endpoint(context, "gateway");
	mailbox->service = vtable;
	mailbox->access = access;
	int r = bus_serve(context->bus, endpoint, &mailbox->service.base, NULL);
	if (r < 0)
		log_error("mailbox_not_opened", "endpoint=%s error=%d", endpoint, r);
	return r;
}
