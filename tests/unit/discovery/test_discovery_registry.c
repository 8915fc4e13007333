/* discovery_registry: bindings for good, leases on simulated time. */
#include "discovery/discovery_registry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

enum { LEASE_MS = 90 * 1000, FLEET = 5000 };

static struct registry registry;

static int
setup(void **state)
{
	(void)state;
	return registry_init(&registry, LEASE_MS, 1000);
}

static int
teardown(void **state)
{
	(void)state;
	registry_fini(&registry);
	return 0;
}

static void
make_identity(uint32_t number, uint8_t id[UUID_BYTES], struct key *key)
{
	memset(id, 0x11, UUID_BYTES);
	memcpy(id, &number, sizeof(number));
	memset(key, 0x22, sizeof(*key));
	memcpy(key->bytes, &number, sizeof(number));
}

static int
put(uint32_t id_number, uint32_t key_number, struct registry_node **ret)
{
	uint8_t id[UUID_BYTES], unused_id[UUID_BYTES];
	struct key key, unused_key;

	make_identity(id_number, id, &unused_key);
	make_identity(key_number, unused_id, &key);
	return registry_put(&registry, id, &key,
			    boson__discovery__node__unpack(NULL, 0, (const uint8_t *)""), 5000,
			    ret);
}

/* The next that fell silent, marked offline. */
static struct registry_node *
expire_one(int64_t now_ms)
{
	struct registry_node *node = NULL;

	if (registry_due(&registry, now_ms, &node, 1) == 1)
		assert_true(registry_end(&registry, node, registry.version + 1));
	return node;
}

static struct registry_node *
put_new(uint32_t number)
{
	struct registry_node *node = NULL;

	assert_int_equal(put(number, number, &node), 0);
	return node;
}

static bool
hear(struct registry_node *node, enum registry_status status, int64_t now_ms)
{
	return registry_hear(&registry, node, status, NULL, now_ms, 1000000 + now_ms);
}

static void
test_an_id_stays_with_its_first_key_T01_P01(void **state)
{
	struct registry_node *node = put_new(1), *other = NULL;

	(void)state;
	assert_int_equal(put(1, 2, &other), -EEXIST);
	assert_null(other);
	assert_int_equal(put(1, 1, &other), 0);
	assert_ptr_equal(other, node);
	assert_int_equal(registry.count, 1);
}

static void
test_a_key_of_another_node_is_refused_R49(void **state)
{
	struct registry_node *other = NULL;

	(void)state;
	(void)put_new(1);
	assert_int_equal(put(2, 1, &other), -EEXIST);
	assert_int_equal(registry.count, 1);
}

static void
test_a_deleted_node_keeps_its_binding_P04(void **state)
{
	struct registry_node *node = put_new(1), *other = NULL;
	struct key key;
	uint8_t id[UUID_BYTES];

	(void)state;
	registry_delete(&registry, node);
	assert_int_equal(put(1, 2, &other), -EEXIST);
	assert_int_equal(put(2, 1, &other), -EEXIST);
	make_identity(1, id, &key);
	assert_int_equal(registry_binding(&registry, id, &key), REGISTRY_BOUND_DELETED);
	assert_null(node->facts);
	assert_int_equal(put(1, 1, &other), 0);
	assert_ptr_equal(other, node);
	assert_false(node->deleted);
}

static void
test_a_silent_node_goes_offline_exactly_once(void **state)
{
	struct registry_node *node = put_new(1);

	(void)state;
	assert_true(hear(node, REGISTRY_ONLINE, 0));
	assert_null(expire_one(LEASE_MS - 1));
	assert_ptr_equal(expire_one(LEASE_MS), node);
	assert_int_equal(node->status, REGISTRY_OFFLINE);
	assert_null(expire_one(LEASE_MS * 100));
	assert_true(hear(node, REGISTRY_ONLINE, LEASE_MS * 100));
	assert_ptr_equal(expire_one(LEASE_MS * 101), node);
}

