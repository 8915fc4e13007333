/*
 * herd-load: sessions whose datagrams are echoed by their nodes, and legs that only stay, at
 * several relays; then one relay is killed or told to drain (or one after the other), and it is
 * measured how long each session was without its datagrams, and how long each leg without a relay.
 *
 *	herd-load -r PORT:PID,... -N node.seed,node.pub -S session.seed,session.pub
 *		[-k shard/shards] [-s sessions] [-n nodes] [-l idle legs, at the first relay]
 *		[-i interval ms]
 *		[-e kill|drain|roll|watch] [-a seconds until it gives up] [-t] [-j file.json]
 *
 * Says on stdout when all is UP, at the EVENT and when what it hit is back (OVER). roll asks the
 * script that started it to restart each relay in turn: it waits for a line on stdin after each.
 * watch does nothing but measure: it waits for a line at each of another one's three.
 */
#include "herd_fleet.h"
#include "herd_report.h"
#include "herd_wire.h"

#include "leg/leg_frame.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	DATAGRAM_BYTES = 96,
	TICK_MS = 5,
	SETTLE_MS = 2500, /* all is up for so long before the event: legs count as stable or not */
	LOOK_MS = 100,
	GIVE_UP_MS = 120 * 1000,
	US_PER_MS = 1000,
	US_PER_SEC = 1000 * 1000,
	IDLE_A_SEC = 800,
};

static struct {
	struct herd_fleet fleet;
	struct herd_leg *nodes, *idle;
	struct herd_session *sessions;
	unsigned node_n, session_n, idle_n, idle_hit, interval_ms, after_sec;
	const char *event, *json;
	int64_t event_us;
	bool is_over; /* all that the event hit is back */
} herd = { .session_n = 100, .node_n = 20, .interval_ms = 20, .after_sec = 15, .event = "kill" };

/* ---- datagrams ---- */

static void
send_datagram(struct herd_session *session)
{
	int64_t now_us = herd_now_us(); /* not the tick's: others were sent since */
	uint8_t message[3 + DATAGRAM_BYTES] = { LEG_KIND_DATA, 0, DATAGRAM_BYTES, 4 };

	session->sent++;
	memcpy(message + 3 + 8, &now_us, sizeof(now_us));
	memcpy(message + 3 + 16, &session->sent, sizeof(session->sent));
	herd_leg_send(&session->leg, message, sizeof(message));
}

static void
on_echo(struct herd_session *session, const uint8_t *datagram)
{
	int64_t sent_us, now_us = herd_now_us();
	uint64_t number;

	memcpy(&sent_us, datagram + 8, sizeof(sent_us));
	memcpy(&number, datagram + 16, sizeof(number));
	session->received++;
	herd_report_latency(now_us - sent_us, herd.event_us == 0 || sent_us < herd.event_us
						      ? HERD_BEFORE
					      : herd.is_over ? HERD_AFTER
							     : HERD_MEANWHILE);
	/* In datagrams that were sent: a generator that was not given the processor loses none. */
	if (number > session->echoed) {
		uint64_t lost = number - session->echoed - 1;

		if (herd.event_us != 0 && sent_us > herd.event_us && lost > session->lost)
			session->lost = lost;
		session->echoed = number;
	}
	if (herd.event_us != 0 && sent_us > herd.event_us && session->back_us == 0)
		session->back_us = now_us - herd.event_us;
}

static void
on_data(struct herd_leg *leg, struct herd_line *line, uint8_t *message, size_t n)
{
	if (leg >= herd.nodes && leg < herd.nodes + herd.node_n)
		herd_line_send(line, message, n); /* back on the same channel */
	else if (n == 3 + DATAGRAM_BYTES)
		on_echo((struct herd_session *)leg, message + 3);
}

/* ---- legs ---- */

