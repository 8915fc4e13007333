/*
 * holder: see holder.h.
 */
#include "holder.h"

#include "forwarder/exit_policy.h"
#include "forwarder/forwarding.h"
#include "forwarder/uplinks.h"
#include "wg/child.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct held {
	struct loop *loop;
	struct exit_policy *policy;
	struct uplinks *uplinks;
	struct forwarding *forwarding;
	struct exit_rules rules;
};

static void
on_uplinks(const struct exit_surroundings *surroundings, void *arg)
{
	struct held *held = arg;
	if (exit_policy_apply(held->policy, &held->rules, surroundings) < 0 ||
	    forwarding_apply(held->forwarding, surroundings) < 0)
		_exit(2);
}

static void
on_signal(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
	loop_stop(loop);
}

static int
hold(struct held *held, const struct lab *lab, const struct holder_options *options)
{
	struct exit_client client, second = { 0 };
	struct exit_rules *rules = &held->rules;
	snprintf(rules->interface, sizeof rules->interface, "%s", lab->tunnel);
	rules->policy_on = options->policy_on;
	rules->allow = options->allow;
	rules->mtu = 1280;
	rules->new_flows_per_second = options->new_flows;
	rules->flows_max = options->flows_max;
	rules->udp_packets_per_second = options->udp_packets;
	rules->up_mbits = options->up_mbits;
	rules->down_mbits = options->down_mbits;
	inet_pton(AF_INET, "10.90.0.1", &rules->address4);
	inet_pton(AF_INET6, "fd48:6967:6773::1", &rules->address6);
	inet_pton(AF_INET, "10.90.0.2", &client.address4);
	inet_pton(AF_INET6, "fd48:6967:6773::2", &client.address6);
	int r = exit_policy_new(held->loop, lab->tunnel, &held->policy);
	if (r == 0)
		r = exit_policy_client_add(held->policy, &client);
	inet_pton(AF_INET, "10.90.0.99", &second.address4);
	if (r == 0 && options->with_second)
		r = exit_policy_client_add(held->policy, &second);
	if (r == 0)
		r = forwarding_new(options->state_dir, lab->tunnel, &held->forwarding);
	if (r == 0)
		r = uplinks_new(held->loop, lab->tunnel, on_uplinks, held, &held->uplinks);
	if (r == 0)
		on_uplinks(uplinks_surroundings(held->uplinks), held);
	return r;
}

/* The shell is the child and dies with us; what it started in the background does not. */
static pid_t
survivor_start(void)
{
	int fds[2];
	char text[16] = { 0 };
	struct child child;
	const char *argv[] = { "sh", "-c", "sleep 1000 & echo $!; wait", NULL };
	if (pipe2(fds, O_CLOEXEC) < 0 || child_start(argv, -1, fds[1], &child) < 0 ||
	    read(fds[0], text, sizeof text - 1) <= 0)
		_exit(2);
	return (pid_t)strtol(text, NULL, 10);
}

static _Noreturn void
holder_main(const struct lab *lab, const struct holder_options *options, int ready_fd)
{
	struct held held = { 0 };
	struct loop_fd *watch;
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	int signals = signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
	lab_enter(lab->node);
	int r = loop_new(&held.loop);
	if (r == 0)
		r = loop_fd_add(held.loop, signals, EPOLLIN, on_signal, NULL, &watch);
	if (r == 0)
		r = hold(&held, lab, options);
	pid_t survivor = r == 0 && options->with_survivor ? survivor_start() : 0;
	if (r < 0 || write(ready_fd, &survivor, sizeof survivor) != sizeof survivor)
		_exit(1);
	loop_run(held.loop);
	uplinks_free(&held.uplinks);
	forwarding_free(&held.forwarding);
	exit_policy_close(&held.policy);
	loop_free(&held.loop);
	_exit(0);
}

void
holder_start(struct lab *lab, const struct holder_options *options, struct holder *ret)
{
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	ret->pid = fork();
	assert_true(ret->pid >= 0);
	if (ret->pid == 0)
		holder_main(lab, options, fds[1]);
	close(fds[1]);
	struct pollfd ready = { .fd = fds[0], .events = POLLIN };
	assert_int_equal(poll(&ready, 1, LAB_DEADLINE_MS), 1);
	assert_int_equal(read(fds[0], &ret->survivor, sizeof ret->survivor), sizeof ret->survivor);
	close(fds[0]);
}

static int
holder_end(struct holder *holder, int signal_number)
{
	int status;
	assert_int_equal(kill(holder->pid, signal_number), 0);
	assert_int_equal(waitpid(holder->pid, &status, 0), holder->pid);
	holder->pid = 0;
	return status;
}

void
holder_stop(struct holder *holder)
{
	int status = holder_end(holder, SIGTERM);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

void
holder_kill(struct holder *holder)
{
	holder_end(holder, SIGKILL);
}

void
holder_bury(struct holder *holder)
{
	if (holder->pid)
		holder_end(holder, SIGKILL);
	if (holder->survivor)
		kill(holder->survivor, SIGKILL);
}
