/*
 * relay_fixture: what service_main does around an actor, by hand and in a temporary folder.
 */
#include "relay_fixture.h"

#include "relay_certificate.h"

#include "log/log.h"
#include "loop/clock.h"
#include "relay/relay_actor.h"
#include "relay/relay_control.h"
#include "service/service_bus.h"
#include "service/service_config.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void
write_config(struct relay_fixture *fixture, const char *settings)
{
	static const struct config_key *const tables[] = { relay_keys, NULL };
	char path[96], error[256] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/boson.conf", fixture->folder);
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file, "[service]\nstate = %s\nrun = %s\n[relay]\nlisten = 127.0.0.1:0\n",
		fixture->folder, fixture->folder);
	if (fixture->has_tls)
		fprintf(file, "certificate = %s\nprivate_key = %s\n", fixture->certificate,
			fixture->private_key);
	fprintf(file, "accept_rate = 0\n%s\n", settings);
	fclose(file);
	fixture->schema = calloc(1, sizeof(*fixture->schema));
	service_schema_init(fixture->schema, "boson", tables);
	if (config_load(path, &fixture->schema->schema, &fixture->config, error, sizeof(error)) !=
		    0 ||
	    service_bus_new(fixture->config, "boson", false, &fixture->endpoints, error,
			    sizeof(error)) != 0)
		fail_msg("%s", error);
}

static void
note_ports(struct relay_fixture *fixture)
{
	const struct relay_control *control = fixture->state;
	const char *udp_port = strrchr(control->udp_endpoint, ':');

	fixture->port = control->port;
	if (udp_port != NULL)
		fixture->udp_port = (uint16_t)strtoul(udp_port + 1, NULL, 10);
}

static void *
run(void *arg)
{
	struct relay_fixture *fixture = arg;
	struct metrics *metrics = NULL;
	struct bus *bus = NULL;
	int r = metrics_new("boson_relay", &metrics);

	if (r == 0)
		r = bus_new(fixture->relay_loop, metrics, "relay", NULL, &bus);
	struct actor_context context = { .name = "relay",
					 .loop = fixture->relay_loop,
					 .bus = bus,
					 .metrics = metrics,
					 .config = fixture->config,
					 .state_dir = fixture->state_dir,
					 .keys_dir = fixture->keys_dir,
					 .endpoints = fixture->endpoints };
	if (r == 0)
		r = relay_actor.start(&context, &fixture->state);
	pthread_mutex_lock(&fixture->mutex);
	fixture->context = &context;
	fixture->start_result = r;
	fixture->is_up = true;
	if (r == 0)
		note_ports(fixture);
	pthread_cond_signal(&fixture->changed);
	pthread_mutex_unlock(&fixture->mutex);
	if (r == 0) {
		loop_run(fixture->relay_loop);
		relay_actor.stop(fixture->state);
	}
	bus_free(&bus);
	metrics_free(&metrics);
	return NULL;
}

static void
open_signers(struct relay_fixture *fixture)
{
	char seed[128], public_half[128];

	assert_int_equal(mkdir(fixture->keys_dir, 0755), 0);
	snprintf(seed, sizeof(seed), "%s/node.seed", fixture->folder);
	snprintf(public_half, sizeof(public_half), "%s/ticket-node.pub", fixture->keys_dir);
	assert_int_equal(
		ticket_signer_open(seed, public_half, TICKET_ROLE_NODE, &fixture->node_signer), 0);
	snprintf(seed, sizeof(seed), "%s/session.seed", fixture->folder);
	snprintf(public_half, sizeof(public_half), "%s/ticket-session.pub", fixture->keys_dir);
	assert_int_equal(ticket_signer_open(seed, public_half, TICKET_ROLE_SESSION,
					    &fixture->session_signer),
			 0);
}

