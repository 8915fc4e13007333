/*
 * link_box: a line between two network interfaces, for labs and load tests on machines whose kernel
 * has no netem: frames that come in at one go out at the other, later, fewer, twice, out of order.
 * line.c says which and when; link_ends.c is the interfaces. What it did is told in JSON at the
 * end, and whenever it gets SIGUSR1.
 */
#include "line.h"
#include "link_ends.h"
#include "link_options.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <time.h>

enum { TURN_BATCHES = 4 };

static const int64_t SEC_NS = 1000000000;

struct way {
	struct line *line;
	struct link_end *from, *to;
	int64_t late_ns,
		late_max_ns; /* frames sent later than they were due: the box was not run */
};

static volatile sig_atomic_t is_told_to_end, is_asked_for_stats;

static void
on_signal(int number)
{
	if (number == SIGUSR1)
		is_asked_for_stats = 1;
	else
		is_told_to_end = 1;
}

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SEC_NS + t.tv_nsec;
}

/* ---- what it did ---- */

static void
print_way(FILE *file, const char *name, struct way *way)
{
	const struct line_counts *c = line_counted(way->line);

	link_end_count_missed(way->from);
	fprintf(file,
		"\"%s\": {\"offered\": %" PRIu64 ", \"offeredBytes\": %" PRIu64
		", \"sent\": %" PRIu64 ", \"sentBytes\": %" PRIu64 ", \"dropped\": %" PRIu64
		", \"tooLong\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"doubled\": %" PRIu64
		", \"overtaken\": %" PRIu64 ", \"fragments\": %" PRIu64 ", \"heldBack\": %" PRIu64,
		name, c->offered, c->offered_bytes, c->sent, c->sent_bytes, c->dropped, c->too_long,
		c->lost, c->doubled, c->overtaken, c->fragments, c->held_back);
	fprintf(file,
		", \"queueMs\": %.2f, \"queueMaxMs\": %.2f, \"missed\": %" PRIu64
		", \"refused\": %" PRIu64 ", \"lateMs\": %.3f, \"lateMaxMs\": %.3f}",
		c->waited > 0 ? (double)c->waited_ns / (double)c->waited / 1e6 : 0.0,
		(double)c->waited_max_ns / 1e6, way->from->missed, way->to->refused,
		c->sent > 0 ? (double)way->late_ns / (double)c->sent / 1e6 : 0.0,
		(double)way->late_max_ns / 1e6);
}

static int
print_stats(const char *path, struct way ways[2], int64_t began_ns)
{
	FILE *file = path != NULL ? fopen(path, "we") : stdout;

	if (file == NULL) {
		fprintf(stderr, "link_box: %s: %s\n", path, strerror(errno));
		return EX_CANTCREAT;
	}
	fprintf(file, "{\"seconds\": %.1f, ", (double)(now_ns() - began_ns) / 1e9);
	print_way(file, "there", &ways[0]);
	fprintf(file, ", ");
	print_way(file, "back", &ways[1]);
	fprintf(file, "}\n");
	if (path != NULL ? fclose(file) != 0 : fflush(file) != 0)
		return EX_IOERR;
	return EX_OK;
}

/* ---- the loop ---- */

static void
on_frame(const uint8_t *frame, size_t n, int64_t came_ns, void *arg)
{
	line_offer(arg, frame, n, came_ns);
}

static int
take_in(struct way *way)
{
	for (int batches = 0; batches < TURN_BATCHES; batches++) {
		int n = link_end_receive(way->from, on_frame, way->line);
		if (n < 0)
			return n;
		if (n < LINK_BATCH)
			break;
	}
	return 0;
}

static void
let_out(struct way *way)
{
	const int64_t now = now_ns();
	struct line_frame *frame;

	while ((frame = line_take(way->line, now)) != NULL) {
		int64_t late = now - frame->due_ns;
		way->late_ns += late;
		if (late > way->late_max_ns)
			way->late_max_ns = late;
		link_end_send(way->to, frame);
	}
	link_end_flush(way->to);
}

