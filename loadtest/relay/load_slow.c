/*
 * load_slow: hardly ever sleeps, so that pacing is even and delays are those of the way.
 */
#include "load_slow.h"

#include "leg/leg_frame.h"
#include "loop/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
	HEADER_BYTES = 8, /* of the sender's frames */
	STAMP_BYTES = 12, /* u32 session, u64 us, behind a datagram's first word */
	READ_AT_ONCE_BYTES = 16 * 1024,
	READ_LEAST_BYTES = 2 * LOAD_DATAGRAM_BYTES,
	RECEIVE_BUFFER_MS = 2, /* of the reader's rate; the kernel counts its own overhead in */
	RECEIVE_BUFFER_LEAST_BYTES = 4096,
	PAUSE_NS = 20 * 1000,
	TURN_MAX_US = 500,
	SEGMENT_BYTES = 1400, /* as on a road, not 64 KiB as on loopback */
};

struct session {
	struct load_line *line;
	uint8_t frame[LOAD_FRAME_MAX_BYTES];
	size_t frame_n, done; /* of the frame under way */
	double per_us;	      /* messages */
	bool is_random;
	double next_us; /* is_random: since the start */
	uint64_t dice, due;
	uint64_t sent, skipped, received;
	uint32_t *delays_us;
	size_t n_delays;
};

static struct session sessions[LOAD_SESSIONS_MAX];
static unsigned session_count;
static size_t stamp_at; /* within an arriving message */
static bool is_measuring;
static int64_t stood_still_us;

static void
stamp(struct session *session, unsigned index, uint64_t now_us)
{
	size_t at = LEG_DATA_HEADER_CLIENT_BYTES + LEG_DATAGRAM_HEADER_BYTES + 4;
	uint8_t bytes[STAMP_BYTES];
	const uint8_t *mask = session->frame + 4;

	memcpy(bytes, &index, 4);
	memcpy(bytes + 4, &now_us, 8);
	for (size_t i = 0; i < sizeof(bytes); i++)
		session->frame[HEADER_BYTES + at + i] = bytes[i] ^ mask[(at + i) % 4];
}

/* How many should have been sent by now. */
static uint64_t
messages_due(struct session *session, double since_us)
{
	if (!session->is_random)
		return (uint64_t)(since_us * session->per_us);
	while (session->next_us <= since_us) {
		/* xorshift64: Marsaglia, 2003 */
		session->dice ^= session->dice << 13;
		session->dice ^= session->dice >> 7;
		session->dice ^= session->dice << 17;
		double part = ((double)(session->dice >> 11) + 1) / (double)(UINT64_C(1) << 53);
		session->next_us -= log(part) / session->per_us;
		session->due++;
	}
	return session->due;
}

static void
send_due(unsigned index, int64_t passed_us)
{
	struct session *session = &sessions[index];
	int64_t now_us = clock_monotonic_us();
	uint64_t due = messages_due(session, (double)passed_us);

	while (session->done > 0 || session->sent + session->skipped < due) {
		if (session->done == 0)
			stamp(session, index, (uint64_t)now_us);
		size_t n = load_line_send(session->line, session->frame + session->done,
					  session->frame_n - session->done);
		session->done += n;
		if (session->done < session->frame_n) {
			/* It does not even leave: what was due meanwhile is never sent. */
			if (session->sent + session->skipped < due && n == 0)
				session->skipped = due - session->sent;
			return;
		}
		session->done = 0;
		session->sent++;
	}
}

static void
on_message(const uint8_t *head, size_t n, void *arg)
{
	uint32_t index;
	uint64_t sent_us, now_us = (uint64_t)clock_monotonic_us();

	(void)arg;
	if (n < stamp_at + STAMP_BYTES)
		load_die("a message without a stamp arrived");
	memcpy(&index, head + stamp_at, 4);
	memcpy(&sent_us, head + stamp_at + 4, 8);
	if (index >= session_count)
		load_die("a message of nobody arrived");
	struct session *session = &sessions[index];
	if (!is_measuring)
		return;
	session->received++;
	if (session->n_delays < LOAD_SAMPLES_MAX / LOAD_SESSIONS_MAX)
		session->delays_us[session->n_delays++] = (uint32_t)(now_us - sent_us);
}

/* TLS hands over one record at a time, however small. */
static size_t
receive(struct load_line *line, uint8_t *bytes, size_t most)
{
	size_t n, done = 0;

	do {
		n = load_line_receive(line, bytes + done, most - done);
		done += n;
	} while (n > 0 && done < most);
	return done;
}

/* As much as the reader's rate allows by now. */
static uint64_t
read_due(struct load_line *line, struct load_parser *parser, uint64_t taken, uint64_t due)
{
	static uint8_t input[READ_AT_ONCE_BYTES];

	if (due < taken + READ_LEAST_BYTES)
		return taken;
	size_t most = due - taken < sizeof(input) ? due - taken : sizeof(input);
	size_t n = receive(line, input, most);
	load_parser_take(parser, input, n, 0, on_message, NULL);
	if (parser->has_ping) {
		uint8_t pong[LOAD_PONG_BYTES];

		load_parser_pong(parser, pong);
		load_line_send(line, pong, sizeof(pong));
	}
	return taken + n;
}

/* How long a turn took for those that send and read. While this process was not let run, nobody
 * did: senders who made up for it and a reader whose line was idle would be a jam of our making. */