static void
make_legs(void)
{
	uint8_t(*ids)[UUID_BYTES] = calloc(herd.node_n + 1, UUID_BYTES), id[UUID_BYTES];

	herd.nodes = calloc(herd.node_n + 1, sizeof(*herd.nodes));
	herd.idle = calloc(herd.idle_n + 1, sizeof(*herd.idle));
	herd.sessions = calloc(herd.session_n + 1, sizeof(*herd.sessions));
	for (unsigned i = 0; i < herd.node_n; i++) {
		herd_fleet_new_node(&herd.fleet, ids[i]);
		/* With idle legs the first relay is theirs: it is watched what the others feel. */
		unsigned first = herd.idle_n > 0 && herd.fleet.owner.relay_count > 1 ? 1 : 0;
		unsigned relay = first + i % (herd.fleet.owner.relay_count - first);
		herd_leg_init(&herd.nodes[i], &herd.fleet.owner, relay);
		herd_fleet_grant(&herd.fleet, &herd.nodes[i], ids[i], NULL);
	}
	for (unsigned i = 0; i < herd.session_n; i++) {
		struct herd_session *session = &herd.sessions[i];
		unsigned first = herd.idle_n > 0 && herd.fleet.owner.relay_count > 1 ? 1 : 0;

		session->node = i % herd.node_n;
		herd_leg_init(&session->leg, &herd.fleet.owner,
			      first + herd_random(herd.fleet.owner.relay_count - first));
		herd_fleet_new_id(id);
		herd_fleet_grant(&herd.fleet, &session->leg, ids[session->node], id);
		session->next_us = herd_now_us() + herd_random(herd.interval_ms * US_PER_MS);
	}
	for (unsigned i = 0; i < herd.idle_n; i++) {
		herd_leg_init(&herd.idle[i], &herd.fleet.owner, 0);
		/* Not faster than a relay lets them in: they would go to the next one. */
		herd.idle[i].retry_us = herd_now_us() + (int64_t)i * US_PER_SEC / IDLE_A_SEC;
		herd_fleet_new_id(id);
		herd_fleet_grant(&herd.fleet, &herd.idle[i], id, NULL);
	}
	free(ids);
}

/* ---- time ---- */

static void
tick(int64_t now_us)
{
	for (unsigned i = 0; i < herd.node_n; i++)
		herd_leg_tick(&herd.nodes[i], now_us);
	for (unsigned i = 0; i < herd.idle_n; i++)
		herd_leg_tick(&herd.idle[i], now_us);
	for (unsigned i = 0; i < herd.session_n; i++) {
		struct herd_session *session = &herd.sessions[i];

		herd_leg_tick(&session->leg, now_us);
		if (now_us < session->next_us)
			continue;
		session->next_us += herd.interval_ms * US_PER_MS;
		if (session->next_us < now_us) /* we were late ourselves: no burst */
			session->next_us = now_us + herd.interval_ms * US_PER_MS;
		send_datagram(session);
	}
}

static void
turn(void)
{
	struct epoll_event events[1024];
	static int64_t tick_us;
	int n = epoll_wait(herd.fleet.owner.epoll_fd, events, 1024, TICK_MS);

	for (int i = 0; i < n; i++)
		if (events[i].data.ptr != NULL)
			herd_line_on_event(events[i].data.ptr, events[i].events);
	int64_t now_us = herd_now_us();
	if (now_us - tick_us >= TICK_MS * US_PER_MS) {
		tick_us = now_us;
		tick(now_us);
		herd_report_turn(now_us);
	}
}

static void
say(const char *word, unsigned i)
{
	printf("%s %u\n", word, i);
	fflush(stdout);
}