/* Until something comes in or is due. */
static int
wait_for_more(struct way ways[2], const sigset_t *unblocked)
{
	struct pollfd fds[] = { { ways[0].from->fd, POLLIN, 0 }, { ways[1].from->fd, POLLIN, 0 } };
	int64_t due_ns = line_due_ns(ways[0].line), back_ns = line_due_ns(ways[1].line);
	struct timespec left, *timeout = NULL;

	if (back_ns < due_ns)
		due_ns = back_ns;
	if (due_ns != INT64_MAX) {
		int64_t wait_ns = due_ns - now_ns();
		if (wait_ns < 0)
			wait_ns = 0;
		left = (struct timespec){ wait_ns / SEC_NS, wait_ns % SEC_NS };
		timeout = &left;
	}
	if (ppoll(fds, 2, timeout, unblocked) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

static int
run(const struct link_options *options, struct way ways[2], const sigset_t *unblocked)
{
	const int64_t began_ns = now_ns();
	int r = 0;

	while (!is_told_to_end && r == 0) {
		for (int i = 0; i < 2 && r == 0; i++)
			if ((r = take_in(&ways[i])) == 0)
				let_out(&ways[i]);
		if (r == 0)
			r = wait_for_more(ways, unblocked);
		if (is_asked_for_stats) {
			is_asked_for_stats = 0;
			print_stats(options->stats, ways, began_ns);
		}
	}
	if (r == -EPROTO)
		fprintf(stderr,
			"link_box: frames longer than a wire's, or without checksum: turn off "
			"the offloads at the other ends of both veths (link_box --bare)\n");
	else if (r < 0)
		fprintf(stderr, "link_box: %s\n", strerror(-r));
	int status = print_stats(options->stats, ways, began_ns);
	return r < 0 ? EX_OSERR : status;
}

/* ---- start ---- */

static int
make_bare(char *const *interfaces, int n)
{
	for (int i = 0; i < n; i++) {
		int r = link_end_bare(interfaces[i]);
		if (r < 0) {
			fprintf(stderr, "link_box: %s: %s\n", interfaces[i], strerror(-r));
			return EX_OSERR;
		}
	}
	return EX_OK;
}

static int
make_ways(const struct link_options *options, struct way ways[2], struct link_end ends[2])
{
	for (int i = 0; i < 2; i++) {
		ways[i].from = &ends[i];
		ways[i].to = &ends[1 - i];
		if (line_new(&options->conditions[i], &ways[i].line) < 0) {
			fprintf(stderr, "link_box: no memory\n");
			return EX_OSERR;
		}
		int r = link_end_open(&ends[i], options->interfaces[i]);
		if (r < 0) {
			fprintf(stderr, "link_box: %s: %s\n", options->interfaces[i], strerror(-r));
			return r == -ENODEV ? EX_NOINPUT : r == -EPERM ? EX_NOPERM : EX_OSERR;
		}
	}
	return EX_OK;
}

/* Signals are heard while it waits, and nowhere else. */
static void
hear_signals(sigset_t *unblocked)
{
	const int numbers[] = { SIGTERM, SIGINT, SIGUSR1 };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaction(numbers[i], &action, NULL);
		sigaddset(&blocked, numbers[i]);
	}
	sigprocmask(SIG_BLOCK, &blocked, unblocked);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigdelset(unblocked, numbers[i]);
}

int
main(int argc, char *argv[])
{
	struct link_options options;
	struct way ways[2] = { 0 };
	struct link_end ends[2] = { { .fd = -1 }, { .fd = -1 } };
	sigset_t unblocked;
	int status = link_options_read(argc, argv, &options);

	if (status != EX_OK || options.is_done)
		return status;
	if (options.bare_n > 0)
		return make_bare(options.bare, options.bare_n);
	hear_signals(&unblocked);
	prctl(PR_SET_TIMERSLACK, 1UL);
	status = make_ways(&options, ways, ends);
	if (status == EX_OK) {
		fprintf(stderr, "link_box: %s and %s are joined\n", ends[0].name, ends[1].name);
		status = run(&options, ways, &unblocked);
	}
	for (int i = 0; i < 2; i++) {
		link_end_close(&ends[i]);
		line_free(&ways[i].line);
	}
	return status;
}
