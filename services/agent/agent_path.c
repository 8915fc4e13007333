/* agent_path: one question after the other, on one socket. */
#include "agent/agent_path.h"

#include "stun/stun_socket.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { QUESTIONS = 10, TIMEOUT_MS = 1000, PAUSE_MS = 100 };

struct path {
	struct loop *loop;
	struct stun_socket *socket;
	struct sockaddr_in6 server;
	struct loop_timer *timer;
	unsigned asked, answered;
	double sum_ms, last_ms, differences_ms;
	path_fn fn;
	void *arg;
	struct path **at; /* where the caller keeps us */
};

static void
finish(struct path *path)
{
	struct path_figures figures = { .has_latency = path->answered > 0 };
	path_fn fn = path->fn;
	void *arg = path->arg;

	if (path->answered > 0)
		figures.latency_ms = path->sum_ms / path->answered;
	if (path->answered > 1)
		figures.jitter_ms = path->differences_ms / (path->answered - 1);
	figures.loss_percent =
		path->asked == 0 ? 0 : 100.0 * (path->asked - path->answered) / path->asked;
	path_stop(path->at);
	fn(&figures, arg);
}

static void ask(struct loop *loop, void *arg);

static void
on_answer(const struct stun_message *message, uint32_t round_trip_us, void *arg)
{
	struct path *path = arg;
	double now_ms = (double)round_trip_us / 1000;

	if (message != NULL) {
		if (path->answered > 0)
			path->differences_ms += fabs(now_ms - path->last_ms);
		path->last_ms = now_ms;
		path->sum_ms += now_ms;
		path->answered++;
	}
	if (path->asked == QUESTIONS ||
	    loop_timer_start(path->loop, PAUSE_MS, 0, ask, path, &path->timer) != 0)
		finish(path);
}

static void
ask(struct loop *loop, void *arg)
{
	struct path *path = arg;
	struct stun_question question = { .to = path->server,
					  .timeout_ms = TIMEOUT_MS,
					  .is_once = true };
	uint8_t transaction[STUN_TRANSACTION_BYTES];
	struct stun_writer request;

	(void)loop;
	path->timer = NULL; /* it was for once */
	if (stun_transaction_make(transaction) == 0) {
		stun_begin(&request, STUN_REQUEST, STUN_BINDING, transaction);
		question.request = &request;
		if (stun_finish(&request, NULL, 0) == 0 &&
		    stun_socket_ask(path->socket, &question, on_answer, path) == 0) {
			path->asked++;
			return;
		}
	}
	finish(path);
}

int
path_start(struct loop *loop, struct metrics *metrics, const struct sockaddr_in6 *server,
	   path_fn fn, void *arg, struct path **ret)
{
	struct path *path = calloc(1, sizeof(*path));
	int error;

	if (path == NULL)
		return -ENOMEM;
	path->loop = loop;
	path->server = *server;
	path->fn = fn;
	path->arg = arg;
	path->at = ret;
	*ret = path;
	error = stun_socket_open(loop, metrics,
				 IN6_IS_ADDR_V4MAPPED(&server->sin6_addr) ? AF_INET : AF_INET6,
				 NULL, &path->socket);
	if (error == 0)
		error = loop_timer_start(loop, 0, 0, ask, path, &path->timer);
	if (error != 0)
		path_stop(ret);
	return error;
}

void
path_stop(struct path **path)
{
	struct path *stopping = *path;

	if (stopping == NULL)
		return;
	*path = NULL;
	loop_timer_stop(&stopping->timer);
	stun_socket_close(&stopping->socket);
	free(stopping);
}
