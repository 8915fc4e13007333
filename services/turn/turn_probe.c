/* turn_probe: Binding, Allocate (refused, with realm and nonce), Allocate, Refresh to nothing. */
#include "turn/turn_probe.h"

#include "identity/key.h"
#include "loop/clock.h"
#include "stun/stun_socket.h"
#include "turn/turn_credential.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PROTOCOL_UDP = 17, CREDENTIAL_MS = 60 * 1000, NONCES_MAX = 2 };

struct turn_probe {
	struct loop *loop;
	struct stun_socket *socket;
	struct sockaddr_in6 server;
	const char *secret;
	uint32_t round_trip_us;
	struct turn_credential credential;
	char realm[STUN_REALM_MAX_BYTES], nonce[STUN_NONCE_MAX_BYTES];
	bool has_key;
	uint8_t key[STUN_KEY_BYTES];
	unsigned nonces; /* that we were given */
	turn_probe_fn fn;
	void *arg;
	struct turn_probe **at; /* where the caller keeps us */
};

static void
finish(struct turn_probe *probe, const char *reason)
{
	turn_probe_fn fn = probe->fn;
	void *arg = probe->arg;
	uint32_t round_trip_us = probe->round_trip_us;

	turn_probe_stop(probe->at);
	fn(reason, round_trip_us, arg);
}

/* A request of ours, signed once there is a key. 0 or -errno. */
static int
ask(struct turn_probe *probe, enum stun_method method, stun_answer_fn fn)
{
	struct stun_question question = { .to = probe->server,
					  .timeout_ms = TURN_PROBE_TIMEOUT_MS };
	uint8_t transaction[STUN_TRANSACTION_BYTES];
	struct stun_writer request;
	int error = stun_transaction_make(transaction);

	if (error != 0)
		return error;
	stun_begin(&request, STUN_REQUEST, method, transaction);
	if (method == STUN_ALLOCATE)
		stun_put_number(&request, STUN_REQUESTED_TRANSPORT, PROTOCOL_UDP << 24);
	if (method == STUN_REFRESH)
		stun_put_number(&request, STUN_LIFETIME, 0);
	if (probe->has_key) {
		stun_put(&request, STUN_USERNAME, probe->credential.username,
			 strlen(probe->credential.username));
		stun_put(&request, STUN_REALM, probe->realm, strlen(probe->realm));
		stun_put(&request, STUN_NONCE, probe->nonce, strlen(probe->nonce));
		question.key = probe->key;
	}
	error = stun_finish(&request, question.key, STUN_KEY_BYTES);
	question.request = &request;
	return error == 0 ? stun_socket_ask(probe->socket, &question, fn, probe) : error;
}

static void
on_released(const struct stun_message *message, uint32_t round_trip_us, void *arg)
{
	struct turn_probe *probe = arg;

	(void)round_trip_us;
	/* One that was not given back ends by itself. */
	finish(probe, message == NULL ? "no answer to a refresh" : NULL);
}

static void on_allocated(const struct stun_message *message, uint32_t round_trip_us, void *arg);

/* With what a refusal told us. 0 or -errno. */
static int
take_challenge(struct turn_probe *probe, const struct stun_message *message)
{
	int error = turn_credential_make(probe->secret, "probe", "turn", clock_wall_ms(),
					 CREDENTIAL_MS, &probe->credential);

	if (error == 0)
		error = stun_text(message, STUN_REALM, probe->realm, sizeof(probe->realm));
	if (error == 0)
		error = stun_text(message, STUN_NONCE, probe->nonce, sizeof(probe->nonce));
	if (error == 0)
		error = stun_long_term_key(probe->credential.username, probe->realm,
					   probe->credential.password, probe->key);
	probe->has_key = error == 0;
	return error;
}

/* What is wrong with an error answer to an allocation; NULL: it was asked again. */
static const char *
judge_error(struct turn_probe *probe, const struct stun_message *message)
{
	int code = stun_error_code(message);

	if (code == 486)
		return "quota reached";
	if (code == 508)
		return "out of capacity";
	if (code != 401 && code != 438) /* stale nonce */
		return "refuses to allocate";
	if ((code == 401 && probe->has_key) || ++probe->nonces > NONCES_MAX)
		return "refuses our credential";
	if (take_challenge(probe, message) != 0)
		return "asks for a credential in a way that we do not know";
	return ask(probe, STUN_ALLOCATE, on_allocated) == 0 ? NULL : "out of memory";
}

static void
on_allocated(const struct stun_message *message, uint32_t round_trip_us, void *arg)
{
	struct turn_probe *probe = arg;
	struct sockaddr_in6 relayed;
	const char *reason = NULL;

	(void)round_trip_us;
	if (message == NULL)
		reason = "no answer to an allocation";
	else if (message->class == STUN_ERROR)
		reason = judge_error(probe, message);
	else if (!probe->has_key)
		reason = "allocates without a credential";
	else if (stun_address(message, STUN_XOR_RELAYED_ADDRESS, &relayed) != 0)
		reason = "allocates nothing";
	else if (ask(probe, STUN_REFRESH, on_released) != 0)
		reason = "out of memory";
	if (reason != NULL)
		finish(probe, reason);
}

static void
on_bound(const struct stun_message *message, uint32_t round_trip_us, void *arg)
{
	struct turn_probe *probe = arg;
	struct sockaddr_in6 mapped;
	bool is_legacy;

	probe->round_trip_us = round_trip_us;
	if (message == NULL)
		finish(probe, "no answer to a binding");
	else if (message->class != STUN_SUCCESS ||
		 stun_mapped_address(message, &mapped, &is_legacy) != 0)
		finish(probe, "no good answer to a binding");
	else if (probe->secret == NULL)
		finish(probe, NULL);
	else if (ask(probe, STUN_ALLOCATE, on_allocated) != 0)
		finish(probe, "out of memory");
}

int
turn_probe_start(struct loop *loop, struct metrics *metrics, const struct sockaddr_in6 *server,
		 const char *secret, turn_probe_fn fn, void *arg, struct turn_probe **ret)
{
	struct turn_probe *probe = calloc(1, sizeof(*probe));
	int error;

	if (probe == NULL)
		return -ENOMEM;
	probe->loop = loop;
	probe->server = *server;
	probe->secret = secret;
	probe->fn = fn;
	probe->arg = arg;
	probe->at = ret;
	*ret = probe;
	error = stun_socket_open(loop, metrics,
				 IN6_IS_ADDR_V4MAPPED(&server->sin6_addr) ? AF_INET : AF_INET6,
				 NULL, &probe->socket);
	if (error == 0)
		error = ask(probe, STUN_BINDING, on_bound);
	if (error != 0)
		turn_probe_stop(ret);
	return error;
}

void
turn_probe_stop(struct turn_probe **probe)
{
	struct turn_probe *stopping = *probe;

	if (stopping == NULL)
		return;
	*probe = NULL;
	stun_socket_close(&stopping->socket);
	key_wipe(&stopping->credential, sizeof(stopping->credential));
	key_wipe(stopping->key, sizeof(stopping->key));
	free(stopping);
}
