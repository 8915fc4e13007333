/*
 * client_commands: connect up to its session, disconnect and status by the control socket.
 */
#include "client/client_commands.h"

#include "client/client_connect.h"
#include "client/client_control.h"
#include "client/client_exit.h"
#include "client/client_state.h"
#include "client/client_tunnel.h"

#include <cap-ng.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REFUSED = -1, ASKED = 0 };

static bool
may_change_network(void)
{
	return capng_get_caps_process() == 0 &&
	       capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN);
}

static int
complain_no_capability(void)
{
	client_complain("this needs CAP_NET_ADMIN: run it with sudo");
	return EXIT_NOT_PERMITTED;
}

/* The folder there, its path absolute, and what must be readable readable. */
static int
prepare(struct client_options *options, char access_key[CLIENT_ACCESS_KEY_BYTES])
{
	char error[CLIENT_TEXT_BYTES], shown[CLIENT_TEXT_BYTES / 2];

	int status = client_access_key_read(options->key_file, access_key, error, sizeof error);
	if (status != 0) {
		client_complain("%s", error);
		return status;
	}
	int r = client_state_open(options->state_dir);
	if (r < 0 || realpath(options->state_dir, options->state_path) == NULL) {
		client_complain("cannot make the state folder %s: %s; another with --state",
				client_escape(options->state_dir, shown, sizeof shown),
				strerror(r < 0 ? -r : errno));
		return EXIT_CANNOT_CREATE;
	}
	options->state_dir = options->state_path;
	if (options->ca_file == NULL)
		return 0;
	if (realpath(options->ca_file, options->ca_path) == NULL) {
		client_complain("%s: %s; --ca takes a file of certificates",
				client_escape(options->ca_file, shown, sizeof shown),
				strerror(errno));
		return EXIT_NO_INPUT;
	}
	options->ca_file = options->ca_path;
	return 0;
}

static int
run_session(const struct client_options *options, const char *access_key, const char *client_id)
{
	char log_path[CLIENT_PATH_BYTES];
	struct client_voice voice = { .fd = -1, .is_foreground = true };
	const struct client_connect_options session = { .options = options,
							.access_key = access_key,
							.client_id = client_id,
							.voice = &voice };
	int status = EXIT_SYSTEM, r = 1;

	if (!options->foreground) {
		r = client_state_path(options->state_dir, "client.log", log_path);
		if (r == 0)
			r = client_voice_split(&voice, log_path, &status);
	}
	if (r < 0) {
		client_complain("cannot start: %s", strerror(-r));
		return EXIT_SYSTEM;
	}
	return r == 0 ? status : client_connect_run(&session);
}

int
client_command_connect(struct client_options *options)
{
	char client_id[UUID_TEXT_BYTES], access_key[CLIENT_ACCESS_KEY_BYTES];
	struct client_lock lock;

	if (!may_change_network())
		return complain_no_capability();
	int status = prepare(options, access_key);
	if (status != 0)
		return status;
	int r = client_lock_take(options->state_dir, &lock);
	if (r == -EAGAIN) {
		client_complain("a client runs here already; `higgs status` tells, `higgs "
				"disconnect` ends it");
		status = EXIT_TRY_LATER;
	} else if (r < 0) {
		client_complain("cannot lock the state folder: %s", strerror(-r));
		status = EXIT_CANNOT_CREATE;
	} else {
		r = client_state_id(options->state_dir, client_id);
		status = EXIT_IO;
		if (r < 0)
			client_complain("cannot keep the client's id: %s", strerror(-r));
		else
			status = run_session(options, access_key, client_id);
		client_lock_release(&lock);
	}
	key_wipe(access_key, sizeof access_key);
	return status;
}

/* Asks the running client. ASKED and its answer, or REFUSED and an exit status; -ENOENT stays for
 * the caller. */
static int
ask(const struct client_options *options, const char *command, char *ret_answer, size_t capacity,
    int *ret_status)
{
	int r = client_control_ask(options->state_dir, command, ret_answer, capacity);

	switch (-r) {
	case 0:
		return ASKED;
	case ENOENT:
	case ENOTDIR:
		return -ENOENT;
	case EACCES:
		client_complain(
			"only root and the account that connected may ask: run it with sudo");
		*ret_status = EXIT_NOT_PERMITTED;
		return REFUSED;
	case EPERM:
		client_complain("the control socket belongs to another account");
		*ret_status = EXIT_NOT_PERMITTED;
		return REFUSED;
	default:
		client_complain("the running client does not answer as it should: %s",
				strerror(-r));
		*ret_status = r == -ETIMEDOUT ? EXIT_TRY_LATER : EXIT_PROTOCOL_WRONG;
		return REFUSED;
	}
}

