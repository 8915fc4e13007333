/*
 * store_postgresql_link: the connection's coming and going. Connecting never holds the caller for
 * long: while a server is away calls fail at once, and every now and then one of them tries again.
 */
#include "store/store_postgresql.h"

#include "log/log.h"
#include "loop/backoff.h"
#include "loop/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CONNECT_TIMEOUT_MS = 2000, /* of one host */
	CONNECT_WAIT_MS = 250,	   /* that a caller waits for it */
	INTERVAL_MIN_MS = 100,	   /* between attempts: at most 10 a second */
	INTERVAL_MAX_MS = 1000,
	SLOW_PAUSE_MS = 1000,
	STARTING_TIMEOUT_MS = 120 * 1000,
	SERVING_TIMEOUT_MS = 2000,
	IDLE_TIMEOUT_MS = 10 * 1000, /* in the midst of a batch: we hang, others want the rows */
	SESSION_BYTES = 384,
	READS_MAX = 4,
};

bool
pg_socket_wait(const PGconn *connection, short events, int64_t deadline_ms)
{
	struct pollfd fd = { .fd = PQsocket(connection), .events = events };

	for (;;) {
		int64_t left_ms = deadline_ms - clock_monotonic_ms();
		int n = poll(&fd, 1, left_ms > 0 ? (int)left_ms : 0);

		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

void
pg_reason_set(struct postgresql *db, const char *what, const char *message)
{
	snprintf(db->reason, sizeof(db->reason), "%s: %.*s", what, (int)strcspn(message, "\n"),
		 message);
}

static void
on_notice(void *arg, const PGresult *result)
{
	struct postgresql *db = arg;
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity == NULL || strcmp(severity, "WARNING") != 0)
		return;
	db->is_warned = true;
	pg_reason_set(db, "warning", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
}

static void
forget_connection(struct postgresql *db)
{
	PQfinish(db->connection);
	db->connection = NULL;
	db->is_connecting = false;
	while (db->statements_n > 0)
		free(db->statements[--db->statements_n].sql);
}

void
pg_link_drop(struct postgresql *db, bool is_slow)
{
	int64_t now_ms = clock_monotonic_ms();

	forget_connection(db);
	if (is_slow && db->not_before_ms < now_ms + SLOW_PAUSE_MS)
		db->not_before_ms = now_ms + SLOW_PAUSE_MS;
}

/* Acknowledged means durable, whatever the server's default. */
static int
start_connecting(struct postgresql *db)
{
	int64_t now_ms = clock_monotonic_ms();
	char session[SESSION_BYTES];

	snprintf(session, sizeof(session),
		 "-c search_path=%s -c statement_timeout=%d -c client_min_messages=warning "
		 "-c idle_in_transaction_session_timeout=%d -c synchronous_commit=on",
		 db->target.schema,
		 db->phase == PG_SERVING ? SERVING_TIMEOUT_MS : STARTING_TIMEOUT_MS,
		 db->phase == PG_SERVING ? IDLE_TIMEOUT_MS : 0);
	db->connection = pg_target_connect(&db->target, db->host, session);
	if (db->connection == NULL || PQstatus(db->connection) == CONNECTION_BAD) {
		pg_reason_set(db, "connect",
			      db->connection == NULL ? "out of memory"
						     : PQerrorMessage(db->connection));
		forget_connection(db);
		return -EIO;
	}
	PQsetNoticeReceiver(db->connection, on_notice, db);
	db->is_connecting = true;
	db->polling = PGRES_POLLING_WRITING;
	db->connect_deadline_ms = now_ms + CONNECT_TIMEOUT_MS;
	return 0;
}

static void
connected(struct postgresql *db)
{
	db->is_connecting = false;
	db->attempts = 0;
	PQsetnonblocking(db->connection, 1);
	log_info("store_connected", "host=%s port=%s schema=%s", PQhost(db->connection),
		 PQport(db->connection), db->target.schema);
}

/* 0, -EAGAIN when it takes longer than until_ms, or -EIO when this host will not do. */
static int
go_on_connecting(struct postgresql *db, int64_t until_ms)
{
	if (until_ms > db->connect_deadline_ms)
		until_ms = db->connect_deadline_ms;
	while (db->polling == PGRES_POLLING_READING || db->polling == PGRES_POLLING_WRITING) {
		short events = db->polling == PGRES_POLLING_READING ? POLLIN : POLLOUT;

		if (!pg_socket_wait(db->connection, events, until_ms)) {
			snprintf(db->reason, sizeof(db->reason), "connect: no answer from %s yet",
				 PQhost(db->connection));
			if (clock_monotonic_ms() < db->connect_deadline_ms)
				return -EAGAIN;
			forget_connection(db);
			return -EIO;
		}
		db->polling = PQconnectPoll(db->connection);
	}
	if (db->polling == PGRES_POLLING_OK) {
		connected(db);
		return 0;
	}
	pg_reason_set(db, "connect", PQerrorMessage(db->connection));
	forget_connection(db);
	return -EIO;
}

/* Tries the hosts in turn, beginning with the one that served last. */
static int
connect_to_any(struct postgresql *db, int64_t until_ms)
{
	int result = -EIO;

	for (size_t tried = 0; tried < db->target.hosts_n && result == -EIO; tried++) {
		if (!db->is_connecting)
			result = start_connecting(db);
		if (db->is_connecting)
			result = go_on_connecting(db, until_ms);
		if (result == -EIO)
			db->host = (db->host + 1) % db->target.hosts_n;
	}
	return result;
}

int
pg_link_open(struct postgresql *db)
{
	int64_t wait_ms = CONNECT_TIMEOUT_MS * (int64_t)db->target.hosts_n;

	return connect_to_any(db, clock_monotonic_ms() + wait_ms) == 0 ? 0 : -EIO;
}

int
pg_link_serve(struct postgresql *db)
{
	char sql[SESSION_BYTES];

	db->phase = PG_SERVING;
	snprintf(sql, sizeof(sql),
		 "SET statement_timeout = %d; SET idle_in_transaction_session_timeout = %d",
		 SERVING_TIMEOUT_MS, IDLE_TIMEOUT_MS);
	return pg_trip_script(db, sql);
}

void
pg_link_close(struct postgresql *db)
{
	forget_connection(db);
}

/* A server that ended the connection while it was idle has said so on the socket. */
static bool
is_alive(struct postgresql *db)
{
	for (int i = 0; i < READS_MAX; i++) {
		if (!pg_socket_wait(db->connection, POLLIN, 0))
			return true;
		if (PQconsumeInput(db->connection) == 0)
			break;
		(void)PQisBusy(db->connection); /* reads what came */
		if (PQstatus(db->connection) != CONNECTION_OK)
			break;
	}
	pg_reason_set(db, "connection lost", PQerrorMessage(db->connection));
	return false;
}

int
pg_link_ready(struct postgresql *db)
{
	int64_t now_ms = clock_monotonic_ms(), until_ms = now_ms;

	if (db->connection != NULL && !db->is_connecting) {
		if (is_alive(db))
			return 0;
		pg_link_drop(db, false);
	}
	if (!db->is_connecting) {
		if (now_ms < db->not_before_ms)
			return -EIO; /* the reason is still the last attempt's */
		db->not_before_ms =
			now_ms + backoff_ms(INTERVAL_MIN_MS, INTERVAL_MAX_MS, db->attempts++);
		until_ms = now_ms + CONNECT_WAIT_MS;
	}
	return connect_to_any(db, until_ms) == 0 ? 0 : -EIO;
}
