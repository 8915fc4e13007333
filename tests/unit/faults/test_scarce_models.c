/*
 * F32: the models of the services with the n-th allocation refused, for each n: what fails leaves
 * them as they were, what is in them can still be found and taken out, and nothing leaks.
 */
#include "../routing/table_sample.h"
#include "cache/cache.h"
#include "discovery/discovery_registry.h"
#include "idtable/idtable.h"
#include "log/log.h"
#include "log/text_file.h"
#include "loop/loop.h"
#include "metrics/metrics.h"
#include "relay/relay_channel.h"
#include "relay/relay_clones.h"
#include "relay/relay_flows.h"
#include "relay/relay_gone.h"
#include "routing/routing_choice.h"
#include "scarce.h"
#include "store/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THINGS = 40 };

/* ---- shared ---- */

struct thing {
	struct idtable_link by_id;
	uint8_t id[4];
};

static bool
table_of_ids(void)
{
	static struct thing things[THINGS];
	struct idtable table = { 0 };
	unsigned added = 0;

	if (idtable_init(&table, offsetof(struct thing, by_id), offsetof(struct thing, id), 4) < 0)
		return false;
	for (uint8_t i = 0; i < THINGS; i++) {
		things[i] = (struct thing){ .id = { i } };
		added += idtable_add(&table, &things[i]) == 0;
	}
	assert_int_equal(table.count, added);
	assert_int_equal(added, THINGS); /* a table that cannot grow is slower, not smaller */
	for (uint8_t i = 0; i < THINGS; i++) {
		assert_ptr_equal(idtable_find(&table, things[i].id), &things[i]);
		idtable_remove(&table, &things[i]);
	}
	idtable_fini(&table);
	return true;
}

static bool
cache_in_memory(void)
{
	struct cache *cache = NULL;
	bool is_good = cache_open("memory:", 100, &cache) == 0;

	for (int i = 0; is_good && i < THINGS; i++) {
		char key[16];

		(void)snprintf(key, sizeof(key), "key %d", i);
		is_good = cache_first(cache, key, 1000, 0) == 1 &&
			  cache_take(cache, key, 60, 5, 0) == 0;
	}
	/* Replay protection never says "first" twice. */
	assert_true(!is_good || cache_first(cache, "key 7", 1000, 1) == 0);
	cache_close(&cache);
	return is_good;
}

static void
count(struct loop *loop, void *arg)
{
	if (++*(int *)arg == 2)
		loop_stop(loop);
}