/* Nobody runs; one that was killed may have left the kill switch up. */
static int
disconnect_leftovers(const struct client_options *options)
{
	struct client_lock lock;

	if (!may_change_network())
		return complain_no_capability();
	int r = client_lock_take(options->state_dir, &lock);
	if (r == -EAGAIN) {
		client_complain("a client is being started or stopped; try again");
		return EXIT_TRY_LATER;
	}
	if (r < 0) { /* no folder: nobody ever connected */
		printf("not connected\n");
		return EXIT_OK;
	}
	int n = client_tunnel_remove_leftovers(options->state_dir, "/etc/resolv.conf");
	client_lock_release(&lock);
	printf(n > 0 ? "removed what a session that was killed had left\n" : "not connected\n");
	return EXIT_OK;
}

int
client_command_disconnect(const struct client_options *options)
{
	char answer[CONTROL_ANSWER_BYTES];
	int status = EXIT_OK, r = ask(options, "disconnect", answer, sizeof answer, &status);

	if (r == REFUSED)
		return status;
	if (r < 0)
		return disconnect_leftovers(options);
	printf("disconnected; everything is as it was\n");
	return EXIT_OK;
}

static const char *
text_of(json_t *report, const char *name)
{
	static char shown[4][CLIENT_TEXT_BYTES / 2];
	static unsigned at;
	const char *text = json_string_value(json_object_get(report, name));

	return client_escape(text != NULL ? text : "-", shown[at++ % 4], sizeof shown[0]);
}

static void
print_since(json_int_t wall_ms)
{
	time_t at = (time_t)(wall_ms / 1000);
	char text[32] = "";
	struct tm tm;

	if (wall_ms > 0 && localtime_r(&at, &tm) != NULL &&
	    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) > 0)
		printf("  since      %s\n", text);
}

static void
print_report(json_t *report)
{
	json_int_t handshake = json_integer_value(json_object_get(report, "lastHandshakeSec"));
	json_t *address6 = json_object_get(report, "address6");

	printf("%s\n", text_of(report, "state"));
	printf("  node       %s (%s)\n", text_of(report, "nodeId"),
	       json_object_get(report, "country") != NULL ? text_of(report, "country")
							  : "country unknown");
	printf("  address    %s%s%s\n", text_of(report, "address4"), address6 != NULL ? ", " : "",
	       address6 != NULL ? text_of(report, "address6") : "");
	printf("  relay      %s, by %s%s\n", text_of(report, "relayEndpoint"),
	       strcmp(text_of(report, "carriedBy"), "udp") == 0 ? "UDP" : "WebSocket",
	       json_is_true(json_object_get(report, "udpLosesLongPackets"))
		       ? "; UDP loses long packets on this path"
		       : "");
	printf("  interface  %s, kill switch %s\n", text_of(report, "interface"),
	       json_is_true(json_object_get(report, "killSwitch")) ? "on" : "off");
	printf("  received   %" JSON_INTEGER_FORMAT " bytes\n",
	       json_integer_value(json_object_get(report, "rxBytes")));
	printf("  sent       %" JSON_INTEGER_FORMAT " bytes\n",
	       json_integer_value(json_object_get(report, "txBytes")));
	printf("  lost here  %" JSON_INTEGER_FORMAT " datagrams up, %" JSON_INTEGER_FORMAT
	       " down; %" JSON_INTEGER_FORMAT " attempts to connect the leg\n",
	       json_integer_value(json_object_get(report, "lostUp")),
	       json_integer_value(json_object_get(report, "lostDown")),
	       json_integer_value(json_object_get(report, "legAttempts")));
	if (handshake > 0)
		printf("  handshake  %" JSON_INTEGER_FORMAT " s ago\n", time(NULL) - handshake);
	else
		printf("  handshake  none yet\n");
	print_since(json_integer_value(json_object_get(report, "connectedAt")));
	if (json_object_get(report, "reason") != NULL)
		printf("  the leg    %s\n", text_of(report, "reason"));
}

static int
status_stopped(const struct client_options *options)
{
	char interface[16];

	if (options->json) {
		printf("{\"state\":\"disconnected\"}\n");
		return EXIT_NOT_CONNECTED;
	}
	printf("not connected\n");
	client_state_noted_interface(options->state_dir, interface);
	if (interface[0] != '\0')
		printf("a session was killed and its kill switch may still hold; "
		       "`higgs disconnect` removes it\n");
	return EXIT_NOT_CONNECTED;
}

int
client_command_status(const struct client_options *options)
{
	char answer[CONTROL_ANSWER_BYTES];
	int status = EXIT_OK, r = ask(options, "status", answer, sizeof answer, &status);

	if (r == REFUSED)
		return status;
	if (r < 0)
		return status_stopped(options);
	json_t *report = json_loads(answer, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(report) || !json_is_string(json_object_get(report, "state"))) {
		client_complain("the running client does not answer as it should; is it another "
				"version?");
		status = EXIT_PROTOCOL_WRONG;
	} else if (options->json) {
		printf("%s", answer);
	} else {
		print_report(report);
	}
	json_decref(report);
	return status;
}