static void
test_a_node_can_only_lower_itself_P24(void **state)
{
	struct registry_node *node = put_new(1);

	(void)state;
	(void)hear(node, REGISTRY_ONLINE, 0);
	assert_true(hear(node, REGISTRY_OFFLINE, 1));
	assert_int_equal(node->status, REGISTRY_OFFLINE);
	assert_int_equal(registry.online, 0);
	assert_null(expire_one(LEASE_MS * 2)); /* it was told once already */
	assert_true(hear(node, REGISTRY_DEGRADED, 2));
	assert_int_equal(node->status, REGISTRY_DEGRADED);
	assert_false(hear(node, REGISTRY_DEGRADED, 3));
}

static void
test_each_change_has_a_higher_version(void **state)
{
	struct registry_node *first = put_new(1), *second = put_new(2);
	uint64_t before = second->version;

	(void)state;
	assert_true(first->version > 1000);
	assert_true(second->version > first->version);
	(void)hear(first, REGISTRY_ONLINE, 0);
	assert_true(first->version > before);
	before = first->version;
	registry_delete(&registry, first);
	assert_true(first->version > before);
}

/* Every node beats each 30 s; the odd ones stop after ten minutes. */
static void
test_a_fleet_on_simulated_time_loses_only_who_fell_silent(void **state)
{
	static struct registry_node *fleet[FLEET];
	static unsigned int expired[FLEET];
	int64_t now_ms = 0;

	(void)state;
	memset(expired, 0, sizeof(expired));
	for (uint32_t i = 0; i < FLEET; i++)
		fleet[i] = put_new(i);
	for (; now_ms < 20 * 60 * 1000; now_ms += 1000) {
		struct registry_node *node;

		for (uint32_t i = (uint32_t)(now_ms / 1000 % 30); i < FLEET; i += 30)
			if (i % 2 == 0 || now_ms < 10 * 60 * 1000)
				(void)hear(fleet[i], REGISTRY_ONLINE, now_ms);
		while ((node = expire_one(now_ms)) != NULL)
			expired[node->position]++;
	}
	for (uint32_t i = 0; i < FLEET; i++)
		assert_int_equal(expired[i], i % 2);
	assert_int_equal(registry.online, FLEET / 2);
}

static void
test_liveness_to_save_is_listed_once_however_often_heard(void **state)
{
	struct registry_node *first = put_new(1), *second = put_new(2);

	(void)state;
	for (int i = 0; i < 10; i++) {
		(void)hear(first, REGISTRY_ONLINE, i);
		(void)hear(second, REGISTRY_ONLINE, i);
	}
	assert_ptr_equal(registry_take_unsaved(&registry), second);
	assert_ptr_equal(registry_take_unsaved(&registry), first);
	assert_null(registry_take_unsaved(&registry));
	(void)hear(first, REGISTRY_ONLINE, 20);
	assert_ptr_equal(registry_take_unsaved(&registry), first);
	assert_null(registry_take_unsaved(&registry));
}

static void
test_only_vitals_that_moved_are_news(void **state)
{
	Boson__Discovery__NodeMetrics vitals = BOSON__DISCOVERY__NODE_METRICS__INIT;
	struct registry_node *node = put_new(1);

	(void)state;
	vitals.has_latency = vitals.has_active_connections = 1;
	vitals.latency = 50;
	assert_true(registry_hear(&registry, node, REGISTRY_ONLINE, &vitals, 1, 1));
	vitals.latency = 52;
	assert_false(registry_hear(&registry, node, REGISTRY_ONLINE, &vitals, 2, 2));
	vitals.latency = 120;
	assert_true(registry_hear(&registry, node, REGISTRY_ONLINE, &vitals, 3, 3));
	vitals.active_connections = 1;
	assert_true(registry_hear(&registry, node, REGISTRY_ONLINE, &vitals, 4, 4));
	assert_true(node->vitals.active_connections == 1);
}

