/*
 * leg_probe: joins a relay as a client leg and sends datagrams that no WireGuard would, so that the
 *lab can watch the relay count and drop them. Talks to: a relay, by shared/leg.
 *
 *	leg_probe URL TICKET_FILE CA_FILE COUNT
 *
 * Exit 0 once all were handed to an established leg and the leg was closed; 1 with a reason
 *otherwise.
 */
#include "leg/leg_client.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GIVE_UP_MS = 10 * 1000, LINGER_MS = 1000, JUNK_BYTES = 100 };

struct probe {
	struct loop *loop;
	struct leg_client *leg;
	long count;
	bool sent;
};

static void
on_end(struct loop *loop, void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void
on_state(enum leg_state state, int close_code, const char *reason, void *arg)
{
	struct probe *probe = arg;
	if (state == LEG_DOWN)
		fprintf(stderr, "leg down: %d %s\n", close_code, reason ? reason : "");
	if (state != LEG_UP || probe->sent)
		return;
	uint8_t junk[JUNK_BYTES];
	memset(junk, 0x5a, sizeof junk); /* type 0x5a: no WireGuard message */
	for (long i = 0; i < probe->count; i++) {
		uint8_t message[LEG_DATA_HEADER_CLIENT_BYTES + LEG_DATAGRAM_HEADER_BYTES +
				JUNK_BYTES];
		struct leg_writer writer;
		leg_writer_init(&writer, false, 0, message, sizeof message);
		if (leg_writer_add(&writer, junk, sizeof junk) < 0 ||
		    leg_client_send(probe->leg, message, writer.n, false) < 0) {
			fprintf(stderr, "cannot queue datagram %ld\n", i);
			return;
		}
	}
	leg_client_flush(probe->leg);
	probe->sent = true;
	struct loop_timer *timer;
	if (loop_timer_start(probe->loop, LINGER_MS, 0, on_end, NULL, &timer) < 0)
		loop_stop(probe->loop);
}

static void
on_message(const uint8_t *message, size_t n, void *arg)
{
	(void)message, (void)n, (void)arg;
}

static void
on_batch_end(void *arg)
{
	(void)arg;
}

static int
read_ticket(const char *path, char *ret_ticket, size_t bytes)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return -1;
	bool read = fgets(ret_ticket, (int)bytes, file) != NULL;
	fclose(file);
	if (!read)
		return -1;
	ret_ticket[strcspn(ret_ticket, "\r\n")] = '\0';
	return 0;
}

int
main(int argc, char **argv)
{
	char ticket[512];
	if (argc != 5) {
		fprintf(stderr, "usage: leg_probe URL TICKET_FILE CA_FILE COUNT\n");
		return 64;
	}
	if (read_ticket(argv[2], ticket, sizeof ticket) < 0) {
		fprintf(stderr, "cannot read a ticket from %s\n", argv[2]);
		return 66;
	}
	log_init("leg_probe", LOG_LEVEL_WARN);

	struct probe probe = { .count = strtol(argv[4], NULL, 10) };
	struct metrics *metrics = NULL;
	struct loop_timer *timer = NULL;
	const struct leg_client_options options = { .ca_file = argv[3] };
	const struct leg_client_events events = { .on_state = on_state,
						  .on_message = on_message,
						  .on_batch_end = on_batch_end,
						  .arg = &probe };
	const char *urls[] = { argv[1], NULL };
	if (loop_new(&probe.loop) < 0 || metrics_new("probe", &metrics) < 0 ||
	    loop_timer_start(probe.loop, GIVE_UP_MS, 0, on_end, NULL, &timer) < 0 ||
	    leg_client_new(probe.loop, metrics, &options, &events, &probe.leg) < 0 ||
	    leg_client_target(probe.leg, urls, ticket) < 0) {
		fprintf(stderr, "cannot start\n");
		return 1;
	}
	(void)loop_run(probe.loop);
	leg_client_free(&probe.leg);
	metrics_free(&metrics);
	loop_free(&probe.loop);
	if (!probe.sent)
		fprintf(stderr, "no leg within %d s\n", GIVE_UP_MS / 1000);
	return probe.sent ? 0 : 1;
}
