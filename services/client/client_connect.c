/*
 * client_connect: see the header. Starts and ends a session; what lies between is in client_ask.c
 * and client_carry.c.
 */
#include "client/client_connect.h"

#include "client/client_exit.h"
#include "client/client_session.h"
#include "log/log.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { START_MAX_MS = 30 * 1000 };

static void
stop(struct session *session, int status)
{
	if (session->phase == SESSION_STOPPING)
		return;
	session->phase = SESSION_STOPPING;
	session->exit_status = status;
	loop_timer_stop(&session->handshake);
	loop_timer_stop(&session->deadline);
	loop_timer_stop(&session->renewal);
	session_find_stop(session);
	session_say_goodbye(session);
}

void
session_fail(struct session *session, int status, const char *format, ...)
{
	char text[CLIENT_TEXT_BYTES];
	va_list arguments;

	if (session->phase == SESSION_STOPPING)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	client_say_error(session->voice, "%s", text);
	stop(session, status);
}

static void
on_deadline(struct loop *loop, void *arg)
{
	struct session *session = arg;

	(void)loop;
	session->deadline = NULL;
	if (session->phase == SESSION_SHAKING)
		session_fail(session, EXIT_TRY_LATER,
			     "the node does not answer through the relay; try again");
	else if (session->phase == SESSION_ATTACHING)
		session_fail(session, EXIT_TRY_LATER,
			     "cannot attach to the relay %s: %s; try again", session->relay,
			     session->leg_reason[0] != '\0' ? session->leg_reason : "no answer");
	else
		session_fail(session, EXIT_TRY_LATER, "no route within %d s; try again",
			     START_MAX_MS / 1000);
}

static void
on_signal(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct session *session = arg;
	struct signalfd_siginfo info;
	bool is_start = session->phase < SESSION_CONNECTED;

	(void)loop;
	(void)events;
	if (read(fd, &info, sizeof info) != sizeof info || info.ssi_signo == SIGHUP)
		return;
	if (session->phase == SESSION_STOPPING) {
		loop_stop(session->loop); /* a second time: do not wait for the farewell */
		return;
	}
	client_say(session->voice,
		   is_start ? "interrupted; putting everything back" : "disconnecting");
	stop(session, is_start ? EXIT_INTERRUPTED : EXIT_OK);
}

static size_t
on_control(const char *command, char *ret_answer, size_t capacity, void *arg)
{
	struct session *session = arg;

	if (strcmp(command, "status") == 0)
		return session_report(session, ret_answer, capacity);
	if (strcmp(command, "disconnect") == 0) {
		if (session->phase < SESSION_CONNECTED)
			client_say_error(session->voice, "disconnected by `higgs disconnect`");
		stop(session, session->phase < SESSION_CONNECTED ? EXIT_INTERRUPTED : EXIT_OK);
		return 0;
	}
	return (size_t)snprintf(ret_answer, capacity, "{\"error\":\"unknown command\"}\n");
}

static void
ask_server(struct session *session)
{
	const struct client_pin *pin = &session->pins.pins[0];
	int r = http_client_pin(session->http, pin->host, pin->port, pin->address);

	if (r < 0) {
		session_fail(session, EXIT_SYSTEM, "%s", strerror(-r));
		return;
	}
	client_say(session->voice, "asking %s for a route", session->options->server);
	session_ask(session);
}

static void
on_server_found(const struct sockaddr_storage *addresses, size_t n, const char *error, void *arg)
{
	struct session *session = arg;

	if (client_pins_set_found(&session->pins, addresses, n) == 0)
		ask_server(session);
	else
		session_fail(session, EXIT_TRY_LATER,
			     "cannot find %s: %s; is this machine online? try again in 5 s",
			     session->pins.pins[0].host, error);
}

/* Names first: with the rules up no resolver can be reached but the tunnel's. */
static void
find_server(struct session *session)
{
	int r = client_pins_add_url(&session->pins, session->options->server);
	const struct client_pin *pin = client_pins_unresolved(&session->pins);

	if (r == 0 && pin == NULL) {
		ask_server(session);
		return;
	}
	if (r == 0)
		r = session_find(session, pin, on_server_found);
	if (r < 0)
		session_fail(session, EXIT_SYSTEM, "%s", strerror(-r));
}

static int
watch_signals(struct session *session)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGHUP);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	signal(SIGPIPE, SIG_IGN);
	session->signal_fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	return session->signal_fd < 0 ? -errno
				      : loop_fd_add(session->loop, session->signal_fd, EPOLLIN,
						    on_signal, session, &session->signals);
}

static int
session_init(struct session *session)
{
	int r = loop_new(&session->loop);

	if (r == 0)
		r = metrics_new("higgs_client", &session->metrics);
	if (r == 0)
		r = watch_signals(session);
	if (r == 0)
		r = key_generate(&session->private_key);
	if (r == 0)
		r = key_public(&session->private_key, &session->public_key);
	if (r == 0)
		r = http_client_new(session->loop, session->options->ca_file, &session->http);
	if (r == 0)
		r = session_carry_init(session);
	if (r == 0)
		r = client_control_new(session->loop, session->options->state_dir, on_control,
				       session, &session->control);
	if (r == 0)
		r = loop_timer_start(session->loop, START_MAX_MS, 0, on_deadline, session,
				     &session->deadline);
	return r;
}

static void
session_fini(struct session *session)
{
	http_client_free(&session->http);
	client_claim_fini(&session->claim);
	leg_client_free(&session->leg);
	session_watch_fini(session);
	session_path_fini(session);
	client_tunnel_free(&session->tunnel);
	if (session->control != NULL)
		client_control_answer(session->control, "{\"state\":\"disconnected\"}\n");
	client_control_free(&session->control);
	session_find_stop(session);
	loop_timer_stop(&session->handshake);
	loop_timer_stop(&session->deadline);
	loop_timer_stop(&session->renewal);
	loop_timer_stop(&session->farewell);
	loop_fd_remove(&session->signals);
	if (session->signal_fd >= 0)
		close(session->signal_fd);
	metrics_free(&session->metrics);
	if (session->loop != NULL)
		loop_free(&session->loop);
	key_wipe(&session->private_key, sizeof session->private_key);
	client_route_wipe(&session->route);
	client_route_wipe(&session->next);
}

int
client_connect_run(const struct client_connect_options *options)
{
	struct session *session = calloc(1, sizeof *session);
	int status = EXIT_SYSTEM;

	if (session == NULL)
		return EXIT_SYSTEM;
	session->options = options->options;
	session->access_key = options->access_key;
	session->client_id = options->client_id;
	session->voice = options->voice;
	session->signal_fd = -1;
	session->exit_status = EXIT_SYSTEM;
	if (client_tunnel_remove_leftovers(session->options->state_dir, "/etc/resolv.conf") > 0)
		client_say(session->voice, "removed what a session that was killed had left");
	int r = session_init(session);
	if (r < 0) {
		client_say_error(session->voice, "cannot start: %s", strerror(-r));
	} else {
		find_server(session);
		r = loop_run(session->loop);
		status = r < 0 ? EXIT_SYSTEM : session->exit_status;
	}
	session_fini(session);
	if (status == EXIT_OK && session->voice->is_foreground)
		client_say(session->voice, "disconnected; everything is as it was");
	client_voice_end(session->voice, status);
	free(session);
	return status;
}
