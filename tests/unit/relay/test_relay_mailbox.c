/*
 * The mailbox between threads: nothing is lost, nothing comes twice, each sender's order is kept,
 * and a full one says so.
 */
#include "relay/relay_mailbox.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SENDERS = 4, MESSAGES = 20000 };

struct sender {
	struct relay_mailbox *mailbox;
	uint64_t number;
};

static void *
send_all(void *arg)
{
	const struct sender *sender = arg;

	for (uint64_t i = 0; i < MESSAGES; i++) {
		struct relay_message *message = relay_message_new(RELAY_SESSION_SEEN, NULL, 0);

		message->request_id = sender->number;
		message->generation = i;
		while (relay_mailbox_send(sender->mailbox, &message) < 0)
			sched_yield();
	}
	return NULL;
}

static void
test_many_senders_and_one_receiver_lose_nothing(void **state)
{
	struct relay_mailbox mailbox;
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];
	uint64_t next[SENDERS] = { 0 }, received = 0;

	(void)state;
	assert_int_equal(relay_mailbox_init(&mailbox), 0);
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ &mailbox, i };
		assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
	}
	while (received < (uint64_t)SENDERS * MESSAGES) {
		struct pollfd ready = { .fd = mailbox.event_fd, .events = POLLIN };

		/* Asleep until it is woken: a lost wake-up shows here. */
		assert_int_equal(poll(&ready, 1, 10 * 1000), 1);
		struct relay_message *message = relay_mailbox_receive(&mailbox);
		while (message != NULL) {
			struct relay_message *after = message->next;

			assert_int_equal(message->generation, next[message->request_id]++);
			received++;
			relay_message_free(&message);
			message = after;
		}
	}
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	assert_null(relay_mailbox_receive(&mailbox));
	relay_mailbox_fini(&mailbox);
}

static void
test_a_full_mailbox_says_so_and_leaves_the_message(void **state)
{
	struct relay_mailbox mailbox;
	struct relay_message *message;

	(void)state;
	assert_int_equal(relay_mailbox_init(&mailbox), 0);
	for (unsigned i = 0; i < RELAY_MAILBOX_MAX; i++) {
		message = relay_message_new(RELAY_DRAIN, NULL, 0);
		assert_int_equal(relay_mailbox_send(&mailbox, &message), 0);
		assert_null(message);
	}
	message = relay_message_new(RELAY_DRAIN, NULL, 0);
	assert_int_equal(relay_mailbox_send(&mailbox, &message), -11);
	assert_non_null(message);
	struct relay_message *all = relay_mailbox_receive(&mailbox);
	while (all != NULL) {
		struct relay_message *after = all->next;

		relay_message_free(&all);
		all = after;
	}
	assert_int_equal(relay_mailbox_send(&mailbox, &message), 0);
	relay_mailbox_fini(&mailbox); /* frees the one that was not received */
}

static void *
insist(void *arg)
{
	relay_mailbox_insist(arg, RELAY_MESH_DOWN, 7);
	return NULL;
}

static void
test_what_must_be_heard_waits_for_room(void **state)
{
	struct relay_mailbox mailbox;
	struct relay_message *message;
	bool is_heard = false;
	pthread_t thread;

	(void)state;
	assert_int_equal(relay_mailbox_init(&mailbox), 0);
	for (unsigned i = 0; i < RELAY_MAILBOX_MAX; i++) {
		message = relay_message_new(RELAY_DRAIN, NULL, 0);
		assert_int_equal(relay_mailbox_send(&mailbox, &message), 0);
	}
	assert_int_equal(pthread_create(&thread, NULL, insist, &mailbox), 0);
	while (!is_heard) {
		struct pollfd ready = { .fd = mailbox.event_fd, .events = POLLIN };

		assert_int_equal(poll(&ready, 1, 10 * 1000), 1);
		for (struct relay_message *m = relay_mailbox_receive(&mailbox), *after; m != NULL;
		     m = after) {
			after = m->next;
			is_heard = is_heard || (m->kind == RELAY_MESH_DOWN && m->link == 7);
			relay_message_free(&m);
		}
	}
	pthread_join(thread, NULL);
	relay_mailbox_fini(&mailbox);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_senders_and_one_receiver_lose_nothing),
		cmocka_unit_test(test_a_full_mailbox_says_so_and_leaves_the_message),
		cmocka_unit_test(test_what_must_be_heard_waits_for_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
