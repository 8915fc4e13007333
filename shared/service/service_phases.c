/* Starts, drains and stops the actors. See service_phases.h. */
#include "service/service_phases.h"

#include "log/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

enum { STOP_MS = 15 * 1000 }; /* an actor that takes longer is stuck */

static void start_next(struct service_phases *phases);
static void stop_next(struct service_phases *phases);

static void
enter(struct service_phases *phases, enum service_phase phase)
{
	phases->phase = phase;
	phases->on_phase(phase, phases->arg);
}

static void
set_cap(struct service_phases *phases, int64_t delay_ms, loop_fn fn)
{
	loop_timer_stop(&phases->cap);
	if (loop_timer_start(phases->loop, delay_ms, 0, fn, phases, &phases->cap) < 0)
		log_error("timer_failed", "delay_ms=%lld", (long long)delay_ms);
}

/* Its thread cannot be ended from outside, and what it holds is freed by the end of the process. */
static void
on_stop_cap(struct loop *loop, void *arg)
{
	(void)loop;
	(void)arg;
	log_error("actor_stuck", "after_ms=%d", STOP_MS);
	_exit(EX_SOFTWARE);
}

static void
begin_stop(struct service_phases *phases)
{
	if (phases->phase == SERVICE_STOPPING)
		return;
	enter(phases, SERVICE_STOPPING);
	stop_next(phases);
}

/* The last that runs; its end calls us again. */
static void
stop_next(struct service_phases *phases)
{
	for (size_t i = phases->n; i-- > 0;)
		if (phases->actors[i].has_thread) {
			set_cap(phases, STOP_MS, on_stop_cap);
			service_actor_stop(&phases->actors[i]);
			return;
		}
	loop_stop(phases->loop);
}

static void
on_drain_cap(struct loop *loop, void *arg)
{
	struct service_phases *phases = arg;

	(void)loop;
	phases->cap = NULL;
	for (size_t i = 0; i < phases->n; i++)
		if (!phases->actors[i].is_finished)
			log_warn("drain_cut", "actor=%s after_ms=%lld",
				 phases->actors[i].actor->name, (long long)phases->drain_ms);
	begin_stop(phases);
}

static void
begin_drain(struct service_phases *phases)
{
	enter(phases, SERVICE_DRAINING);
	set_cap(phases, phases->drain_ms, on_drain_cap);
	for (size_t i = 0; i < phases->n; i++)
		service_actor_drain(&phases->actors[i]);
}

static void
on_started(struct loop *loop, void *arg)
{
	struct service_actor *actor = arg;
	struct service_phases *phases = actor->service;
	int code = actor->start_code;

	(void)loop;
	if (code != EX_OK) {
		log_error("actor_start_failed", "actor=%s exit_code=%d", actor->actor->name, code);
		phases->exit_code = code;
		begin_stop(phases);
	} else if (phases->phase == SERVICE_STARTING) {
		phases->started++;
		start_next(phases);
	}
}

static void
on_finished(struct loop *loop, void *arg)
{
	struct service_actor *actor = arg;
	struct service_phases *phases = actor->service;

	(void)loop;
	actor->is_finished = true;
	if (phases->phase != SERVICE_DRAINING)
		return;
	for (size_t i = 0; i < phases->n; i++)
		if (!phases->actors[i].is_finished)
			return;
	begin_stop(phases);
}

static void
on_failed(struct loop *loop, void *arg)
{
	struct service_actor *actor = arg;
	struct service_phases *phases = actor->service;

	(void)loop;
	if (phases->exit_code == EX_OK)
		phases->exit_code = atomic_load(&actor->exit_code);
	log_error("actor_failed", "actor=%s exit_code=%d", actor->actor->name, phases->exit_code);
	begin_stop(phases);
}

static void
on_ended(struct loop *loop, void *arg)
{
	struct service_actor *actor = arg;
	struct service_phases *phases = actor->service;

	(void)loop;
	service_actor_join(actor);
	log_debug("actor_ended", "actor=%s", actor->actor->name);
	if (phases->phase == SERVICE_STOPPING)
		stop_next(phases);
	else
		begin_stop(phases);
}

static const struct service_actor_hooks hooks = {
	.started = on_started,
	.finished = on_finished,
	.failed = on_failed,
	.ended = on_ended,
};

static void
start_next(struct service_phases *phases)
{
	struct service_actor *actor;
	int result;

	if (phases->started == phases->n) {
		enter(phases, SERVICE_RUNNING);
		return;
	}
	actor = &phases->actors[phases->started];
	actor->main_loop = phases->loop;
	actor->hooks = &hooks;
	actor->service = phases;
	result = service_actor_start(actor);
	if (result == 0)
		return;
	log_error("thread_failed", "actor=%s error=%s", actor->actor->name, strerror(-result));
	phases->exit_code = EX_OSERR;
	begin_stop(phases);
}

static void
on_terminate(struct service_phases *phases, const char *name)
{
	log_info("signal", "signal=%s phase=%d", name, (int)phases->phase);
	switch (phases->phase) {
	case SERVICE_STARTING:
	case SERVICE_DRAINING: /* the second one: whoever sends it does not want to wait */
		begin_stop(phases);
		break;
	case SERVICE_RUNNING:
		begin_drain(phases);
		break;
	case SERVICE_STOPPING:
		break;
	}
}

static void
on_signal(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct service_phases *phases = arg;
	struct signalfd_siginfo info;

	(void)loop;
	(void)events;
	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			log_warn("signal_ignored", "signal=SIGHUP reason=%s",
				 "the configuration is read at start only: restart to change it");
		else
			on_terminate(phases, info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
	}
}

int
service_phases_init(struct service_phases *phases)
{
	sigset_t watched, all;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&watched);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGHUP);

	/* Nothing asynchronous may interrupt an actor; a fault of its own must still kill. */
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	sigdelset(&all, SIGSYS);
	sigdelset(&all, SIGTRAP);
	pthread_sigmask(SIG_SETMASK, &all, NULL);

	phases->signal_fd = signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC);
	if (phases->signal_fd < 0)
		return -errno;
	return loop_fd_add(phases->loop, phases->signal_fd, EPOLLIN, on_signal, phases,
			   &phases->signal_watch);
}

int
service_phases_run(struct service_phases *phases)
{
	int result;

	enter(phases, SERVICE_STARTING);
	start_next(phases);
	result = loop_run(phases->loop);
	if (result == 0)
		return phases->exit_code;
	/* No way left to hear of the actors: end as if killed. */
	log_error("loop_failed", "error=%s", strerror(-result));
	_exit(EX_OSERR);
}

void
service_phases_fini(struct service_phases *phases)
{
	loop_timer_stop(&phases->cap);
	loop_fd_remove(&phases->signal_watch);
	if (phases->signal_fd >= 0)
		close(phases->signal_fd);
	phases->signal_fd = -1;
}
