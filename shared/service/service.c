/*
 * service: service_main: arguments, configuration, folders, admin address, then the phases of the
 * actors, and all of it undone in reverse.
 */
#include "service/service.h"

#include "log/log.h"
#include "loop/clock.h"
#include "service/service_admin.h"
#include "service/service_arguments.h"
#include "service/service_bus.h"
#include "service/service_config.h"
#include "service/service_folders.h"
#include "service/service_health.h"
#include "service/service_phases.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { ACTORS_MAX = 8, ERROR_BYTES = 512, HOST_BYTES = 256 };

struct service {
	const struct program *program;
	const char *product;
	struct service_arguments arguments;
	struct service_schema schema;
	struct config *config;
	struct service_bus *bus;
	struct service_actor actors[ACTORS_MAX];
	size_t n;
	char keys_dir[PATH_MAX];
	struct loop *loop;
	struct service_health health;
	struct service_admin *admin;
	struct service_phases phases;
	char error[ERROR_BYTES];
};

static const struct service_admin_route routes[] = {
	{ "/health/live", "application/json", service_health_live },
	{ "/health/ready", "application/json", service_health_ready },
	{ "/metrics", "text/plain; version=0.0.4; charset=utf-8", service_health_metrics },
	{ 0 },
};

/* A mailbox of ours that others look for under another key than it answers with is deaf. */
static int
check_own_keys(struct service *service)
{
	const struct bus_security *security = service_bus_security(service->bus);

	for (size_t i = 0; i < service->n && security != NULL; i++) {
		const char *name = service->program->actors[i]->name;
		const char *key = service_bus_server_key(service->bus, name);

		if (key == NULL || strcmp(key, security->public_key) == 0)
			continue;
		snprintf(service->error, ERROR_BYTES,
			 "[bus] %s_key is not the public key of curve_secret (that is %s)", name,
			 security->public_key);
		return EX_CONFIG;
	}
	return EX_OK;
}

static int
load_config(struct service *service)
{
	const struct program *program = service->program;
	int result = config_load(service->arguments.config_path, &service->schema.schema,
				 &service->config, service->error, ERROR_BYTES);

	if (result == EX_OK)
		result = service_bus_new(service->config, service->product, program->inproc_default,
					 &service->bus, service->error, ERROR_BYTES);
	for (size_t i = 0; i < service->n && result == EX_OK; i++)
		result = service_bus_check_own(service->bus, program->actors[i]->name, service->n,
					       service->error, ERROR_BYTES);
	if (result == EX_OK)
		result = check_own_keys(service);
	for (size_t i = 0; i < service->n && result == EX_OK; i++)
		if (program->actors[i]->check != NULL)
			result = program->actors[i]->check(service->config, service->error,
							   ERROR_BYTES);
	return result;
}

/* The configured level, and one more for each -v. */
static void
start_log(const struct service *service)
{
	enum log_level level = LOG_LEVEL_INFO;
	int verbosity = service->arguments.verbosity;

	log_level_parse(config_string(service->config, "log", "level"), &level);
	while (verbosity-- > 0 && level < LOG_LEVEL_DEBUG)
		level++;
	log_init(service->n == 1 ? service->program->actors[0]->name : service->program->name,
		 level);
}

static int
make_folders(struct service *service)
{
	const char *state = config_string(service->config, "service", "state");
	int result;

	if ((size_t)snprintf(service->keys_dir, PATH_MAX, "%s/keys", state) >= PATH_MAX)
		return EX_CANTCREAT;
	result = service_folders_make(state, config_string(service->config, "service", "run"),
				      service->error, ERROR_BYTES);
	for (size_t i = 0; i < service->n && result == EX_OK; i++) {
		struct service_actor *actor = &service->actors[i];

		result = service_actor_init(actor, service->program->actors[i], service->config,
					    service->keys_dir, service->error, ERROR_BYTES);
		actor->context.endpoints = service->bus;
		actor->security = service_bus_security(service->bus);
	}
	return result;
}