static void
make_folder(struct relay_fixture *fixture, bool has_tls)
{
	memset(fixture, 0, sizeof(*fixture));
	signal(SIGPIPE, SIG_IGN); /* as service_main does */
	log_init("test", getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	strcpy(fixture->folder, "/tmp/boson-relay-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(fixture->state_dir, sizeof(fixture->state_dir), "%s/relay", fixture->folder);
	snprintf(fixture->keys_dir, sizeof(fixture->keys_dir), "%s/keys", fixture->folder);
	assert_int_equal(mkdir(fixture->state_dir, 0700), 0);
	fixture->has_tls = has_tls;
	snprintf(fixture->certificate, sizeof(fixture->certificate), "%s/tls.pem", fixture->folder);
	snprintf(fixture->private_key, sizeof(fixture->private_key), "%s/tls.key", fixture->folder);
	relay_certificate_write(fixture->certificate, fixture->private_key);
}

static void
start_actor(struct relay_fixture *fixture)
{
	pthread_mutex_init(&fixture->mutex, NULL);
	pthread_cond_init(&fixture->changed, NULL);
	assert_int_equal(loop_new(&fixture->relay_loop), 0);
	assert_int_equal(pthread_create(&fixture->thread, NULL, run, fixture), 0);
	pthread_mutex_lock(&fixture->mutex);
	while (!fixture->is_up)
		pthread_cond_wait(&fixture->changed, &fixture->mutex);
	pthread_mutex_unlock(&fixture->mutex);
	assert_int_equal(fixture->start_result, 0);
}

void
relay_fixture_prepare(struct relay_fixture *fixture, bool has_tls, const char *settings)
{
	make_folder(fixture, has_tls);
	write_config(fixture, settings);
	open_signers(fixture);
}

void
relay_fixture_start(struct relay_fixture *fixture, bool has_tls, const char *settings)
{
	relay_fixture_prepare(fixture, has_tls, settings);
	start_actor(fixture);
	relay_fixture_open_bus(fixture);
}

void
relay_fixture_start_beside(struct relay_fixture *fixture, const struct relay_fixture *first,
			   bool has_tls, const char *settings)
{
	make_folder(fixture, has_tls);
	write_config(fixture, settings);
	strcpy(fixture->keys_dir, first->keys_dir);
	fixture->node_signer = first->node_signer;
	fixture->session_signer = first->session_signer;
	fixture->has_borrowed = true;
	start_actor(fixture);
	relay_fixture_open_bus(fixture);
}

static void
remove_folder(const char *path)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	char inside[512];

	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name);
		if (unlink(inside) < 0)
			remove_folder(inside);
	}
	if (folder != NULL)
		closedir(folder);
	rmdir(path);
}

void
relay_fixture_stop(struct relay_fixture *fixture)
{
	relay_fixture_close_bus(fixture);
	loop_stop(fixture->relay_loop);
	pthread_join(fixture->thread, NULL);
	loop_free(&fixture->relay_loop);
	pthread_mutex_destroy(&fixture->mutex);
	pthread_cond_destroy(&fixture->changed);
	relay_fixture_remove(fixture);
}

int
relay_fixture_tear_down(void **state)
{
	relay_fixture_stop(*state);
	return 0;
}

void
relay_fixture_remove(struct relay_fixture *fixture)
{
	if (!fixture->has_borrowed) {
		ticket_signer_free(&fixture->node_signer);
		ticket_signer_free(&fixture->session_signer);
	}
	service_bus_free(&fixture->endpoints);
	config_free(&fixture->config);
	free(fixture->schema);
	remove_folder(fixture->folder);
}

static void
call_drain(struct loop *loop, void *arg)
{
	struct relay_fixture *fixture = arg;

	(void)loop;
	relay_actor.drain(fixture->state);
}

void
relay_fixture_drain(struct relay_fixture *fixture)
{
	assert_int_equal(loop_post(fixture->relay_loop, call_drain, fixture), 0);
}

void
relay_fixture_ticket(const struct relay_fixture *fixture, const uint8_t node_id[UUID_BYTES],
		     const uint8_t *session_id, int64_t expires_in_ms, uint32_t rate_kbytes,
		     char ret_text[TICKET_TEXT_MAX_BYTES])
{
	struct ticket ticket = { .role = session_id ? TICKET_ROLE_SESSION : TICKET_ROLE_NODE,
				 .group = "default",
				 .not_before_ms = clock_wall_ms() - 3600 * 1000,
				 .expires_at_ms = clock_wall_ms() + expires_in_ms,
				 .rate_kbytes = rate_kbytes };

	memcpy(ticket.node_id, node_id, UUID_BYTES);
	if (session_id != NULL)
		memcpy(ticket.session_id, session_id, UUID_BYTES);
	assert_int_equal(ticket_sign(session_id ? fixture->session_signer : fixture->node_signer,
				     &ticket, ret_text),
			 0);
}
