/*
 * Looking ahead at the events of a turn reads what they point to, before anybody knows whether that
 * is a leg: of a shard's own events, and beyond the last one, nothing may be read. The last event
 * lies before a page that cannot be read, and all of a shard's bytes are an address that is none.
 */
#include "relay/relay_ahead.h"

#include "relay/relay_shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { EVENTS = 12, NOWHERE = 0x5a };

static struct relay_node node;
static struct relay_channel channel;
static struct relay_leg node_leg, client_leg;
static struct relay_channel *slots[1] = { &channel };

static int
set_up(void **state)
{
	(void)state;
	node = (struct relay_node){ .leg = &node_leg, .slots = slots, .capacity = 1, .count = 1 };
	channel = (struct relay_channel){ .node = &node, .client = &client_leg };
	node_leg.node = &node;
	client_leg.channel = &channel;
	return 0;
}

/* n events, the last of them at the end of what can be read. */
static struct epoll_event *
events_at_the_end(int n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *pages =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
	return (struct epoll_event *)(void *)(pages + page) - n;
}

static void
release(struct epoll_event *events, int n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	munmap((uint8_t *)(events + n) - page, 2 * page);
}

static void
look_from_each(const struct relay_shard *shard, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++)
		relay_ahead(shard, &events[i], n - i);
}

static void
test_nothing_is_read_beyond_the_last_event(void **state)
{
	static struct relay_shard shard;

	(void)state;
	for (int n = 1; n <= EVENTS; n++) {
		struct epoll_event *events = events_at_the_end(n);

		for (int i = 0; i < n; i++)
			events[i].data.ptr = i % 2 == 0 ? &node_leg : &client_leg;
		look_from_each(&shard, events, n);
		release(events, n);
	}
}

static void
test_a_shards_own_events_are_no_legs(void **state)
{
	struct relay_shard *shard = malloc(sizeof(*shard));
	struct epoll_event *events = events_at_the_end(EVENTS);

	(void)state;
	memset(shard, NOWHERE, sizeof(*shard));
	for (int own = 0; own < 3; own++) {
		for (int at = 0; at < EVENTS; at++) {
			for (int i = 0; i < EVENTS; i++)
				events[i].data.ptr = i % 2 == 0 ? &node_leg : &client_leg;
			events[at].data.ptr = own == 0	 ? (void *)&shard->mailbox
					      : own == 1 ? (void *)&shard->accept
							 : (void *)shard->udp;
			look_from_each(shard, events, EVENTS);
		}
	}
	release(events, EVENTS);
	free(shard);
}

/* A leg that is not admitted yet, a node without clients or with several, a client that waits for
 * its node: what is not there is not followed. */
static void
test_legs_without_another_end_are_followed_as_far_as_they_go(void **state)
{
	static struct relay_shard shard;
	struct epoll_event *events = events_at_the_end(EVENTS);
	struct relay_leg nobodys = { 0 };

	(void)state;
	for (int i = 0; i < EVENTS; i++)
		events[i].data.ptr = i % 3 == 0 ? &nobodys : i % 3 == 1 ? &node_leg : &client_leg;
	node.leg = NULL;
	look_from_each(&shard, events, EVENTS);
	node.leg = &node_leg;
	channel.client = (void *)(uintptr_t)NOWHERE; /* is only fetched, which may fail */
	node.count = 2;
	look_from_each(&shard, events, EVENTS);
	node.count = node.capacity = 0;
	node.slots = NULL;
	look_from_each(&shard, events, EVENTS);
	release(events, EVENTS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing_is_read_beyond_the_last_event, set_up),
		cmocka_unit_test_setup(test_a_shards_own_events_are_no_legs, set_up),
		cmocka_unit_test_setup(test_legs_without_another_end_are_followed_as_far_as_they_go,
				       set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
