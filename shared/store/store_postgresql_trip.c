/*
 * store_postgresql_trip: several steps in one round trip, by libpq's pipeline, and never without a
 * deadline: a stopped server keeps its connections open and says nothing.
 */
#include "store/store_postgresql.h"

#include "loop/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
	/* a little more than the server's own statement_timeout, which is the gentler end */
	SERVING_DEADLINE_MS = 2250,
	STARTING_DEADLINE_MS = 125 * 1000,
};

static int64_t
deadline_of(const struct postgresql *db)
{
	return clock_monotonic_ms() +
	       (db->phase == PG_SERVING ? SERVING_DEADLINE_MS : STARTING_DEADLINE_MS);
}

/* Until PQgetResult will not block. */
static int
await_result(struct postgresql *db, int64_t deadline_ms)
{
	for (;;) {
		int flushing = PQflush(db->connection);

		if (flushing < 0)
			break;
		if (flushing == 0 && !PQisBusy(db->connection))
			return 0;
		if (!pg_socket_wait(db->connection,
				    (short)(flushing > 0 ? POLLIN | POLLOUT : POLLIN),
				    deadline_ms)) {
			snprintf(db->reason, sizeof(db->reason), "no answer in time");
			pg_link_drop(db, true);
			return -EIO;
		}
		if (PQconsumeInput(db->connection) == 0)
			break;
	}
	pg_reason_set(db, "connection lost", PQerrorMessage(db->connection));
	pg_link_drop(db, false);
	return -EIO;
}

/* What the server says when it, and not the statement, is the matter. */
static bool
is_farewell(const char *sqlstate)
{
	return strncmp(sqlstate, "57P", 3) == 0 || /* it shuts down */
	       strcmp(sqlstate, "25006") == 0 ||   /* it is no primary any more */
	       strcmp(sqlstate, "57014") == 0;	   /* statement_timeout */
}

static void
note_failure(struct postgresql *db, const PGresult *result, struct pg_outcome *outcome)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (sqlstate == NULL || message == NULL) { /* libpq's own: the connection broke */
		pg_reason_set(db, "connection lost", PQresultErrorMessage(result));
		return;
	}
	snprintf(outcome->sqlstate, sizeof(outcome->sqlstate), "%s", sqlstate);
	pg_reason_set(db, sqlstate, message);
}

/* A result of the step that is next; true when it failed. */
static bool
take_result(struct postgresql *db, PGresult *result, size_t step, struct pg_outcome *outcome)
{
	switch (PQresultStatus(result)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY:
		PQclear(outcome->results[step]);
		outcome->results[step] = result;
		return false;
	case PGRES_FATAL_ERROR:
		note_failure(db, result, outcome);
		break;
	case PGRES_PIPELINE_ABORTED:
	case PGRES_NONFATAL_ERROR:
	case PGRES_BAD_RESPONSE:
	case PGRES_COPY_OUT:
	case PGRES_COPY_IN:
	case PGRES_COPY_BOTH:
	case PGRES_SINGLE_TUPLE:
	case PGRES_PIPELINE_SYNC:
		break;
	}
	PQclear(result);
	return true;
}

/* 0 when everything was answered, well or not; outcome->done says how far it went well. */
static int
collect(struct postgresql *db, size_t n, struct pg_outcome *outcome)
{
	int64_t deadline_ms = deadline_of(db);
	size_t step = 0;
	bool failed = false;

	for (;;) {
		PGresult *result;

		if (await_result(db, deadline_ms) < 0)
			return -EIO;
		result = PQgetResult(db->connection);
		if (result == NULL && PQstatus(db->connection) != CONNECTION_OK) {
			pg_link_drop(db, false);
			return -EIO;
		}
		if (result == NULL) { /* the end of a step */
			step += step < n ? 1 : 0;
			outcome->done += failed ? 0 : 1;
			continue;
		}
		if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
			PQclear(result);
			break;
		}
		failed = take_result(db, result, step, outcome) || failed;
	}
	if (PQexitPipelineMode(db->connection) != 1) {
		pg_reason_set(db, "pipeline", PQerrorMessage(db->connection));
		pg_link_drop(db, false);
		return -EIO;
	}
	if (!failed)
		return 0;
	if (outcome->done > 0 && outcome->done == n)
		outcome->done--; /* an autocommit failed at the very end */
	return 0;
}

static int
send_step(PGconn *connection, const struct pg_step *step)
{
	switch (step->kind) {
	case PG_CONTROL:
		return PQsendQueryParams(connection, step->sql, 0, NULL, NULL, NULL, NULL, 1);
	case PG_PREPARE:
		return PQsendPrepare(connection, step->name, step->sql, 0, NULL);
	case PG_EXECUTE:
		return PQsendQueryPrepared(connection, step->name, step->values->n,
					   step->values->bytes, step->values->lengths,
					   step->values->formats, 1);
	}
	return 0;
}

int
pg_trip(struct postgresql *db, const struct pg_step *steps, size_t n, struct pg_outcome *ret)
{
	int is_sent = PQenterPipelineMode(db->connection);

	memset(ret, 0, sizeof(*ret));
	db->is_warned = false;
	for (size_t i = 0; i < n && is_sent == 1; i++)
		is_sent = send_step(db->connection, &steps[i]);
	if (is_sent != 1 || PQpipelineSync(db->connection) != 1) {
		pg_reason_set(db, "send", PQerrorMessage(db->connection));
		pg_link_drop(db, false);
		return -EIO;
	}
	if (collect(db, n, ret) < 0)
		return -EIO;
	if (is_farewell(ret->sqlstate))
		pg_link_drop(db, strcmp(ret->sqlstate, "57014") == 0);
	return ret->done == n ? 0 : -EIO;
}

void
pg_outcome_fini(struct pg_outcome *outcome)
{
	for (size_t i = 0; i <= PG_STEPS_MAX; i++)
		PQclear(outcome->results[i]);
}

int
pg_trip_script(struct postgresql *db, const char *sql)
{
	struct pg_outcome outcome = { 0 };
	int64_t deadline_ms = deadline_of(db);
	bool failed = false;

	if (PQsendQuery(db->connection, sql) != 1) {
		pg_reason_set(db, "send", PQerrorMessage(db->connection));
		pg_link_drop(db, false);
		return -EIO;
	}
	for (;;) {
		PGresult *result;

		if (await_result(db, deadline_ms) < 0) {
			failed = true;
			break;
		}
		result = PQgetResult(db->connection);
		if (result == NULL)
			break;
		failed = take_result(db, result, 0, &outcome) || failed;
	}
	pg_outcome_fini(&outcome);
	return failed ? -EIO : 0;
}
