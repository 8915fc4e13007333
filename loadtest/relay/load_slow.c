/*
 * load_slow: hardly ever sleeps, so that pacing is even and delays are those of the way.
 */
#include "load_slow.h"

#include "leg/leg_frame.h"
#include "load_delays.h"
#include "loop/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

enum {
	HEADER_BYTES = 8, /* of the sender's frames */
	STAMP_BYTES = 12, /* u32 session, u64 us, behind a datagram's first word */
	READ_AT_ONCE_BYTES = 16 * 1024,
	READ_LEAST_BYTES = LOAD_DATAGRAM_BYTES,
	SEND_AT_ONCE = 2,      /* messages of a session, then the line moves again */
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
};

static struct session sessions[LOAD_SESSIONS_MAX];
static struct load_delays delays[LOAD_SESSIONS_MAX]; /* of these */
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

/* False: more is due than goes at once. */
static bool
send_due(unsigned index, int64_t passed_us)
{
	struct session *session = &sessions[index];
	int64_t now_us = clock_monotonic_us();
	uint64_t due = messages_due(session, (double)passed_us);
	uint64_t most = session->sent + SEND_AT_ONCE;

	while (session->done > 0 || session->sent + session->skipped < due) {
		if (session->sent == most)
			return false;
		if (session->done == 0)
			stamp(session, index, (uint64_t)now_us);
		size_t n = load_line_send(session->line, session->frame + session->done,
					  session->frame_n - session->done);
		session->done += n;
		if (session->done < session->frame_n) {
			/* It does not even leave: what was due meanwhile is never sent. */
			if (session->sent + session->skipped < due && n == 0)
				session->skipped = due - session->sent;
			return true;
		}
		session->done = 0;
		session->sent++;
	}
	return true;
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
	load_delays_add(&delays[index], (uint32_t)(now_us - sent_us));
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

/* The line to the reader. */
struct road {
	struct load_line *line;
	struct load_parser *parser;
	double bytes_per_us;
	int64_t last_us, passed_us; /* when it was looked at; since the start */
	uint64_t taken, due;
};

/* As much as the reader's rate allows by now. */
static void
read_due(struct road *road)
{
	static uint8_t input[READ_AT_ONCE_BYTES];

	if (road->due < road->taken + READ_LEAST_BYTES)
		return;
	size_t most = road->due - road->taken;
	size_t n = receive(road->line, input, most < sizeof(input) ? most : sizeof(input));
	road->taken += n;
	load_parser_take(road->parser, input, n, 0, on_message, NULL);
	if (road->parser->has_ping) {
		uint8_t pong[LOAD_PONG_BYTES];

		load_parser_pong(road->parser, pong);
		load_line_send(road->line, pong, sizeof(pong));
	}
}

/* How long it was not looked at, for those that send and read. While this process was not let run,
 * nobody did: senders who made up for it and a reader whose line was idle would be a jam of our
 * making. */
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
move(struct road *road)
{
	uint64_t before = road->due, most;

	road->passed_us += turn_us(&road->last_us);
	road->due = (uint64_t)((double)road->passed_us * road->bytes_per_us);
	read_due(road);
	/* A line with nothing to move has saved up nothing but what it might have moved since it
	 * was last looked at. */
	most = READ_LEAST_BYTES + road->due - before;
	if (road->due > road->taken + most)
		road->taken = road->due - most;
}

static void
start_again(void)
{
	stood_still_us = 0;
	for (unsigned i = 0; i < session_count; i++) {
		sessions[i].sent = sessions[i].skipped = sessions[i].received = 0;
		load_delays_begin(&delays[i]);
		sessions[i].due = 0;
		sessions[i].next_us = 0;
	}
}

/* The line moves while sessions send, too: it would be one of bursts else, as long as the greedy
 * one's sending takes. */
static void
run(struct load_line *reader, struct load_parser *parser, double read_mbit, double seconds)
{
	struct road road = { reader, parser, read_mbit / 8, clock_monotonic_us(), 0, 0, 0 };
	bool is_sent = true;

	start_again();
	while (road.passed_us < (int64_t)(seconds * 1e6)) {
		/* Even a moment's sleep keeps the kernel from stopping one of real-time priority.
		 */
		if (is_sent)
			nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
		is_sent = true;
		for (unsigned i = 0; i < session_count; i++) {
			move(&road);
			load_delays_passed(&delays[i], road.passed_us);
			is_sent = send_due(i, road.passed_us) && is_sent;
		}
	}
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
	bool is_alone = session_count == 1;
	load_delays_print("delay", is_alone ? delays : delays + 1,
			  is_alone ? 1 : session_count - 1);
	if (!is_alone)
		load_delays_print("greedy", delays, 1);
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

	(void)prctl(PR_SET_TIMERSLACK, 1UL);
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
	}
	run(&reader->line, &reader->parser, slow->read_mbit, slow->warm_up);
	is_measuring = true;
	run(&reader->line, &reader->parser, slow->read_mbit, slow->seconds);
	print_result(slow);
}
