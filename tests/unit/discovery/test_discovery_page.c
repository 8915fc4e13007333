/* discovery_page and discovery_view: paging without gaps or doubles, and what the public sees. */
#include "bus/bus.h"
#include "discovery/discovery_page.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

static struct registry registry;

static int
setup(void **state)
{
	(void)state;
	return registry_init(&registry, 90000, 1);
}

static int
teardown(void **state)
{
	(void)state;
	registry_fini(&registry);
	return 0;
}

static struct registry_node *
add(uint32_t number, const char *country, const char *ipv4, const char *mapped, const char *region)
{
	Boson__Discovery__RegisterRequest request = BOSON__DISCOVERY__REGISTER_REQUEST__INIT;
	Boson__Discovery__NetworkInfo network = BOSON__DISCOVERY__NETWORK_INFO__INIT;
	Boson__Common__Location location = BOSON__COMMON__LOCATION__INIT;
	struct registry_node *node = NULL;
	uint8_t id[UUID_BYTES] = { 0 };
	struct key key = { { 9 } };
	uint8_t *facts;
	size_t n;

	memcpy(id + 8, &number, sizeof(number));
	memcpy(key.bytes + 8, &number, sizeof(number));
	network.ipv4 = (char *)(uintptr_t)ipv4;
	network.stun_mapped_address = (char *)(uintptr_t)mapped;
	network.has_local_port = 1;
	network.local_port = 40000;
	location.country = (char *)(uintptr_t)country;
	location.region = (char *)(uintptr_t)region;
	request.network_info = &network;
	request.location = &location;
	assert_int_equal(discovery_facts_pack(&request, &facts, &n), 0);
	assert_int_equal(registry_put(&registry, id, &key,
				      boson__discovery__node__unpack(NULL, n, facts), 0, &node),
			 0);
	free(facts);
	return node;
}

static size_t
list_all(const char *country, const char *status, uint32_t limit)
{
	Boson__Discovery__ListNodesRequest request = BOSON__DISCOVERY__LIST_NODES_REQUEST__INIT;
	char cursor[PAGE_CURSOR_BYTES], last[UUID_TEXT_BYTES] = "";
	size_t total = 0;
	char *next;

	request.has_limit = 1;
	request.limit = limit;
	request.country = (char *)(uintptr_t)country;
	request.status = (char *)(uintptr_t)status;
	do {
		struct field_problem problem;
		struct page_filter filter;
		struct page page;

		assert_int_equal(discovery_page_filter_init(&filter, &registry, &request, &problem),
				 0);
		assert_int_equal(discovery_page_init(&page, filter.limit), 0);
		next = discovery_page_list(&page, &registry, &filter);
		total += page.count;
		for (size_t i = 0; i < page.count; i++) {
			assert_string_not_equal(page.nodes[i]->node_id, last);
			memcpy(last, page.nodes[i]->node_id, sizeof(last));
		}
		if (next != NULL)
			memcpy(cursor, next, sizeof(cursor));
		request.cursor = cursor;
		discovery_page_fini(&page);
	} while (next != NULL);
	return total;
}

static void
test_pages_together_hold_each_node_once(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 10001; i++)
		(void)add(i, i % 10 == 0 ? "DE" : "FR", NULL, NULL, NULL);
	assert_int_equal(list_all(NULL, NULL, 200), 10001);
	assert_int_equal(list_all("DE", NULL, 7), 1001);
	assert_int_equal(list_all("US", NULL, 50), 0);
	assert_int_equal(list_all(NULL, "online", 50), 0);
	assert_int_equal(list_all(NULL, "offline", 199), 10001);
}

static void
test_a_deleted_node_is_not_listed(void **state)
{
	struct registry_node *node;

	(void)state;
	(void)add(1, "DE", NULL, NULL, NULL);
	node = add(2, "DE", NULL, NULL, NULL);
	registry_delete(&registry, node);
	assert_int_equal(list_all(NULL, NULL, 10), 1);
}

static void
test_a_limit_or_cursor_that_makes_no_sense_is_refused(void **state)
{
	Boson__Discovery__ListNodesRequest request = BOSON__DISCOVERY__LIST_NODES_REQUEST__INIT;
	struct field_problem problem;
	struct page_filter filter;

	(void)state;
	request.has_limit = 1;
	request.limit = 0;
	assert_int_equal(discovery_page_filter_init(&filter, &registry, &request, &problem),
			 -EINVAL);
	request.limit = 201;
	assert_int_equal(discovery_page_filter_init(&filter, &registry, &request, &problem),
			 -EINVAL);
	assert_string_equal(problem.field, "limit");
	request.limit = 1;
	request.cursor = "00000000-0000-0000-0000-000000000001";
	assert_int_equal(discovery_page_filter_init(&filter, &registry, &request, &problem),
			 -EINVAL);
	assert_string_equal(problem.field, "cursor");
	request.cursor = NULL;
	request.status = "happy";
	assert_int_equal(discovery_page_filter_init(&filter, &registry, &request, &problem),
			 -EINVAL);
	assert_string_equal(problem.field, "status");
}

