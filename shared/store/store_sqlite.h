/*
 * store_sqlite: one SQLite connection, between its opening (store_sqlite_open.c) and its use
 * (store_sqlite.c). Only shared/store includes this.
 */
#pragma once

#include "store/store_driver.h"

#include <sqlite3.h>

enum { SQLITE_STATEMENTS_MAX = 128, SQLITE_REASON_BYTES = 256 };

struct statement {
	sqlite3_stmt *prepared;
	uint64_t used_at; /* a counter; the lowest is replaced */
	bool is_busy;	  /* a query is in the midst of it */
};

struct sqlite {
	sqlite3 *handle;
	int lock_fd;
	struct statement statements[SQLITE_STATEMENTS_MAX];
	uint64_t uses;
	char reason[SQLITE_REASON_BYTES];
};

/* The driver's own. */
int store_sqlite_check(const char *location, char *ret_error, size_t error_bytes);
int store_sqlite_open(const char *location, void **ret, char *ret_error, size_t error_bytes);
void store_sqlite_close(void *db);
int store_sqlite_script(void *db, const char *sql);
