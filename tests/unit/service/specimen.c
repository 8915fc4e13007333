/*
 * specimen: a program as any service's, whose actors do what their section says, good or bad, and
 * log each step. Built with one actor (service_specimen) and with three (service_specimens).
 */
#include "log/log.h"
#include "service/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

struct specimen {
	const struct actor_context *context;
	const char *behaviour;
	struct loop_timer *timer;
};

static const char *const behaviours[] = {
	"good",	       "refuse_start", "exit_72", "address_in_use", "wait_for_file", "fail_later",
	"drain_never", "bad_check",    NULL,
};

#define SECTION(name_)                                    \
	static const struct config_key name_##_keys[] = { \
		{ .section = #name_,                      \
		  .name = "behaviour",                    \
		  .type = CONFIG_ENUM,                    \
		  .default_value = "good",                \
		  .choices = behaviours,                  \
		  .help = "what it does" },               \
		{ .section = #name_,                      \
		  .name = "file",                         \
		  .type = CONFIG_PATH,                    \
		  .default_value = "",                    \
		  .help = "ready when it exists" },       \
		{ 0 },                                    \
	}

SECTION(relay);

static const char *
behaviour_of(const struct actor_context *context)
{
	return config_string(context->config, context->name, "behaviour");
}

static bool
is(const struct specimen *specimen, const char *behaviour)
{
	return strcmp(specimen->behaviour, behaviour) == 0;
}

static void
fail_now(struct loop *loop, void *arg)
{
	struct specimen *specimen = arg;

	(void)loop;
	specimen->timer = NULL;
	actor_failed(specimen->context, 72);
}

static int
specimen_start(const struct actor_context *context, void **ret_state)
{
	struct specimen *specimen = calloc(1, sizeof(*specimen));
	int result = 0;

	if (specimen == NULL)
		return -ENOMEM;
	specimen->context = context;
	specimen->behaviour = behaviour_of(context);
	log_info("specimen_start", "actor=%s endpoint=%s events=%s state=%s", context->name,
		 actor_endpoint(context, context->name),
		 actor_event_endpoint(context, context->name), context->state_dir);
	metric_add(metrics_counter(context->metrics, "starts_total", NULL, "Starts."), 1);
	if (is(specimen, "refuse_start"))
		result = -EACCES;
	else if (is(specimen, "address_in_use"))
		result = -EADDRINUSE;
	else if (is(specimen, "exit_72"))
		result = 72;
	else if (is(specimen, "fail_later"))
		result =
			loop_timer_start(context->loop, 1, 0, fail_now, specimen, &specimen->timer);
	if (result != 0) {
		free(specimen);
		return result;
	}
	*ret_state = specimen;
	return 0;
}

static bool
specimen_is_ready(const void *state, const char **ret_reason)
{
	const struct specimen *specimen = state;
	const struct actor_context *context = specimen->context;

	*ret_reason = "the file is not there";
	return !is(specimen, "wait_for_file") ||
	       access(config_string(context->config, context->name, "file"), F_OK) == 0;
}

static void
specimen_drain(void *state)
{
	struct specimen *specimen = state;

	log_info("specimen_drain", "actor=%s", specimen->context->name);
	if (!is(specimen, "drain_never"))
		actor_finished(specimen->context);
}

static void
specimen_stop(void *state)
{
	struct specimen *specimen = state;

	log_info("specimen_stop", "actor=%s", specimen->context->name);
	loop_timer_stop(&specimen->timer);
	free(specimen);
}

static int
relay_check(const struct config *config, char *ret_error, size_t error_bytes)
{
	if (strcmp(config_string(config, "relay", "behaviour"), "bad_check") != 0)
		return EX_OK;
	snprintf(ret_error, error_bytes, "[relay] file: certificate missing");
	return EX_NOINPUT;
}

#define ACTOR(name_)                                \
	static const struct actor name_##_actor = { \
		.name = #name_,                     \
		.product = "boson",                 \
		.keys = name_##_keys,               \
		.start = specimen_start,            \
		.is_ready = specimen_is_ready,      \
		.drain = specimen_drain,            \
		.stop = specimen_stop,              \
		.check = name_##_check,             \
	}

ACTOR(relay);

#if SPECIMEN_ACTORS > 1
SECTION(discovery);
SECTION(turn);
#define discovery_check NULL
#define turn_check	NULL
ACTOR(discovery);
ACTOR(turn);
#endif

int
main(int argc, char **argv)
{
	static const struct actor *const actors[] = {
#if SPECIMEN_ACTORS > 1
		&discovery_actor,
		&turn_actor,
#endif
		&relay_actor,
		NULL,
	};
	static const struct program program = {
		.name = SPECIMEN_ACTORS > 1 ? "bosond" : "boson-relay",
		.summary = "A specimen for the tests of service_main.",
		.actors = actors,
		.inproc_default = SPECIMEN_ACTORS > 1,
	};

	return service_main(argc, argv, &program);
}