static void
test_the_public_sees_no_private_address_R87(void **state)
{
	struct registry_node *node = add(1, "DE", "192.168.1.7", "93.184.216.34:4000", NULL);
	struct view view;

	(void)state;
	discovery_view_fill(&view, node, VIEW_PUBLIC);
	assert_null(view.node.network_info->ipv4);
	assert_false(view.node.network_info->has_local_port);
	assert_string_equal(view.node.network_info->stun_mapped_address, "93.184.216.34:4000");
	node = add(2, "DE", "93.184.216.34", "[fd00::1]:4000", NULL);
	discovery_view_fini(&view);
	discovery_view_fill(&view, node, VIEW_PUBLIC);
	assert_string_equal(view.node.network_info->ipv4, "93.184.216.34");
	assert_null(view.node.network_info->stun_mapped_address);
	node = add(3, "DE", NULL, "100.64.0.1:4000", NULL);
	discovery_view_fini(&view);
	discovery_view_fill(&view, node, VIEW_PUBLIC);
	assert_null(view.node.network_info->stun_mapped_address);
	discovery_view_fini(&view);
	discovery_view_fill(&view, node, VIEW_INTERNAL);
	assert_string_equal(view.node.network_info->stun_mapped_address, "100.64.0.1:4000");
	discovery_view_fini(&view);
}

static void
test_a_snapshot_page_of_the_longest_nodes_fits_one_message(void **state)
{
	static const char region[] =
		"0123456789012345678901234567890123456789012345678901234567890123";
	Boson__Discovery__SnapshotReply reply = BOSON__DISCOVERY__SNAPSHOT_REPLY__INIT;
	size_t position = 0, total = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		(void)add(i, "DE", "192.168.100.100", "193.184.216.134:40000", region);
	for (;;) {
		struct page page;
		bool is_more;

		assert_int_equal(discovery_page_init(&page, PAGE_SNAPSHOT_NODES), 0);
		is_more = discovery_page_snapshot(&page, &registry, &position);
		reply.n_nodes = page.count;
		reply.nodes = page.nodes;
		reply.next_cursor = is_more ? "00000000-n999999999" : NULL;
		assert_true(boson__discovery__snapshot_reply__get_packed_size(&reply) <
			    BUS_MESSAGE_MAX_BYTES);
		total += page.count;
		discovery_page_fini(&page);
		if (!is_more)
			break;
	}
	assert_int_equal(total, 1000);
}

/* B54: so that who was given half of a snapshot never gets the other half of another one. */
static void
test_a_snapshot_cursor_counts_only_where_it_came_from(void **state)
{
	static const char *const bad[] = { "",
					   "12345678",
					   "12345678-n",
					   "12345678-x1",
					   "12345678-n-1",
					   "12345678-n 1",
					   "12345679-n1",
					   "12345678-n1 ",
					   "0x345678-n1",
					   "12345678-n1x",
					   "12345678-n9999999999999999" };
	struct page_position position = { .is_node = true, .at = 100 };
	char cursor[PAGE_CURSOR_BYTES];

	(void)state;
	discovery_page_position_format(&position, 0x12345678, cursor);
	position = (struct page_position){ .is_node = false };
	assert_int_equal(discovery_page_position_parse(cursor, 0x12345678, &position), 0);
	assert_true(position.is_node);
	assert_int_equal(position.at, 100);
	assert_int_equal(discovery_page_position_parse(NULL, 0x12345678, &position), 0);
	assert_int_equal(position.at, 0);
	assert_false(position.is_node);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(discovery_page_position_parse(bad[i], 0x12345678, &position),
				 -EINVAL);
}

#define ON_A_REGISTRY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_A_REGISTRY(test_pages_together_hold_each_node_once),
		ON_A_REGISTRY(test_a_deleted_node_is_not_listed),
		ON_A_REGISTRY(test_a_limit_or_cursor_that_makes_no_sense_is_refused),
		ON_A_REGISTRY(test_the_public_sees_no_private_address_R87),
		ON_A_REGISTRY(test_a_snapshot_page_of_the_longest_nodes_fits_one_message),
		ON_A_REGISTRY(test_a_snapshot_cursor_counts_only_where_it_came_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
