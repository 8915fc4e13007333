/*
 * leg_rig: see leg_rig.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leg_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char certificate[64], key[64], other[64], other_key[64], expired[64];
static char folder[] = "/tmp/test-leg-XXXXXX";

static void
on_state(enum leg_state state, int code, const char *reason, void *arg)
{
	struct rig *rig = arg;

	if (rig->noted_n < NOTED_MAX) {
		struct noted *noted = &rig->noted[rig->noted_n++];
		noted->state = state;
		noted->code = code;
		snprintf(noted->reason, sizeof noted->reason, "%s", reason);
	}
	if (rig->free_in_callback && state == LEG_UP)
		leg_client_free(&rig->client);
}

static void
on_message(const uint8_t *message, size_t n, void *arg)
{
	struct rig *rig = arg;

	rig->messages++;
	rig->bytes += n;
	rig->last_n = n;
	memcpy(rig->last_message, message, n);
	if (n >= 5) {
		unsigned number;
		memcpy(&number, message + 1, sizeof number);
		if (number <= rig->last)
			rig->wrong++;
		rig->last = number;
	}
}

static void
on_batch_end(void *arg)
{
	struct rig *rig = arg;

	if (rig->batches++ == 0)
		rig->first_batch_bytes = rig->bytes;
}

static void
on_left(uint32_t line, void *arg)
{
	struct rig *rig = arg;

	(void)line;
	if (rig->free_when_left)
		leg_client_free(&rig->client);
}

static void
check(struct loop *loop, void *arg)
{
	struct rig *rig = arg;

	if (rig->is_done(rig))
		loop_stop(loop);
}

static void
late(struct loop *loop, void *arg)
{
	((struct rig *)arg)->is_late = true;
	loop_stop(loop);
}

void
wait_until(struct rig *rig, bool (*is_done)(struct rig *))
{
	struct loop_timer *checker, *deadline;

	if (is_done(rig))
		return;
	rig->is_done = is_done;
	rig->is_late = false;
	assert_int_equal(loop_timer_start(rig->loop, 1, 1, check, rig, &checker), 0);
	assert_int_equal(loop_timer_start(rig->loop, DEADLINE_MS, 0, late, rig, &deadline), 0);
	assert_int_equal(loop_run(rig->loop), 0);
	loop_timer_stop(&checker);
	if (!rig->is_late)
		loop_timer_stop(&deadline);
	assert_false(rig->is_late);
}

bool
is_up(struct rig *rig)
{
	return leg_client_state(rig->client) == LEG_UP;
}

const struct noted never;

const struct noted *
first_down(struct rig *rig)
{
	for (size_t i = rig->wanted; i < rig->noted_n; i++)
		if (rig->noted[i].state == LEG_DOWN)
			return &rig->noted[i];
	return &never;
}

bool
has_gone_down(struct rig *rig)
{
	return first_down(rig) != &never;
}

bool
has_messages(struct rig *rig)
{
	return rig->messages >= rig->wanted;
}

bool
relay_has_messages(struct rig *rig)
{
	return atomic_load(&rig->relay.messages) >= rig->wanted;
}

struct rig *
rig_new_with(const struct leg_client_options *options)
{
	struct rig *rig = calloc(1, sizeof *rig);
	const struct leg_client_events events = { .on_state = on_state,
						  .on_message = on_message,
						  .on_batch_end = on_batch_end,
						  .on_left = on_left,
						  .arg = rig };

	assert_non_null(rig);
	assert_int_equal(loop_new(&rig->loop), 0);
	assert_int_equal(metrics_new("test", &rig->metrics), 0);
	assert_int_equal(leg_client_new(rig->loop, rig->metrics, options, &events, &rig->client),
			 0);
	return rig;
}

struct rig *
rig_new(const char *ca_file, uint32_t queue_bytes)
{
	const struct leg_client_options options = { .ca_file = ca_file,
						    .queue_bytes = queue_bytes,
						    .queue_age_ms = 3600 * 1000 };

	return rig_new_with(&options);
}

void
rig_free(struct rig *rig)
{
	leg_client_free(&rig->client);
	if (rig->relay.port != 0)
		stand_in_stop(&rig->relay);
	metrics_free(&rig->metrics);
	loop_free(&rig->loop);
	free(rig);
}

void
target(struct rig *rig, const char *scheme, const char *host, const char *path)
{
	char url[300];
	const char *urls[] = { url, NULL };

	snprintf(url, sizeof url, "%s://%s:%u%s", scheme, host, rig->relay.port, path);
	assert_int_equal(leg_client_target(rig->client, urls, "the-ticket"), 0);
}

struct rig *
plain(const char *path, uint32_t queue_bytes)
{
	struct rig *rig = rig_new(NULL, queue_bytes);

	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	target(rig, "ws", "127.0.0.1", path);
	return rig;
}

void
send_numbered(struct rig *rig, unsigned number, size_t n)
{
	uint8_t message[LEG_MESSAGE_MAX_BYTES] = { LEG_KIND_DATA };

	memcpy(message + 1, &number, sizeof number);
	memset(message + 5, (int)number, n - 5);
	assert_int_equal(leg_client_send(rig->client, message, n, false), 0);
}

uint64_t
figure(struct rig *rig, const char *name, const char *labels)
{
	return metric_value(metrics_counter(rig->metrics, name, labels, ""));
}

void
expect_down(const char *path, int code, const char *reason)
{
	struct rig *rig = plain(path, 0);

	wait_until(rig, has_gone_down);
	assert_int_equal(first_down(rig)->code, code);
	if (strstr(first_down(rig)->reason, reason) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", path, first_down(rig)->reason, reason);
	rig_free(rig);
}

static int
make_certificate(const char *names, const char *certificate_path, const char *key_path)
{
	char command[512];

	snprintf(command, sizeof command,
		 "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
		 "-subj /CN=relay -addext subjectAltName=%s -out %s -keyout %s 2>/dev/null",
		 names, certificate_path, key_path);
	return system(command);
}

/* The good one, had it ended yesterday. */
static int
make_expired(void)
{
	char command[512];

	snprintf(command, sizeof command,
		 "openssl x509 -in %s -signkey %s -out %s -days -1 2>/dev/null", certificate, key,
		 expired);
	return system(command);
}

int
rig_set_up(void **state)
{
	(void)state;
	const char *variables[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
				    "ALL_PROXY",  "no_proxy",	 "NO_PROXY" };

	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
		unsetenv(variables[i]);
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(certificate, sizeof certificate, "%s/relay.pem", folder);
	snprintf(key, sizeof key, "%s/relay.key", folder);
	snprintf(expired, sizeof expired, "%s/expired.pem", folder);
	snprintf(other, sizeof other, "%s/other.pem", folder);
	snprintf(other_key, sizeof other_key, "%s/other.key", folder);
	if (make_certificate("DNS:localhost,IP:127.0.0.1,IP:::1", certificate, key) != 0 ||
	    make_expired() != 0)
		return -1;
	return make_certificate("DNS:relay.example", other, other_key);
}

int
rig_tear_down(void **state)
{
	(void)state;
	unlink(certificate);
	unlink(key);
	unlink(other);
	unlink(other_key);
	unlink(expired);
	return rmdir(folder);
}
