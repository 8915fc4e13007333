/* routing_liveness: see the header. Asks relay.ListFlows. */
#include "routing/routing_liveness.h"

#include "log/log.h"
#include "loop/clock.h"
#include "relay.pb-c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOOKS_MAX = 4096,	 /* sessions beyond that are not looked at: a sample is as good */
	LOOKS_AT_ONCE_MAX = 512, /* in one tick */
	LOOKS_OF_ONE_MAX = 5,	 /* pauses double; a client that has not come then never does */
	LOOK_TIMEOUT_MS = 2000,
	NOTED_MAX = 1024,
	/* Some fifty requests for names and connections: more than anyone sends and hears nothing,
	 * but for who only sends. */
	DATA_MIN_BYTES = 4096,
	VOTER_BYTES = SESSION_HOLDER_BYTES - 1,
};

_Static_assert(VOTER_BYTES == (int)UUID_BYTES, "an access key's digest or a client's id");

struct look {
	struct routing *routing;
	uint8_t session_id[UUID_BYTES], node_id[UUID_BYTES], client_id[UUID_BYTES];
	char holder[SESSION_HOLDER_BYTES];
	int64_t due_ms, pause_ms;
	unsigned int times;
	bool is_doubtful; /* the next time that nothing has come back is once too often */
};

/* Who found which node deaf, lately: who tries again and again counts once. */
struct noted {
	uint8_t voter[VOTER_BYTES], node_id[UUID_BYTES];
	int64_t at_ms;
};

struct routing_liveness {
	struct look *looks[LOOKS_MAX];
	size_t count;
	struct noted noted[NOTED_MAX];
	size_t noted_next;
	struct metric *deaf;
};

int
routing_liveness_start(struct routing *routing)
{
	routing->liveness = calloc(1, sizeof(*routing->liveness));
	if (routing->liveness == NULL)
		return -ENOMEM;
	routing->liveness->deaf =
		metrics_counter(routing->context->metrics, "nodes_deaf_total", NULL,
				"Sessions whose node was sent something and sent nothing back");
	return 0;
}

void
routing_liveness_stop(struct routing *routing)
{
	struct routing_liveness *liveness = routing->liveness;

	while (liveness != NULL && liveness->count > 0)
		free(liveness->looks[--liveness->count]);
	free(liveness);
	routing->liveness = NULL;
}

/* Whose word it is: an access key's, because client ids cost nothing. Where there are not as many
 * access keys as it takes, all their clients are one house, and each speaks for itself. */
static const void *
voter_of(const struct look *look)
{
	bool has_many = look->routing->sessions.holders.count >= CHOICE_DEAF_VOTERS;

	return has_many ? (const void *)look->holder : look->client_id;
}

static bool
is_counted(struct routing_liveness *liveness, const struct look *look, int64_t now_ms)
{
	const void *voter = voter_of(look);
	struct noted *noted;

	for (size_t i = 0; i < NOTED_MAX; i++) {
		noted = &liveness->noted[i];
		if (memcmp(noted->voter, voter, VOTER_BYTES) == 0 &&
		    memcmp(noted->node_id, look->node_id, UUID_BYTES) == 0 &&
		    now_ms - noted->at_ms < CHOICE_DEAF_HALF_LIFE_MS)
			return true;
	}
	noted = &liveness->noted[liveness->noted_next++ % NOTED_MAX];
	memcpy(noted->voter, voter, VOTER_BYTES);
	memcpy(noted->node_id, look->node_id, UUID_BYTES);
	noted->at_ms = now_ms;
	return false;
}

static void
note_deaf(const struct look *look, const char *to)
{
	struct table_node *node = table_find(&look->routing->table, look->node_id);
	int64_t now_ms = clock_monotonic_ms();
	char node_id[UUID_TEXT_BYTES];

	if (node == NULL || is_counted(look->routing->liveness, look, now_ms))
		return;
	metric_add(look->routing->liveness->deaf, 1);
	if (!choice_note_deaf(node, now_ms))
		return;
	uuid_format(look->node_id, node_id);
	log_warn("node_deaf", "node=%s to=%s", node_id, to);
}

/* A session that ended or moved before its client came is none of ours any more. */
static bool
is_there(const struct look *look)
{
	const struct session *session = sessions_find(&look->routing->sessions, look->session_id);

	return session != NULL && session->record.status == SESSION_OPEN &&
	       memcmp(session->record.node_id, look->node_id, UUID_BYTES) == 0;
}

