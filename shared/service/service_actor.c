/* The life of an actor's thread. See service_actor.h. */
#include "service/service_actor.h"

#include "log/log.h"
#include "service/service_folders.h"
#include "service/service_rules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { STACK_BYTES = 1024 * 1024, LOOK_PERIOD_MS = 250, THREAD_NAME_BYTES = 16 };

static const char starting[] = "starting";

int
service_actor_init(struct service_actor *self, const struct actor *actor,
		   const struct config *config, const char *keys_dir, char *ret_error,
		   size_t error_bytes)
{
	const char *state = config_string(config, "service", "state");
	int result;

	self->actor = actor;
	self->folder_fd = -1;
	atomic_store(&self->unready_reason, starting);
	if ((size_t)snprintf(self->state_dir, sizeof(self->state_dir), "%s/%s", state,
			     actor->name) >= sizeof(self->state_dir)) {
		snprintf(ret_error, error_bytes, "%s: too long", state);
		return EX_CANTCREAT;
	}
	snprintf(self->metrics_prefix, sizeof(self->metrics_prefix), "%s_%s", actor->product,
		 actor->name);
	self->context.name = actor->name;
	self->context.config = config;
	self->context.state_dir = self->state_dir;
	self->context.keys_dir = keys_dir;
	self->context.owner = self;
	result = service_folders_take(self->state_dir, &self->folder_fd, ret_error, error_bytes);
	if (result != EX_OK)
		return result;
	if (loop_new(&self->context.loop) < 0 ||
	    metrics_new(self->metrics_prefix, &self->context.metrics) < 0) {
		snprintf(ret_error, error_bytes, "out of memory or descriptors");
		return EX_OSERR;
	}
	self->ready_gauge =
		metrics_gauge(self->context.metrics, "ready", NULL, "1 while it can serve");
	return EX_OK;
}

void
service_actor_fini(struct service_actor *self)
{
	loop_free(&self->context.loop);
	metrics_free(&self->context.metrics);
	if (self->folder_fd >= 0)
		close(self->folder_fd);
	self->folder_fd = -1;
}

static void
tell_main(struct service_actor *self, loop_fn hook)
{
	int result = loop_post(self->main_loop, hook, self);

	if (result < 0)
		log_error("actor_post_failed", "error=%s", strerror(-result));
}

/* -errno of start in terms of sysexits.h. */
static int
exit_code_of(int result)
{
	switch (-result) {
	case EPERM:
	case EACCES:
		return EX_NOPERM;
	case EBUSY:
	case EAGAIN:
		return EX_TEMPFAIL;
	case EIO:
	case ENOSPC:
		return EX_IOERR;
	case EBADF:
	case EBADMSG:
	case ENOTSUP:
		return EX_DATAERR;
	case EINVAL:
		return EX_CONFIG;
	default:
		return result > 0 ? result : EX_OSERR;
	}
}

/* Every LOOK_PERIOD_MS on the actor's thread: for the admin address. */
static void
look(struct loop *loop, void *arg)
{
	struct service_actor *self = arg;
	const char *reason = "not ready";
	bool is_ready =
		self->actor->is_ready == NULL || self->actor->is_ready(self->state, &reason);

	atomic_store(&self->turned_at_ms, loop_now_ms(loop));
	atomic_store(&self->unready_reason, is_ready ? NULL : reason);
	metric_set(self->ready_gauge, is_ready ? 1 : 0);
}

static int
set_up(struct service_actor *self, struct loop_timer **ret_timer)
{
	int result = bus_new(self->context.loop, self->context.metrics, self->actor->name,
			     self->security, &self->context.bus);

	if (result < 0) {
		log_error("bus_failed", "error=%s", strerror(-result));
		return EX_OSERR;
	}
	bus_set_rules(self->context.bus, service_rules);
	result = self->actor->start(&self->context, &self->state);
	if (result != 0)
		return exit_code_of(result);
	result = loop_timer_start(self->context.loop, 0, LOOK_PERIOD_MS, look, self, ret_timer);
	if (result == 0)
		return EX_OK;
	self->actor->stop(self->state);
	return EX_OSERR;
}

static void
run(struct service_actor *self, struct loop_timer **timer)
{
	int result = loop_run(self->context.loop);

	if (result < 0) {
		log_error("loop_failed", "error=%s", strerror(-result));
		actor_failed(&self->context, EX_OSERR);
	}
	loop_timer_stop(timer);
	self->actor->stop(self->state);
}

static void *
thread_main(void *arg)
{
	struct service_actor *self = arg;
	struct loop_timer *timer = NULL;
	int code;

	log_set_service(self->actor->name);
	code = self->start_code = set_up(self, &timer);
	tell_main(self, self->hooks->started);
	if (code == EX_OK)
		run(self, &timer);
	bus_free(&self->context.bus);
	tell_main(self, self->hooks->ended);
	return NULL;
}

int
service_actor_start(struct service_actor *self)
{
	char name[THREAD_NAME_BYTES];
	pthread_attr_t attributes;
	int result;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	result = pthread_create(&self->thread, &attributes, thread_main, self);
	pthread_attr_destroy(&attributes);
	if (result != 0)
		return -result;
	snprintf(name, sizeof(name), "%s", self->actor->name);
	pthread_setname_np(self->thread, name);
	self->has_thread = true;
	return 0;
}

static void
drain(struct loop *loop, void *arg)
{
	struct service_actor *self = arg;

	(void)loop;
	if (self->actor->drain != NULL)
		self->actor->drain(self->state);
	else
		actor_finished(&self->context);
}

void
service_actor_drain(struct service_actor *self)
{
	if (loop_post(self->context.loop, drain, self) < 0)
		actor_finished(&self->context); /* it does not even listen: do not wait for it */
}

void
service_actor_stop(struct service_actor *self)
{
	loop_stop(self->context.loop);
}

void
service_actor_join(struct service_actor *self)
{
	pthread_join(self->thread, NULL);
	self->has_thread = false;
}

void
actor_finished(const struct actor_context *context)
{
	if (context->owner == NULL)
		loop_stop(context->loop);
	else
		tell_main(context->owner, context->owner->hooks->finished);
}

void
actor_failed(const struct actor_context *context, int exit_code)
{
	if (context->owner == NULL) {
		loop_stop(context->loop);
		return;
	}
	atomic_store(&context->owner->exit_code, exit_code != 0 ? exit_code : EX_SOFTWARE);
	tell_main(context->owner, context->owner->hooks->failed);
}
