/*
 * gateway_access_watch: see the header. An event is taken whenever it comes, a page of the list
 * too: the latest moment counts, whatever the order.
 */
#include "gateway/gateway_access_watch.h"

#include "discovery.pb-c.h"
#include "gateway/gateway_access_revoked.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_AGAIN_MS = 1000, CURSOR_BYTES = 64 };

struct access_watch {
	const struct actor_context *context;
	struct bus_peer *discovery;
	struct gateway_access *access;
	struct bus_subscription *subscription;
	struct loop_timer *timer;
	bool is_asking, is_stale; /* stale: ask anew after this */
	char cursor[CURSOR_BYTES];
};

static void ask(struct loop *loop, void *arg);

static void
take(struct access_watch *watch, const Boson__Discovery__Revocation *revocation)
{
	uint8_t id[UUID_BYTES];
	if (revocation != NULL && revocation->node_id != NULL && revocation->has_tokens_since &&
	    uuid_parse(revocation->node_id, id) == 0)
		gateway_access_revoke(watch->access, id, revocation->tokens_since);
}

static void
ask_in(struct access_watch *watch, int64_t delay_ms)
{
	if (watch->timer != NULL)
		loop_timer_stop(&watch->timer);
	if (loop_timer_start(watch->context->loop, delay_ms, 0, ask, watch, &watch->timer) < 0) {
		watch->timer = NULL;
		log_error("timer_failed", "what=%s", "revocations");
	}
}

static void
ask_anew(struct access_watch *watch, int64_t delay_ms)
{
	watch->cursor[0] = '\0';
	watch->is_stale = false;
	ask_in(watch, delay_ms);
}

static void
on_list(const Boson__Discovery__ListRevocationsReply *reply, void *arg)
{
	struct access_watch *watch = arg;
	watch->is_asking = false;
	for (size_t i = 0; reply != NULL && i < reply->n_revocations; i++)
		take(watch, reply->revocations[i]);
	if (reply == NULL)
		ask_anew(watch, ASK_AGAIN_MS);
	else if (watch->is_stale)
		ask_anew(watch, 0);
	else if (reply->next_cursor != NULL && strlen(reply->next_cursor) < CURSOR_BYTES) {
		strcpy(watch->cursor, reply->next_cursor);
		ask_in(watch, 0);
	}
}

static void
ask(struct loop *loop, void *arg)
{
	struct access_watch *watch = arg;
	Boson__Discovery__ListRevocationsRequest request =
		BOSON__DISCOVERY__LIST_REVOCATIONS_REQUEST__INIT;
	(void)loop;
	watch->timer = NULL; /* it was for once */
	request.has_since = 1;
	request.since = clock_wall_ms() - ACCESS_REVOKED_KEPT_MS;
	request.cursor = watch->cursor[0] != '\0' ? watch->cursor : NULL;
	watch->is_asking = true;
	boson__discovery__discovery__list_revocations(bus_peer_service(watch->discovery), &request,
						      on_list, watch);
}

static void
on_event(const ProtobufCMessage *event, bool gap, void *arg)
{
	struct access_watch *watch = arg;
	if (event != NULL)
		take(watch,
		     ((const Boson__Discovery__TokensRevoked *)(const void *)event)->revocation);
	if (!gap)
		return;
	if (watch->is_asking)
		watch->is_stale = true;
	else
		ask_anew(watch, 0);
}

int
access_watch_new(const struct actor_context *context, struct bus_peer *discovery,
		 struct gateway_access *access, struct access_watch **ret)
{
	struct access_watch *watch = calloc(1, sizeof(*watch));
	if (watch == NULL)
		return -ENOMEM;
	watch->context = context;
	watch->discovery = discovery;
	watch->access = access;
	int r = bus_subscribe(context->bus, actor_event_endpoint(context, "discovery"),
			      actor_server_key(context, "discovery"),
			      &boson__discovery__tokens_revoked__descriptor, on_event, watch,
			      &watch->subscription);
	if (r < 0)
		access_watch_free(&watch);
	else
		ask_anew(watch, 0);
	*ret = watch;
	return r;
}

void
access_watch_free(struct access_watch **watch)
{
	if (*watch == NULL)
		return;
	if ((*watch)->timer != NULL)
		loop_timer_stop(&(*watch)->timer);
	if ((*watch)->subscription != NULL)
		bus_unsubscribe(&(*watch)->subscription);
	free(*watch);
	*watch = NULL;
}