static void
look_again(struct look *look)
{
	struct routing_liveness *liveness = look->routing->liveness;

	if (look->times == LOOKS_OF_ONE_MAX || liveness->count == LOOKS_MAX || !is_there(look)) {
		free(look);
		return;
	}
	look->times++;
	look->due_ms = clock_monotonic_ms() + look->pause_ms;
	look->pause_ms *= 2;
	liveness->looks[liveness->count++] = look;
}

enum finding {
	UNCLEAR, /* the client has not come, or sent too little yet */
	ANSWERS,
	DEAF_TO_HANDSHAKES,
	DEAF_TO_DATA, /* of which not a packet came back */
};

static enum finding
judge(const Boson__Relay__ListFlowsReply *reply)
{
	if (reply == NULL || reply->leg_bytes_up == 0)
		return UNCLEAR;
	if (reply->leg_bytes_down == 0)
		return DEAF_TO_HANDSHAKES;
	if (reply->leg_data_down > 0)
		return ANSWERS;
	return reply->leg_data_up >= DATA_MIN_BYTES ? DEAF_TO_DATA : UNCLEAR;
}

/* An answer may be on its way: once more. */
static void
doubt(struct look *look)
{
	look->is_doubtful = true;
	look->pause_ms = look->routing->deaf_after_ms;
	look_again(look);
}

static void
on_flows(const Boson__Relay__ListFlowsReply *reply, void *arg)
{
	struct look *look = arg;
	enum finding finding = judge(reply);
	struct table_node *node;

	if (look->routing->stopping) {
		free(look);
		return;
	}
	if (finding == UNCLEAR) {
		look->is_doubtful = false;
		look_again(look);
		return;
	}
	if (finding != ANSWERS && !look->is_doubtful) {
		doubt(look);
		return;
	}
	node = table_find(&look->routing->table, look->node_id);
	if (finding != ANSWERS)
		note_deaf(look, finding == DEAF_TO_DATA ? "data" : "handshakes");
	else if (node != NULL)
		choice_note_heard(node);
	free(look);
}

static void
ask(struct look *look)
{
	Boson__Relay__ListFlowsRequest request = BOSON__RELAY__LIST_FLOWS_REQUEST__INIT;
	const struct table_leg *home =
		table_home_leg(table_find(&look->routing->table, look->node_id));
	char session_id[UUID_TEXT_BYTES], node_id[UUID_TEXT_BYTES];
	struct bus_peer *peer;

	peer = home == NULL ? NULL : routing_links_peer(look->routing, home->relay->id);
	if (peer == NULL) {
		look_again(look);
		return;
	}
	uuid_format(look->session_id, session_id);
	uuid_format(look->node_id, node_id);
	request.session_id = session_id;
	request.node_id = node_id;
	bus_peer_next(peer, LOOK_TIMEOUT_MS, NULL);
	boson__relay__relay__list_flows(bus_peer_service(peer), &request, on_flows, look);
}

static struct look *
look_new(struct routing *routing, const struct session_record *record)
{
	struct look *look = calloc(1, sizeof(*look));

	if (look == NULL)
		return NULL;
	look->routing = routing;
	look->pause_ms = routing->deaf_after_ms;
	memcpy(look->session_id, record->id, UUID_BYTES);
	memcpy(look->node_id, record->node_id, UUID_BYTES);
	memcpy(look->client_id, record->client_id, UUID_BYTES);
	memcpy(look->holder, record->holder, sizeof(look->holder));
	return look;
}

void
routing_liveness_watch(struct routing *routing, const struct session_record *record)
{
	struct look *look = look_new(routing, record);

	if (look != NULL)
		look_again(look);
}

void
routing_liveness_complain(struct routing *routing, const struct session_record *record)
{
	struct look *look = look_new(routing, record);

	if (look == NULL)
		return;
	look->is_doubtful = true; /* the client has waited for long enough */
	look->times = LOOKS_OF_ONE_MAX;
	ask(look);
}

void
routing_liveness_tick(struct routing *routing, int64_t now_ms)
{
	struct routing_liveness *liveness = routing->liveness;
	size_t asked = 0;

	for (size_t i = liveness->count; i-- > 0 && asked < LOOKS_AT_ONCE_MAX;) {
		struct look *look = liveness->looks[i];

		if (look->due_ms > now_ms)
			continue;
		liveness->looks[i] = liveness->looks[--liveness->count];
		ask(look);
		asked++;
	}
}