/* [admin] has a key for each actor, and one for bosond. */
static int
start_admin(struct service *service)
{
	const char *key =
		service->n == 1 ? service->program->actors[0]->name : service->program->name;
	char host[HOST_BYTES];
	uint16_t port = 0;

	service->health = (struct service_health){
		.actors = service->actors,
		.n = service->n,
		.product = service->product,
		.started_at_ms = clock_wall_ms(),
	};
	config_address(service->config, "admin", key, host, sizeof(host), &port);
	if (host[0] == '\0') /* off */
		return EX_OK;
	return service_admin_new(service->loop, host, port, routes, SERVICE_ADMIN_DEADLINE_MS,
				 &service->health, &service->admin, service->error, ERROR_BYTES);
}

static void
on_phase(enum service_phase phase, void *arg)
{
	struct service *service = arg;

	switch (phase) {
	case SERVICE_STARTING:
		service->health.unready_all = "starting";
		log_info("service_starting", "version=%s actors=%zu", BOSON_VERSION, service->n);
		break;
	case SERVICE_RUNNING:
		service->health.unready_all = NULL;
		log_info("service_running", "actors=%zu", service->n);
		break;
	case SERVICE_DRAINING:
		service->health.unready_all = "draining";
		log_info("service_draining", "at_most_ms=%lld",
			 (long long)service->phases.drain_ms);
		break;
	case SERVICE_STOPPING:
		service->health.unready_all = "stopping";
		log_info("service_stopping", "exit_code=%d", service->phases.exit_code);
		break;
	}
}

static int
start(struct service *service)
{
	int result = make_folders(service);

	if (result != EX_OK)
		return result;
	service_limits_raise();
	if (loop_new(&service->loop) < 0) {
		snprintf(service->error, ERROR_BYTES, "no event loop");
		return EX_OSERR;
	}
	service->phases = (struct service_phases){
		.loop = service->loop,
		.actors = service->actors,
		.n = service->n,
		.drain_ms = config_int(service->config, "service", "drain"),
		.on_phase = on_phase,
		.arg = service,
		.signal_fd = -1,
	};
	if (service_phases_init(&service->phases) < 0) {
		snprintf(service->error, ERROR_BYTES, "no descriptor for signals");
		return EX_OSERR;
	}
	return start_admin(service);
}

static void
undo(struct service *service)
{
	service_admin_free(&service->admin);
	if (service->loop != NULL)
		service_phases_fini(&service->phases);
	for (size_t i = service->n; i-- > 0;)
		if (service->actors[i].actor != NULL)
			service_actor_fini(&service->actors[i]);
	loop_free(&service->loop);
	service_bus_free(&service->bus);
	config_free(&service->config);
}

static int
run(struct service *service)
{
	int result = load_config(service);

	if (result == EX_OK && service->arguments.is_check_only) {
		printf("%s: the configuration is good\n", service->program->name);
		return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
	}
	if (result == EX_OK) {
		start_log(service);
		/* Before there are threads: CZMQ makes its context on first use, without a lock.
		 * Its signal handlers would fight ours. */
		zsys_init();
		zsys_handler_set(NULL);
		result = start(service);
	}
	if (result != EX_OK) {
		fprintf(stderr, "%s: %s\n", service->program->name, service->error);
		return result;
	}
	return service_phases_run(&service->phases);
}

int
service_main(int argc, char **argv, const struct program *program)
{
	const struct config_key *tables[ACTORS_MAX + 1] = { NULL };
	size_t tables_n = 0;
	struct service *service = calloc(1, sizeof(*service));
	int result;

	if (service == NULL)
		return EX_OSERR;
	service->program = program;
	service->product = program->actors[0]->product;
	for (; program->actors[service->n] != NULL; service->n++) {
		assert(service->n < ACTORS_MAX);
		if (program->actors[service->n]->keys != NULL)
			tables[tables_n++] = program->actors[service->n]->keys;
	}
	service_schema_init(&service->schema, service->product, tables);
	result =
		service_arguments_parse(argc, argv, program, &service->schema, &service->arguments);
	if (result < 0)
		result = run(service);
	undo(service);
	free(service);
	return result;
}
