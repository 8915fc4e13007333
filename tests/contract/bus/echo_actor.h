/*
 * echo_actor: the server of the contract tests: serves echo.proto and counts what it was asked.
 */
#pragma once

#include "bus_fixture.h"

#include "echo.pb-c.h"

enum { ECHO_KEPT_MAX = 64 };

struct echo {
	struct fixture_actor actor;
	struct fixture *fixture;
	Boson__Test__Echo_Service service;
	struct bus_publisher *publisher;
	bool batched; /* serve with a bus_batch */
	const struct bus_rule *rules;
	_Atomic(int) begin_result, commit_result;

	_Atomic(unsigned) said, said_at_keep /* how many before the last Keep */, kept_count,
		published, begins, commits, largest_batch;
	unsigned batch_now;
	sem_t is_blocked, unblock;
	struct {
		Boson__Test__Words_Closure closure;
		void *call;
	} kept[ECHO_KEPT_MAX];
};

/* Binds at the fixture's endpoints, and writes the real ones there. */
void echo_start(struct echo *echo, struct fixture *fixture);
void echo_stop(struct echo *echo);

/* Answers all that Keep has kept. */
void echo_release(struct echo *echo);

/* Returns when the actor's thread stands still; it goes on with echo_unblock. */
void echo_block(struct echo *echo);
void echo_unblock(struct echo *echo);

/* A call and how it ended. */
struct asked {
	struct fixture *fixture;
	struct bus_peer *peer;
	bool ended, answered;
	unsigned times;
	struct bus_result result;
	char text[256];
	char trace[BUS_TRACE_BYTES];
	int64_t left_ms;
	size_t payload_bytes;
};

/* A peer of the fixture's bus. */
struct bus_peer *echo_peer(struct fixture *f);

typedef void (*echo_stub)(ProtobufCService *service, const Boson__Test__Words *input,
			  Boson__Test__Words_Closure closure, void *closure_data);

void ask(struct asked *asked, struct fixture *f, struct bus_peer *peer, echo_stub stub,
	 const char *text);
void ask_words(struct asked *asked, struct fixture *f, struct bus_peer *peer, echo_stub stub,
	       const Boson__Test__Words *words);
void wait_end(struct asked *asked);

/* ask and wait_end. */
void ask_and_wait(struct asked *asked, struct fixture *f, struct bus_peer *peer, echo_stub stub,
		  const char *text);

/* Asks until it is answered: for a peer that is on its way back. */
void ask_until_answered(struct fixture *f, struct bus_peer *peer);

void assert_failed(const struct asked *asked, enum bus_status status, const char *code);
