/*
 * store_fixture: a folder of its own for each test, and a small schema to write to.
 */
#pragma once

#include "store/store.h"

extern const struct store_migration fixture_migrations[];
extern const size_t fixture_migrations_n;

extern char fixture_path[128]; /* of the database */
extern char fixture_url[160];
extern char fixture_error[512];

/* cmocka's setup and teardown: makes and removes the folder. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Opens fixture_url with fixture_migrations; fails the test when it cannot. */
struct store *fixture_open(void);

/* INSERT INTO item; the result of store_exec. */
int fixture_add(struct store *store, int64_t id);

/* SELECT count(*) FROM item; negative on error. */
int64_t fixture_count(struct store *store);
