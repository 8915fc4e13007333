/*
 * config: a file of sections and `key = value` lines, read against a schema table of type, range,
 * default and help. Code, --help, the -n check and the documentation all come from the table.
 *
 *	[relay]
 *	listen = 0.0.0.0:443      # comment
 *
 * One file may serve all services of a product: sections of services that this program does not run
 * are passed over when they are listed as known, anything else unknown is an error with the nearest
 * name. `BOSON_RELAY_LISTEN` (prefix_SECTION_KEY) overrides the file. `$`, quotes and backslashes
 * are taken literally; CRLF is accepted; a key twice is an error that names both lines. A value may
 * be empty where its default is, and lists may always be. There is no include.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
	CONFIG_STRING,
	CONFIG_BOOL,	  /* yes, no, true, false, on, off */
	CONFIG_INT,	  /* min..max */
	CONFIG_DURATION,  /* "250ms" "10s" "5m" "2h" "7d": unit required; ms; min..max, or up to 10
			     years */
	CONFIG_BYTES,	  /* "64KiB" "1MiB" "1GiB", or plain bytes; min..max */
	CONFIG_ADDRESS,	  /* host:port or [v6]:port; port 0..65535 */
	CONFIG_ENDPOINT,  /* inproc://name, ipc:///path, tcp://host:port; port 1..65534 */
	CONFIG_ENDPOINTS, /* up to 16 of them, separated by commas: replicas */
	CONFIG_PATH,
	CONFIG_URL,    /* http, https, ws, wss, stun, turn; a host, no user:password@ */
	CONFIG_CIDRS,  /* networks as 10.0.0.0/8, no host bits; min: the shortest prefix */
	CONFIG_LIST,   /* strings separated by commas; may be empty */
	CONFIG_ENUM,   /* one of choices */
	CONFIG_IFNAME, /* at most 15 of [a-zA-Z0-9_.-] */
	CONFIG_PORTS,  /* a list of ports 1..65535 and ranges "135-139"; may be empty */
};

struct config_key {
	const char *section;
	const char *name;
	enum config_type type;
	const char *default_value;  /* as text; NULL: the key is required */
	int64_t min, max;	    /* of INT, DURATION (ms), BYTES; both 0: no range */
	const char *const *choices; /* of ENUM; of others, words allowed instead of a value, such as
				       "off"; NULL-terminated */
	const char *help;	    /* one line */
};

struct config_schema {
	const char *env_prefix; /* "BOSON" or "HIGGS" */
	const char *const
		*other_sections; /* known, but not this program's; NULL-terminated; may be NULL */
	const struct config_key *const *tables; /* NULL-terminated list of tables ending in {0} */
};

struct config;

/* Exit codes of sysexits.h that config_load returns (positive). */
enum config_exit {
	CONFIG_OK = 0,
	CONFIG_EXIT_NOINPUT = 66,
	CONFIG_EXIT_NOPERM = 77,
	CONFIG_EXIT_CONFIG = 78
};

/* path NULL: defaults and environment only. On failure a one-line reason with file:line is written
 * to ret_error (error_bytes) and an exit code returned. */
int config_load(const char *path, const struct config_schema *schema, struct config **ret,
		char *ret_error, size_t error_bytes);
void config_free(struct config **config);

/* Values were checked when loaded: these cannot fail. Asking for a key that is not in the schema is
 * a defect and aborts. Strings are the config's. */
const char *config_string(const struct config *config, const char *section, const char *name);
bool config_bool(const struct config *config, const char *section, const char *name);
int64_t config_int(const struct config *config, const char *section,
		   const char *name); /* INT, DURATION ms, BYTES */

/* LIST, CIDRS and PORTS: the items, NULL-terminated, the config's. */
const char *const *config_list(const struct config *config, const char *section, const char *name);

/* host without brackets, and port, of a CONFIG_ADDRESS; "" and 0 when it is empty or one of the
 * choices. host_bytes >= 256. */
void config_address(const struct config *config, const char *section, const char *name,
		    char *ret_host, size_t host_bytes, uint16_t *ret_port);

/* The schema as a commented sample file, to stdout's FILE: what --help shows and docs quote. */
void config_describe(const struct config_schema *schema, void *file);

/* The one of names (NULL-terminated) that word was likely meant to be, or NULL: for "did you mean".
 */
const char *config_nearest(const char *word, const char *const *names);

/* "an integer from 1 to 10": what a key takes, for people. */
void config_key_describe(const struct config_key *key, char *ret_text, size_t text_bytes);