static void
await_line(void)
{
	char line[16];
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

	epoll_ctl(herd.fleet.owner.epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event);
	for (;;) {
		fd_set in;
		struct timeval now = { 0 };

		FD_ZERO(&in);
		FD_SET(STDIN_FILENO, &in);
		if (select(STDIN_FILENO + 1, &in, NULL, NULL, &now) == 1)
			break;
		turn();
	}
	epoll_ctl(herd.fleet.owner.epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
		exit(1);
}

static unsigned
count_away(void)
{
	unsigned away = 0;

	for (unsigned i = 0; i < herd.node_n; i++)
		away += !herd_leg_is_up(&herd.nodes[i]);
	for (unsigned i = 0; i < herd.idle_n; i++)
		away += !herd_leg_is_up(&herd.idle[i]);
	for (unsigned i = 0; i < herd.session_n; i++)
		away += !herd_leg_is_up(&herd.sessions[i].leg) || herd.sessions[i].received == 0;
	return away;
}

static void
turn_for(int64_t ms)
{
	int64_t end_us = herd_now_us() + ms * US_PER_MS;

	while (herd_now_us() < end_us)
		turn();
}

static void
await_all(void)
{
	int64_t end_us = herd_now_us() + GIVE_UP_MS * (int64_t)US_PER_MS;
	unsigned away;

	while ((away = count_away()) > 0) {
		if (herd_now_us() > end_us) {
			fprintf(stderr, "%u legs or sessions do not come up\n", away);
			exit(1);
		}
		turn();
	}
	herd_report_quiet();
	say("UP", 0);
	turn_for(SETTLE_MS);
}

/* ---- what happens ---- */

static void
begin_event(void)
{
	herd.event_us = herd_now_us();
	for (unsigned i = 0; i < herd.session_n; i++) {
		struct herd_session *session = &herd.sessions[i];
		const struct herd_leg *node = &herd.nodes[session->node];

		session->is_hit = session->leg.relay == 0 || node->relay == 0;
	}
	for (unsigned i = 0; i < herd.idle_n; i++) {
		herd.idle[i].back_us = 0;
		herd.idle_hit += herd.idle[i].relay == 0;
	}
}

/* Each relay in turn is drained and started anew by whoever started us. */
static void
roll(void)
{
	begin_event();
	for (unsigned i = 0; i < herd.fleet.owner.relay_count; i++) {
		say("ROLL", i);
		await_line();
		turn_for(2000);
	}
}

static void
watch(void)
{
	await_line();
	herd_report_quiet();
	await_line();
	begin_event();
	await_line();
	herd.is_over = true;
	turn_for(SETTLE_MS);
}

static void
look_for_end(unsigned passed_ms)
{
	/* Who was there is thought to be there until it is known to be gone. */
	if (herd.is_over || passed_ms < SETTLE_MS || count_away() > 0)
		return;
	herd.is_over = true;
	say("OVER", 0);
}

static void
run_event(void)
{
	herd_report_begin(herd.fleet.pids, herd.fleet.owner.relay_count);
	if (strcmp(herd.event, "watch") == 0) {
		watch();
		return;
	}
	if (strcmp(herd.event, "roll") == 0) {
		roll();
		return;
	}
	begin_event();
	say("EVENT", 0);
	if (kill(herd.fleet.pids[0], strcmp(herd.event, "drain") == 0 ? SIGTERM : SIGKILL) < 0)
		perror("kill");
	for (unsigned ms = 0; ms < herd.after_sec * 1000 && !herd.is_over; ms += LOOK_MS) {
		turn_for(LOOK_MS);
		look_for_end(ms);
	}
	if (!herd.is_over) /* who watches is not to wait for it */
		say("OVER", count_away());
	turn_for(SETTLE_MS);
}

/* ---- start ---- */

static void
parse(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "r:N:S:k:s:n:l:i:e:a:tj:")) != -1) {
		switch (option) {
		case 'r':
			herd_fleet_relays(&herd.fleet, optarg);
			break;
		case 'N':
			herd_fleet_signer(&herd.fleet, TICKET_ROLE_NODE, optarg);
			break;
		case 'S':
			herd_fleet_signer(&herd.fleet, TICKET_ROLE_SESSION, optarg);
			break;
		case 'k':
			herd_fleet_shard(&herd.fleet, optarg);
			break;
		case 's':
			herd.session_n = (unsigned)atoi(optarg);
			break;
		case 'n':
			herd.node_n = (unsigned)atoi(optarg);
			break;
		case 'l':
			herd.idle_n = (unsigned)atoi(optarg);
			break;
		case 'i':
			herd.interval_ms = (unsigned)atoi(optarg);
			break;
		case 'e':
			herd.event = optarg;
			break;
		case 'a':
			herd.after_sec = (unsigned)atoi(optarg);
			break;
		case 't':
			herd.fleet.owner.ssl_context = herd_wire_context();
			break;
		case 'j':
			herd.json = optarg;
			break;
		default:
			exit(64);
		}
	}
	if (!herd_fleet_is_whole(&herd.fleet) || herd.node_n == 0) {
		fprintf(stderr, "see the head of herd_main.c\n");
		exit(64);
	}
}

int
main(int argc, char **argv)
{
	struct rlimit files = { 65536, 65536 };

	signal(SIGPIPE, SIG_IGN);
	srandom((unsigned)getpid());
	setrlimit(RLIMIT_NOFILE, &files);
	parse(argc, argv);
	herd.fleet.owner.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	herd.fleet.owner.on_data = on_data;
	make_legs();
	int64_t start_us = herd_now_us();
	await_all();
	fprintf(stderr, "all up after %lld ms\n",
		(long long)((herd_now_us() - start_us) / US_PER_MS - SETTLE_MS));
	run_event();
	return herd_report_end(&(struct herd_outcome){ .owner = &herd.fleet.owner,
						       .sessions = herd.sessions,
						       .session_n = herd.session_n,
						       .idle = herd.idle,
						       .idle_n = herd.idle_n,
						       .idle_hit = herd.idle_hit,
						       .interval_ms = herd.interval_ms,
						       .event_us = herd.event_us,
						       .event = herd.event,
						       .json = herd.json });
}
