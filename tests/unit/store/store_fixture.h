/*
 * store_fixture: a database of its own for each test, and a small schema to write to. The first
 * argument of a test program chooses: `sqlite`, a file (the default), or `postgresql`, a schema of
 * a server that the program starts and ends.
 */
#pragma once

#include "store/store.h"

#include "../../servers/servers.h"

#include <sys/types.h>

extern const struct store_migration fixture_migrations[];
extern const size_t fixture_migrations_n;

extern char fixture_path[128]; /* of the database, where it is a file */
extern char fixture_url[SERVERS_URL_BYTES];
extern char fixture_error[512];

/* First and last of a program. 0, or what to exit with: 77 when there is no such server here. */
int fixture_begin(int argc, char **argv);
int fixture_end(int failed);
bool fixture_is_postgresql(void);
struct servers *fixture_servers(void);

/* cmocka's setup and teardown: makes and removes the database. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Opens fixture_url with fixture_migrations; fails the test when it cannot. */
struct store *fixture_open(void);

/* INSERT INTO item; the result of store_exec. */
int fixture_add(struct store *store, int64_t id);

/* SELECT count(*) FROM item; negative on error. */
int64_t fixture_count(struct store *store);

/* Waits until PostgreSQL has noticed that all other clients are gone: what a killed one asked for
 * last may still be under way. */
void fixture_wait_alone(struct store *store);

/* A child that writes batches of BATCH_ROWS rows from this batch on, telling each that was
 * committed. */
enum { FIXTURE_BATCH_ROWS = 8 };
struct fixture_writer {
	pid_t child;
	int acknowledged_fd;
	int64_t last; /* batch that was told */
};
void fixture_writer_start(struct fixture_writer *writer, int64_t first_batch);
/* Waits until it has told so many more. */
void fixture_writer_wait(struct fixture_writer *writer, int n);
/* Reads what it told until it is gone, and collects it. */
void fixture_writer_finish(struct fixture_writer *writer);
