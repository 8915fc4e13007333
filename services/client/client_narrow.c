/*
 * client_narrow: a path that swallows full packets by UDP while small ones pass (F28). While
 * packets go by UDP it sends echoes to the node's address in the tunnel, as client_width.c says;
 * when the path is narrow, they go by the leg, whose segments are shorter. Where there is no leg,
 * UDP is better than nothing, and the person is told.
 */
#include "client/client_session.h"
#include "client/client_udp.h"
#include "log/log.h"

#include <string.h>

enum {
	SHUN_MS = 30 * 60 * 1000, /* a leg that had to be made anew ends it, too */
	IDLE_MS = 1000,		  /* until the next look for traffic */
};

static void arm(struct session *session, int64_t at_least_ms);

static void
send_echoes(struct session *session, enum width_echoes echoes, uint16_t sequence)
{
	const struct client_echo *echo = &session->echo;
	int r = 0;

	if (echoes == WIDTH_PAIR)
		r = client_echo_send(echo, sequence, session->route.mtu);
	if (r == 0)
		r = client_echo_send(echo, sequence, ECHO_BYTES_MIN);
	if (r < 0)
		log_debug("echo_not_sent", "error=%s", strerror(-r));
	session->echo_sent = client_udp_data_sent(session->udp) + (echoes == WIDTH_PAIR ? 2 : 1);
}

static void
on_due(struct loop *loop, void *arg)
{
	struct session *session = arg;
	uint16_t sequence;
	bool has_traffic = client_udp_data_sent(session->udp) > session->echo_sent;
	enum width_echoes echoes =
		client_width_due(&session->width, has_traffic, loop_now_ms(loop), &sequence);

	session->echo_due = NULL;
	if (echoes != WIDTH_NONE)
		send_echoes(session, echoes, sequence);
	arm(session, echoes != WIDTH_NONE ? 0 : IDLE_MS);
}

static void
arm(struct session *session, int64_t at_least_ms)
{
	int64_t wait_ms = session->width.next_ms - loop_now_ms(session->loop);

	loop_timer_stop(&session->echo_due);
	int r = loop_timer_start(session->loop, wait_ms > at_least_ms ? wait_ms : at_least_ms, 0,
				 on_due, session, &session->echo_due);
	if (r < 0)
		log_warn("echo_timer", "error=%s", strerror(-r));
}

/* Narrow, and there is something better. The node sends where it heard us last: an echo, which is
 * on its way through WireGuard while we turn, tells it of the leg. */
static void
leave_udp(struct session *session)
{
	if (!session->is_narrow || !client_udp_is_up(session->udp) ||
	    leg_client_state(session->leg) != LEG_UP)
		return;
	client_echo_send(&session->echo, session->width.sequence, ECHO_BYTES_MIN);
	client_udp_shun(session->udp, SHUN_MS);
}

static void
on_echo(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct session *session = arg;
	bool was_narrow = session->is_narrow;
	uint16_t sequence;
	size_t bytes;

	(void)fd;
	(void)events;
	while (client_echo_receive(&session->echo, &sequence, &bytes))
		client_width_heard(&session->width, sequence, bytes >= session->route.mtu,
				   loop_now_ms(loop));
	session->is_narrow = client_width_is_narrow(&session->width);
	if (session->is_narrow && !was_narrow)
		client_say(session->voice, "UDP loses packets of %u bytes on its way",
			   session->route.mtu);
	arm(session, 0);
	leave_udp(session);
}

static void
stop(struct session *session)
{
	loop_timer_stop(&session->echo_due);
	loop_fd_remove(&session->echo_watch);
	client_echo_close(&session->echo);
}

static void
start(struct session *session)
{
	const struct client_route *route = &session->route;

	if (route->dns_n == 0)
		return;
	if (strcmp(session->echo_node, route->node_id) != 0)
		client_width_init(&session->width);
	memcpy(session->echo_node, route->node_id, sizeof session->echo_node);
	/* What answers names is the node's own address. */
	int r = client_echo_open(&session->echo, route->dns[0], session->options->interface);
	if (r == 0)
		r = loop_fd_add(session->loop, session->echo.fd, EPOLLIN, on_echo, session,
				&session->echo_watch);
	if (r < 0) {
		log_info("no_echoes", "error=%s", strerror(-r));
		stop(session);
		return;
	}
	session->is_narrow = false;
	session->echo_sent = client_udp_data_sent(session->udp);
	client_width_start(&session->width, loop_now_ms(session->loop));
	on_due(session->loop, session);
}

void
session_narrow_init(struct session *session)
{
	session->echo.fd = -1;
}

void
session_narrow_fini(struct session *session)
{
	stop(session);
}

void
session_narrow_udp(struct session *session, bool is_up)
{
	stop(session);
	if (is_up)
		start(session);
}

void
session_narrow_leg(struct session *session)
{
	leave_udp(session);
}