static struct discovery_vitals
vitals_of(double latency)
{
	Boson__Discovery__NodeMetrics message = BOSON__DISCOVERY__NODE_METRICS__INIT;
	struct discovery_vitals vitals;

	message.has_latency = 1;
	message.latency = latency;
	discovery_vitals_take(&vitals, &message);
	return vitals;
}

static void
test_what_a_replica_heard_renews_the_lease_and_is_taken_when_it_is_newer(void **state)
{
	struct discovery_vitals newer = vitals_of(7), older = vitals_of(8);
	struct registry_node *node = put_new(1);
	uint64_t version = node->version;

	(void)state;
	assert_true(
		registry_hear_from(&registry, node, REGISTRY_ONLINE, &newer, version + 5, 0, 9000));
	assert_int_equal(node->version, version + 5);
	assert_true(registry.version >= version + 5);
	assert_false(registry_hear_from(&registry, node, REGISTRY_DEGRADED, &older, version + 1,
					LEASE_MS / 2, 9000));
	assert_int_equal(node->status, REGISTRY_ONLINE);
	assert_true(node->vitals.values[0] > 6.5 && node->vitals.values[0] < 7.5);
	assert_null(expire_one(LEASE_MS));
	assert_ptr_equal(expire_one(LEASE_MS + LEASE_MS / 2), node);
}

/* What we heard ourselves and no replica can know yet is not undone by what one says. */
static void
test_news_of_our_own_is_not_undone_by_a_replica(void **state)
{
	struct discovery_vitals none = { .is_known = false };
	struct registry_node *node = put_new(1);

	(void)state;
	(void)hear(node, REGISTRY_ONLINE, 0);
	assert_false(registry_hear_from(&registry, node, REGISTRY_OFFLINE, &none,
					node->version + 100, 1, 9000));
	assert_int_equal(node->status, REGISTRY_ONLINE);
}

static void
test_forgiven_silence_gives_everybody_a_new_lease_F02(void **state)
{
	struct registry_node *node = put_new(1);

	(void)state;
	(void)hear(node, REGISTRY_ONLINE, 0);
	registry_forgive(&registry, 10 * LEASE_MS);
	assert_null(expire_one(11 * LEASE_MS - 1));
	assert_ptr_equal(expire_one(11 * LEASE_MS), node);
}

static void
test_versions_follow_the_clock_and_never_go_back(void **state)
{
	uint64_t first = registry_stamp(&registry, 5000), second, third;

	(void)state;
	assert_int_equal(first, 5000 * 1000);
	second = registry_stamp(&registry, 4000); /* the clock was set back */
	assert_true(second > first);
	registry_witness(&registry, second + 1000);
	third = registry_stamp(&registry, 4000);
	assert_true(third > second + 1000);
}

#define ON_A_REGISTRY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_A_REGISTRY(test_an_id_stays_with_its_first_key_T01_P01),
		ON_A_REGISTRY(test_a_key_of_another_node_is_refused_R49),
		ON_A_REGISTRY(test_a_deleted_node_keeps_its_binding_P04),
		ON_A_REGISTRY(test_a_silent_node_goes_offline_exactly_once),
		ON_A_REGISTRY(test_a_node_can_only_lower_itself_P24),
		ON_A_REGISTRY(test_each_change_has_a_higher_version),
		ON_A_REGISTRY(test_a_fleet_on_simulated_time_loses_only_who_fell_silent),
		ON_A_REGISTRY(test_liveness_to_save_is_listed_once_however_often_heard),
		ON_A_REGISTRY(test_only_vitals_that_moved_are_news),
		ON_A_REGISTRY(
			test_what_a_replica_heard_renews_the_lease_and_is_taken_when_it_is_newer),
		ON_A_REGISTRY(test_news_of_our_own_is_not_undone_by_a_replica),
		ON_A_REGISTRY(test_forgiven_silence_gives_everybody_a_new_lease_F02),
		ON_A_REGISTRY(test_versions_follow_the_clock_and_never_go_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