static void
give_up(struct loop *loop, void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static bool
loop_with_timers_and_posts(void)
{
	struct loop_timer *timer = NULL, *patience = NULL;
	struct loop *loop = NULL;
	int counted = 0;
	bool is_good = loop_new(&loop) == 0 &&
		       loop_timer_start(loop, 10 * 1000, 0, give_up, NULL, &patience) == 0 &&
		       loop_timer_start(loop, 0, 0, count, &counted, &timer) == 0 &&
		       loop_post(loop, count, &counted) == 0;

	if (is_good)
		is_good = loop_run(loop) == 0 && counted == 2;
	loop_free(&loop);
	return is_good;
}

static bool
figures(void)
{
	struct metrics *metrics = NULL;
	char *text = NULL;
	size_t n = 0;
	bool is_good = metrics_new("scarce", &metrics) == 0;

	if (is_good) {
		/* One that could not be made counts nowhere, but it counts. */
		metric_add(metrics_counter(metrics, "things_total", "kind=\"a\"", "Things."), 1);
		metric_observe_us(metrics_histogram(metrics, "seconds", NULL, "How long."), 50);
		is_good = metrics_write(&metrics, 1, &text, &n) == 0 &&
			  strstr(text, "scarce_things_total{kind=\"a\"} 1\n") != NULL;
	}
	free(text);
	metrics_free(&metrics);
	return is_good;
}

/* All of it or nothing: what became of rules that were cut off nobody would see. */
static bool
text(void)
{
	struct text_file file;
	char *written = NULL;
	size_t n = 0, expected = 0;

	if (text_file_open(&file) < 0)
		return false;
	for (int i = 0; i < 100 * THINGS; i++)
		expected += (size_t)snprintf(NULL, 0, "rule %d\n", i),
			fprintf(file.stream, "rule %d\n", i);
	if (text_file_close(&file, &written, &n) < 0) {
		assert_null(written);
		return false;
	}
	assert_int_equal(n, expected);
	assert_int_equal(strlen(written), expected);
	assert_string_equal(written + n - strlen("rule 3999\n"), "rule 3999\n");
	free(written);
	return true;
}

static const struct store_migration migrations[] = {
	{ 1, "things", "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL)" },
};

static void
note(void *arg)
{
	*(bool *)arg = true;
}

/* What was committed is there, and nothing half. */
static bool
tables(void)
{
	struct store_value row[] = { STORE_V_INT(1), store_text("a thing") };
	struct store *store = NULL;
	char error[256] = "";
	bool is_told = false, is_good;

	if (store_open("sqlite::memory:", migrations, 1, &store, error, sizeof(error)) < 0)
		return false;
	is_good = store_begin(store) == 0 &&
		  store_exec(store, "INSERT INTO things (id, name) VALUES ($1, $2)", row, 2) == 1 &&
		  store_after_commit(store, note, NULL, &is_told) == 0;
	if (is_good)
		is_good = store_commit(store) == 0;
	else
		store_rollback(store);
	assert_int_equal(is_told, is_good);
	store_close(&store);
	return is_good;
}

/* ---- relay ---- */

static void
drop(struct fair_lane *lane, const struct fair_item *item, enum fair_drop_reason reason, void *arg)
{
	(void)lane;
	(void)item;
	(void)reason;
	++*(unsigned *)arg;
}

static bool
queue(void)
{
	static const uint8_t frame[100] = { 0x82, 98 };
	struct fair_limits limits = { .lane_bytes = 1000, .age_ms = 1000 };
	struct fair_ledger ledger = { 0 };
	struct fair_outbox outbox = { .ledger = &ledger };
	struct fair_lane lane = { 0 };
	unsigned made = 0, dropped = 0;

	for (int i = 0; i < THINGS; i++) {
		struct fair_item *item = fair_item_new(frame, sizeof(frame), 0);

		if (item == NULL)
			continue;
		made++;
		fair_lane_push(&outbox, &lane, item, &limits, drop, &dropped);
	}
	fair_lane_clear(&lane, drop, &dropped);
	assert_int_equal(dropped, made);
	assert_true(fair_outbox_is_empty(&outbox));
	fair_outbox_fini(&outbox);
	return made == THINGS;
}

static bool
channels(void)
{
	uint8_t id[UUID_BYTES] = "a node", session[UUID_BYTES] = "a session";
	struct relay_channel *all[THINGS] = { 0 };
	struct relay_directory directory;
	struct relay_node *node;
	unsigned made = 0;

	if (relay_directory_init(&directory) < 0)
		return false;
	node = relay_node_get(&directory, id);
	for (uint8_t i = 0; node != NULL && i < THINGS; i++) {
		session[15] = i;
		if (relay_channel_new(&directory, node, session, NULL, THINGS, &all[made]) == 0)
			assert_ptr_equal(relay_channel_find(&directory, session), all[made++]);
	}
	assert_true(node == NULL || node->count == made);
	for (unsigned i = 0; i < made; i++)
		relay_channel_free(&directory, &all[i]);
	assert_true(node == NULL || relay_node_put(&directory, node));
	relay_directory_fini(&directory);
	return made == THINGS;
}

static bool
what_a_relay_remembers(void)
{
	uint8_t id[UUID_BYTES] = "a node", session[UUID_BYTES] = "a session";
	struct relay_gone gone = { 0 };
	struct relay_clones clones = { 0 };
	struct relay_flows flows = { 0 };
	bool is_good = relay_gone_init(&gone) == 0 && relay_clones_init(&clones) == 0 &&
		       relay_flows_init(&flows) == 0;

	for (uint8_t i = 0; is_good && i < THINGS; i++) {
		session[15] = id[15] = i;
		relay_gone_add(&gone, id, session);
		(void)relay_clones_add(&clones, id, false, 0);
		is_good = relay_flows_bind(&flows, session, id) != NULL &&
			  relay_gone_has(&gone, id, session);
	}
	relay_flows_fini(&flows);
	relay_clones_fini(&clones);
	relay_gone_fini(&gone);
	return is_good;
}

/* ---- routing, discovery ---- */

static uint64_t
dice(void *arg)
{
	return *(uint64_t *)arg += UINT64_C(0x9e3779b97f4a7c15);
}

static bool
put_node(struct table *table, uint32_t number)
{
	Boson__Discovery__Node node = BOSON__DISCOVERY__NODE__INIT;
	Boson__Common__Location location = BOSON__COMMON__LOCATION__INIT;
	char id_text[UUID_TEXT_BYTES];
	uint8_t id[UUID_BYTES];

	sample_id(number, id);
	uuid_format(id, id_text);
	location.country = "CH";
	location.region = "ZH";
	node.node_id = id_text;
	node.public_key = "key";
	node.status = "online";
	node.location = &location;
	node.has_version = 1;
	node.version = 1;
	return table_node_put(table, &node, false) == 0;
}

static bool
nodes_to_choose_from(void)
{
	Boson__Common__Relay message = BOSON__COMMON__RELAY__INIT;
	struct routing_wish wish = { 0 };
	struct table_relay *relay = NULL;
	static struct table table;
	uint64_t seed = 1;
	uint8_t id[UUID_BYTES];
	bool is_good;

	if (table_init(&table) < 0)
		return false;
	message.id = "relay-1";
	message.group = "default";
	message.relay_endpoint = "wss://relay.example";
	is_good = table_relay_put(&table, &message, &relay) == 0;
	if (is_good)
		table_relay_set_alive(&table, relay, true);
	for (uint32_t i = 1; is_good && i <= THINGS; i++) {
		sample_id(i, id);
		is_good = put_node(&table, i) && table_leg_attach(&table, relay, id, 1, 5) == 0 &&
			  table_sessions_add(&table, id, 1) == 0;
	}
	if (is_good)
		is_good = choice_pick(&table, &wish, NULL, 0, 0,
				      &(struct choice_random){ dice, &seed }) != NULL;
	table_fini(&table);
	return is_good;
}

static bool
sessions_of_routing(void)
{
	struct sessions sessions;
	struct session *session = NULL;
	unsigned made = 0;

	if (sessions_init(&sessions) < 0)
		return false;
	for (uint32_t i = 1; i <= THINGS; i++) {
		struct session_record record = { .status = SESSION_OPEN, .owner = "key:first" };

		memcpy(record.id, &i, sizeof(i));
		memcpy(record.route_id, &i, sizeof(i));
		memcpy(record.client_id, &i, sizeof(i));
		if (sessions_put(&sessions, &record, 1000 + i, &session) == 0)
			assert_ptr_equal(sessions_find_route(&sessions, record.route_id),
					 sessions_find(&sessions, record.id)),
				made++;
	}
	assert_int_equal(sessions.count, made);
	while ((session = sessions_expire(&sessions, INT64_MAX - 1)) != NULL)
		free(session), made--;
	assert_int_equal(sessions.count, 0);
	sessions_fini(&sessions);
	return made == 0;
}

static bool
registry_of_discovery(void)
{
	struct registry registry;
	unsigned made = 0;

	if (registry_init(&registry, 1000, 1) < 0)
		return false;
	for (uint32_t i = 1; i <= THINGS; i++) {
		struct registry_node *node = NULL;
		uint8_t id[UUID_BYTES] = { 0 };
		struct key key = { { 0 } };
		Boson__Discovery__Node *facts;

		memcpy(id, &i, sizeof(i));
		memcpy(key.bytes, &i, sizeof(i));
		facts = boson__discovery__node__unpack(NULL, 0, (const uint8_t *)"");
		if (facts == NULL || registry_put(&registry, id, &key, facts, 1, &node) != 0) {
			assert_null(registry_find(&registry, id));
			assert_null(registry_find_key(&registry, &key));
			continue;
		}
		made++;
		assert_ptr_equal(registry_find(&registry, id), node);
		assert_ptr_equal(registry_find_key(&registry, &key), node);
		(void)registry_hear(&registry, node, REGISTRY_ONLINE, NULL, 0, 1);
	}
	assert_int_equal(registry.online, made);
	registry_fini(&registry);
	return made == THINGS;
}

#define SWEEP(name, fn)                                                 \
	static void name(void **state)                                  \
	{                                                               \
		(void)state;                                            \
		assert_in_range(scarce_sweep(fn), 2, SCARCE_SWEEP_MAX); \
	}

SWEEP(test_a_cache_with_too_little_memory, cache_in_memory)
SWEEP(test_a_loop_with_too_little_memory, loop_with_timers_and_posts)
SWEEP(test_figures_with_too_little_memory, figures)
SWEEP(test_a_text_with_too_little_memory, text)
SWEEP(test_tables_with_too_little_memory, tables)
SWEEP(test_a_queue_with_too_little_memory, queue)
SWEEP(test_channels_with_too_little_memory, channels)
SWEEP(test_what_a_relay_remembers_with_too_little_memory, what_a_relay_remembers)
SWEEP(test_nodes_to_choose_from_with_too_little_memory, nodes_to_choose_from)
SWEEP(test_sessions_of_routing_with_too_little_memory, sessions_of_routing)
SWEEP(test_a_registry_with_too_little_memory, registry_of_discovery)
SWEEP(test_ids_with_too_little_memory, table_of_ids)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids_with_too_little_memory),
		cmocka_unit_test(test_a_cache_with_too_little_memory),
		cmocka_unit_test(test_a_loop_with_too_little_memory),
		cmocka_unit_test(test_figures_with_too_little_memory),
		cmocka_unit_test(test_a_text_with_too_little_memory),
		cmocka_unit_test(test_tables_with_too_little_memory),
		cmocka_unit_test(test_a_queue_with_too_little_memory),
		cmocka_unit_test(test_channels_with_too_little_memory),
		cmocka_unit_test(test_what_a_relay_remembers_with_too_little_memory),
		cmocka_unit_test(test_nodes_to_choose_from_with_too_little_memory),
		cmocka_unit_test(test_sessions_of_routing_with_too_little_memory),
		cmocka_unit_test(test_a_registry_with_too_little_memory),
	};
	log_init("scarce", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
