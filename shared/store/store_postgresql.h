/*
 * store_postgresql: one PostgreSQL connection, between its URL (store_postgresql_url.c), its coming
 * and going (store_postgresql_link.c), round trips with a deadline (store_postgresql_trip.c),
 * values (store_postgresql_values.c) and its use (store_postgresql.c). Only shared/store includes
 * this.
 */
#pragma once

#include "store/store_driver.h"

#include <libpq-fe.h>

enum {
	PG_SCHEMA_BYTES = 64,
	PG_PARAMETERS_MAX = 64,
	PG_STATEMENTS_MAX = 128,
	PG_STEPS_MAX = 5,
	PG_REASON_BYTES = 256,
	PG_SQLSTATE_BYTES = 6,
};

/* ---- the URL ---- */

struct pg_target {
	PQconninfoOption *options; /* libpq's part of the URL */
	size_t hosts_n;		   /* 1 or more: a list of hosts is tried in turn */
	char schema[PG_SCHEMA_BYTES];
};

/* 0, or -EINVAL with a reason that quotes no part of the URL that could be a secret. */
int pg_target_parse(const char *location, struct pg_target *ret, char *ret_error,
		    size_t error_bytes);
void pg_target_fini(struct pg_target *target);

/* Begins to connect to host number i. session: settings, as "-c name=value ...". NULL: no memory.
 */
PGconn *pg_target_connect(const struct pg_target *target, size_t i, const char *session);

/* ---- the connection ---- */

enum pg_phase {
	PG_STARTING, /* migrations and loading: statements may take their time */
	PG_LOADED,   /* migrations are done */
	PG_SERVING,  /* from the first batch on somebody waits for each answer */
};

struct postgresql {
	struct pg_target target;
	enum pg_phase phase;

	PGconn *connection; /* NULL: none */
	bool is_connecting;
	PostgresPollingStatusType polling;
	size_t host;		     /* the one tried or used */
	int64_t connect_deadline_ms; /* of this attempt */
	int64_t not_before_ms;	     /* for the next attempt */
	unsigned attempts;	     /* since it was last connected: ever more seldom */

	struct pg_statement {
		char *sql;
		unsigned number;
	} statements[PG_STATEMENTS_MAX];
	size_t statements_n;
	unsigned statement_last;

	bool is_warned; /* the server said WARNING */
	char reason[PG_REASON_BYTES];
};

/* Opens the first connection, waiting for each host. 0 or -EIO. */
int pg_link_open(struct postgresql *db);
void pg_link_close(struct postgresql *db);

/* Sees to a connection, waiting a moment for a new one at most; at once -EIO while it is too early
 * for another attempt. */
int pg_link_ready(struct postgresql *db);

/* The first batch: from now on with short timeouts. 0 or -EIO. */
int pg_link_serve(struct postgresql *db);

/* Gives the connection up. A server that is too slow is left alone for a while. */
void pg_link_drop(struct postgresql *db, bool is_slow);

/* ---- values ---- */

struct pg_values {
	int n;
	const char *bytes[PG_PARAMETERS_MAX];
	int lengths[PG_PARAMETERS_MAX], formats[PG_PARAMETERS_MAX];
	char numbers[PG_PARAMETERS_MAX][32];
};

/* values stay the caller's and must outlive ret. 0, or -EIO and db->reason. */
int pg_values_put(struct postgresql *db, const struct store_value *values, size_t n,
		  struct pg_values *ret);

/* As store_query. */
int pg_rows_read(struct postgresql *db, const PGresult *result, store_row_fn fn, void *arg);

/* ---- round trips ---- */

struct pg_step {
	enum { PG_CONTROL, PG_PREPARE, PG_EXECUTE } kind;
	const char *sql;		/* of CONTROL and PREPARE */
	const char *name;		/* of PREPARE and EXECUTE */
	const struct pg_values *values; /* of EXECUTE */
};

struct pg_outcome {
	PGresult *results[PG_STEPS_MAX + 1]; /* of each step; one more for the end */
	size_t done;			     /* steps that succeeded */
	char sqlstate[PG_SQLSTATE_BYTES];    /* of the one that did not; "" when the link broke */
};

/* All steps in one round trip; after the first that fails none is run. 0, or -EIO and db->reason.
 * A broken or late connection has been dropped. pg_outcome_fini frees the results in any case. */
int pg_trip(struct postgresql *db, const struct pg_step *steps, size_t n, struct pg_outcome *ret);
void pg_outcome_fini(struct pg_outcome *outcome);

/* Several statements without parameters. */
int pg_trip_script(struct postgresql *db, const char *sql);

/* Waits for the socket until deadline_ms. True when it is ready. */
bool pg_socket_wait(const PGconn *connection, short events, int64_t deadline_ms);

/* The first line of a message of libpq's. */
void pg_reason_set(struct postgresql *db, const char *what, const char *message);
