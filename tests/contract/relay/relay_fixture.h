/*
 * relay_fixture: a whole relay (real actor, real shards, real sockets) on a thread of its own, with
 * real signers of its tickets, and a bus from the test's thread to it (relay_fixture_bus.c).
 */
#pragma once

#include "bus/bus.h"
#include "discovery.pb-c.h"
#include "identity/ticket.h"
#include "loop/loop.h"
#include "metrics/metrics.h"
#include "relay.pb-c.h"

#include <pthread.h>
#include <stdbool.h>

struct relay_fixture {
	char folder[64];
	char state_dir[96], keys_dir[96];
	char certificate[128], private_key[128];
	bool has_tls;
	uint16_t port, udp_port; /* udp_port 0: it hears no UDP */
	struct config *config;
	struct service_schema *schema;
	struct service_bus *endpoints;
	struct ticket_signer *node_signer, *session_signer;
	bool has_borrowed; /* signers and keys_dir are another's */

	pthread_t thread;
	struct loop *relay_loop;
	struct actor_context *context;
	void *state;
	int start_result;
	bool is_up;
	pthread_mutex_t mutex;
	pthread_cond_t changed;

	/* The test's own end of the bus. */
	struct loop *loop;
	struct metrics *metrics;
	struct bus *bus;
	struct bus_peer *relay;
	bool is_timed_out;
};

/* settings: lines of the section [relay]. has_tls: with a certificate for 127.0.0.1. */
void relay_fixture_start(struct relay_fixture *fixture, bool has_tls, const char *settings);
/* Another relay of the same group: tickets of the first's signers, which outlives it. */
void relay_fixture_start_beside(struct relay_fixture *fixture, const struct relay_fixture *first,
				bool has_tls, const char *settings);
void relay_fixture_stop(struct relay_fixture *fixture);
/* For cmocka: stops the one that *state is. */
int relay_fixture_tear_down(void **state);

/* The parts of these, for a relay that does not run here (relay_process): a folder with a
 * configuration, keys and signers; a bus to it, once it is up; and the end of each. */
void relay_fixture_prepare(struct relay_fixture *fixture, bool has_tls, const char *settings);
void relay_fixture_open_bus(struct relay_fixture *fixture);
void relay_fixture_close_bus(struct relay_fixture *fixture);
void relay_fixture_remove(struct relay_fixture *fixture);

/* SIGTERM's way: it begins to drain, and its actor ends when that is over. */
void relay_fixture_drain(struct relay_fixture *fixture);

/* Tickets of role node (session_id NULL) and session; expires_in_ms may be negative. */
void relay_fixture_ticket(const struct relay_fixture *fixture, const uint8_t node_id[UUID_BYTES],
			  const uint8_t *session_id, int64_t expires_in_ms, uint32_t rate_kbytes,
			  char ret_text[TICKET_TEXT_MAX_BYTES]);

/* Runs the test's loop until *done or ten seconds have passed; fails the test then. */
void relay_fixture_wait(struct relay_fixture *fixture, const bool *done);

/* One counter of GetStats, by name; fails the test when there is none. */
uint64_t relay_fixture_counter(struct relay_fixture *fixture, const char *name);

/* Asks for the counter until it is at least n. */
void relay_fixture_await(struct relay_fixture *fixture, const char *name, uint64_t n);

/* Until the relay has noticed that all legs are gone: what comes next is told of none of them. */
void relay_fixture_await_empty(struct relay_fixture *fixture);

/* CarryPacket: a datagram that came by REST. */
enum bus_status relay_fixture_carry(struct relay_fixture *fixture,
				    const uint8_t node_id[UUID_BYTES],
				    const uint8_t session_id[UUID_BYTES], bool is_to_node,
				    uint8_t *packet, size_t n);
