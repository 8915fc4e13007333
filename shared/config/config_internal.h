/*
 * config_internal: what the files of shared/config share. Not for others.
 */
#pragma once

#include "config/config.h"

enum {
	CONFIG_FILE_MAX_BYTES = 1024 * 1024,
	CONFIG_REASON_BYTES = 256,
	CONFIG_HOST_BYTES = 256,
	CONFIG_PORT_MAX = 65535,
};

/* Where an error text goes. */
struct config_error {
	char *text;
	size_t bytes;
};

/* Writes "path:line: ..." ; control bytes of the input become '?'. Returns exit_code. */
int config_fail(const struct config_error *error, int exit_code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* One `key = value` line; all texts are the reader's and may be changed until it goes on. */
struct config_line {
	const char *path;
	unsigned number;
	const char *section; /* "" before the first [section] */
	const char *name;
	const char *value; /* trimmed, comment removed */
};

struct config_reader {
	/* A `[section]` line; non-zero is an exit code that ends the reading. */
	int (*on_section)(const struct config_line *line, void *arg);
	int (*on_value)(const struct config_line *line, void *arg);
	void *arg;
};

int config_file_read(const char *path, const struct config_reader *reader,
		     const struct config_error *error);

/* A checked value. list is NULL-terminated and points into list_text. */
struct config_value {
	char *text;
	int64_t number; /* BOOL, INT, DURATION ms, BYTES */
	char **list;
	char *list_text;
};

/* 0, or -EINVAL with a reason ("must be an integer from 1 to 10"), or -ENOMEM. */
int config_value_parse(const struct config_key *key, const char *text, struct config_value *ret,
		       char ret_reason[CONFIG_REASON_BYTES]);
void config_value_fini(struct config_value *value);

/* Only decimal digits, with a '-' before them if is_signed; -EINVAL, -ERANGE. */
int config_parse_integer(const char *text, size_t n, bool is_signed, int64_t *ret);

/* Checks of the network types: 0 or -EINVAL with a reason. */
int config_address_split(const char *text, char *ret_host, size_t host_bytes, uint16_t *ret_port);
int config_address_check(const char *text, char *ret_reason);
int config_endpoint_check(const char *text, char *ret_reason);
int config_url_check(const char *text, char *ret_reason);
int config_cidr_check(const char *text, int64_t prefix_min, char *ret_reason);
int config_port_range_check(const char *text, char *ret_reason);
int config_ifname_check(const char *text, char *ret_reason);
