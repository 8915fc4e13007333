/*
 * identity_api: the whole API with its real services, the operator's bosonctl beside it, and keys
 * that bosonctl made. No answer may hold a secret that is the server's alone. What goes wrong in
 * here fails the running test.
 */
#pragma once

#include "../../unit/service/child.h"
#include "gateway_rig_node.h"
#include "gateway_rig_one.h"
#include "identity_secrets.h"

enum { API_KEY_BYTES_MAX = 128, API_ID_BYTES = 32 };

/* A fleet with this enrolment policy, on SQLite or, under with_servers, PostgreSQL. 0 or -1. */
int api_start(const char *policy);
int api_stop(void);

/* For cmocka: a fleet that wants keys of new nodes, all it says kept; and its end: T41, none of at
 * least so many keys, tokens, tickets, proofs and secrets behind them was said. */
int api_begin(void **state);
int api_end(size_t secrets_min);

const struct rig_answer *api_ask(const char *method, const char *target, const char *bearer,
				 const char *json);
void api_assert_refused(const struct rig_answer *answer, int status, const char *code);

/* GET, until this is the answer: what was done reaches all gateways within a second. */
void api_wait_for_status(const char *target, const char *bearer, int status);

/* `bosonctl -c ... WORDS`: what it printed; it must exit with that. */
const char *api_bosonctl(int exit_code, const char *const *words);

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

struct made_key {
	char bearer[API_KEY_BYTES_MAX], id[API_ID_BYTES];
};

/* A key, noted as a secret. option, value: two more words, or NULL. */
struct made_key api_make_key(const char *kind, const char *option, const char *value);