static int64_t
turn_us(int64_t *last_us)
{
	int64_t now_us = clock_monotonic_us(), took_us = now_us - *last_us;

	*last_us = now_us;
	if (took_us <= TURN_MAX_US)
		return took_us;
	stood_still_us += took_us - TURN_MAX_US;
	return TURN_MAX_US;
}

static void
run(struct load_line *reader, struct load_parser *parser, double read_mbit, double seconds)
{
	int64_t last_us = clock_monotonic_us(), passed_us = 0;
	double bytes_per_us = read_mbit / 8;
	uint64_t taken = 0, due, before = 0, most;

	stood_still_us = 0;
	for (unsigned i = 0; i < session_count; i++) {
		sessions[i].sent = sessions[i].skipped = sessions[i].received = 0;
		sessions[i].n_delays = 0;
		sessions[i].due = 0;
		sessions[i].next_us = 0;
	}
	while (passed_us < (int64_t)(seconds * 1e6)) {
		/* Even a moment's sleep keeps the kernel from stopping one of real-time priority.
		 */
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
		for (unsigned i = 0; i < session_count; i++)
			send_due(i, passed_us);
		passed_us += turn_us(&last_us);
		due = (uint64_t)((double)passed_us * bytes_per_us);
		taken = read_due(reader, parser, taken, due);
		/* A line with nothing to move has saved up nothing but what it might have moved
		 * since it was last looked at. */
		most = READ_LEAST_BYTES + due - before;
		if (due > taken + most)
			taken = due - most;
		before = due;
	}
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Percentiles over sessions from..to. */
static void
print_delays(const char *name, unsigned from, unsigned to)
{
	uint32_t *all = malloc(LOAD_SAMPLES_MAX * sizeof(*all));
	size_t n = 0;

	if (all == NULL)
		load_die("out of memory");
	for (; from < to; from++) {
		memcpy(all + n, sessions[from].delays_us, sessions[from].n_delays * sizeof(*all));
		n += sessions[from].n_delays;
	}
	qsort(all, n, sizeof(*all), compare);
	printf("\"%s_p50_us\":%u,\"%s_p99_us\":%u,", name, n > 0 ? all[n / 2] : 0, name,
	       n > 0 ? all[(size_t)((double)(n - 1) * 0.99)] : 0);
	free(all);
}

static void
print_result(const struct load_slow_options *slow)
{
	double sum = 0, squares = 0;
	uint64_t sent = 0, received = 0;

	for (unsigned i = 0; i < session_count; i++) {
		double got = (double)sessions[i].received;

		sum += got;
		squares += got * got;
		if (i > 0 || session_count == 1) {
			sent += sessions[i].sent;
			received += sessions[i].received;
		}
	}
	printf("{");
	print_delays("delay", session_count > 1 ? 1 : 0, session_count);
	if (session_count > 1)
		print_delays("greedy", 0, 1);
	printf("\"jain\":%.4f,\"goodput_mbit\":%.1f,\"greedy_mbit\":%.1f,\"modest_lost\":%.4f,"
	       "\"stood_still\":%.4f}\n",
	       squares > 0 ? sum * sum / (session_count * squares) : 0,
	       sum * LOAD_DATAGRAM_BYTES * 8 / 1e6 / slow->seconds,
	       (double)sessions[0].received * LOAD_DATAGRAM_BYTES * 8 / 1e6 / slow->seconds,
	       sent > 0 ? 1 - (double)received / (double)sent : 0,
	       (double)stood_still_us / 1e6 / slow->seconds);
}

void
load_slow_measure(const struct load_options *options, const struct load_slow_options *slow)
{
	bool is_relay = load_is_relay(options);
	int size = (int)(slow->read_mbit * 1e6 / 8 / 1000 * RECEIVE_BUFFER_MS);
	size = size > RECEIVE_BUFFER_LEAST_BYTES ? size : RECEIVE_BUFFER_LEAST_BYTES;
	struct load_flow flow;

	session_count = slow->sessions;
	load_line_segment_bytes = SEGMENT_BYTES;
	load_flow_init(&flow, session_count, is_relay);
	load_connect(&flow, options);
	struct load_end *reader = is_relay ? flow.trunk : &flow.pairs[0].ends[LOAD_FAR];
	stamp_at = (is_relay ? LEG_DATA_HEADER_NODE_BYTES : LEG_DATA_HEADER_CLIENT_BYTES) +
		   LEG_DATAGRAM_HEADER_BYTES + 4;
	reader->parser.keeps_head = true;
	setsockopt(reader->line.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	load_line_set_nonblocking(&reader->line);
	for (unsigned i = 0; i < session_count; i++) {
		struct session *session = &sessions[i];
		double mbit = i == 0 ? slow->greedy_mbit : slow->modest_mbit;

		session->line = &flow.pairs[i].ends[LOAD_NEAR].line;
		load_line_set_nonblocking(session->line);
		session->frame_n = load_frame_build(session->frame, 0, 1);
		session->per_us = mbit / 8 / LOAD_DATAGRAM_BYTES;
		session->is_random = slow->is_random && mbit <= slow->modest_mbit;
		session->dice = 88172645463325252U + i;
		session->delays_us =
			malloc(LOAD_SAMPLES_MAX / LOAD_SESSIONS_MAX * sizeof(*session->delays_us));
		if (session->delays_us == NULL)
			load_die("out of memory");
	}
	run(&reader->line, &reader->parser, slow->read_mbit, slow->warm_up);
	is_measuring = true;
	run(&reader->line, &reader->parser, slow->read_mbit, slow->seconds);
	print_result(slow);
}
