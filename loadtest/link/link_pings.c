/*
 * link-pings: pings by the clock, as the datagrams of a call, and how long each took; for
 * loadtest/link/run. ping(8) itself looks for answers without a pause in the last 10 ms before each
 * ping, and ten of those take half the processors from what they measure.
 *
 *	link-pings ADDRESS BYTES PER-SECOND COUNT
 *
 * BYTES with the IP header. Prints {"sent": N, "ms": [round trips, as they came]}.
 */
#include "client/client_echo.h"

#include <linux/sockios.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <time.h>

enum {
	BYTES_MAX = 1500,
	COUNT_MAX = UINT16_MAX, /* sequence numbers are not used twice */
	PER_SECOND_MAX = 1000,
};

static const int64_t SEC_NS = 1000000000, LAST_WAIT_NS = 2 * SEC_NS;

struct pings {
	struct client_echo echo;
	uint32_t bytes, count, sent, got;
	int64_t every_ns, next_ns;
	int64_t sent_ns[COUNT_MAX]; /* by the day's clock, as the kernel says when answers came; 0:
				       not sent, or answered */
};

static int64_t
clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * SEC_NS + t.tv_nsec;
}

/* One that the kernel does not take is one that was lost. */
static void
send_one(struct pings *pings)
{
	pings->sent_ns[pings->sent] = clock_ns(CLOCK_REALTIME);
	client_echo_send(&pings->echo, (uint16_t)pings->sent++, pings->bytes);
}

/* When the last answer came, as the kernel has it. */
static int64_t
came_ns(const struct pings *pings)
{
	struct timespec t;

	if (ioctl(pings->echo.fd, SIOCGSTAMPNS, &t) < 0)
		return clock_ns(CLOCK_REALTIME);
	return t.tv_sec * SEC_NS + t.tv_nsec;
}

static void
hear(struct pings *pings)
{
	uint16_t number;
	size_t bytes;

	while (client_echo_receive(&pings->echo, &number, &bytes)) {
		if (number >= pings->sent || pings->sent_ns[number] == 0)
			continue;
		printf("%s%.3f", pings->got++ > 0 ? ", " : "",
		       (double)(came_ns(pings) - pings->sent_ns[number]) / 1e6);
		pings->sent_ns[number] = 0;
	}
}

static void
run(struct pings *pings)
{
	struct pollfd fd = { pings->echo.fd, POLLIN, 0 };

	printf("{\"ms\": [");
	pings->next_ns = clock_ns(CLOCK_MONOTONIC);
	while (pings->got < pings->count) {
		int64_t left_ns = pings->next_ns - clock_ns(CLOCK_MONOTONIC);
		struct timespec left = { left_ns / SEC_NS, left_ns % SEC_NS };
		if (left_ns > 0) {
			ppoll(&fd, 1, &left, NULL);
			hear(pings);
			continue;
		}
		if (pings->sent == pings->count)
			break;
		send_one(pings);
		pings->next_ns += pings->sent < pings->count ? pings->every_ns : LAST_WAIT_NS;
	}
	printf("], \"sent\": %u}\n", pings->sent);
}

static bool
read_number(const char *text, uint32_t least, uint32_t most, uint32_t *ret)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || number < least || number > most)
		return false;
	*ret = (uint32_t)number;
	return true;
}

int
main(int argc, char *argv[])
{
	static struct pings pings;
	uint32_t per_second;

	if (argc != 5 || !read_number(argv[2], ECHO_BYTES_MIN, BYTES_MAX, &pings.bytes) ||
	    !read_number(argv[3], 1, PER_SECOND_MAX, &per_second) ||
	    !read_number(argv[4], 1, COUNT_MAX, &pings.count)) {
		fprintf(stderr, "usage: link-pings ADDRESS BYTES PER-SECOND COUNT\n");
		return EX_USAGE;
	}
	pings.every_ns = SEC_NS / per_second;
	prctl(PR_SET_TIMERSLACK, 1UL);
	int r = client_echo_open(&pings.echo, argv[1], "");
	if (r < 0) {
		fprintf(stderr, "link-pings: %s: %s\n", argv[1], strerror(-r));
		return EX_OSERR;
	}
	came_ns(&pings); /* from now on the kernel notes it */
	run(&pings);
	return EX_OK;
}
