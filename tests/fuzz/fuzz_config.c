/*
 * Any bytes as a configuration file. What is taken can be asked for, each value in its own way;
 * what is refused is so in one printable line.
 */
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INPUT_MAX_BYTES = 8192 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const choices[] = { "one", "two", NULL };
static const struct config_key keys[] = {
	{ "a", "text", CONFIG_STRING, "x", 0, 0, NULL, "" },
	{ "a", "truth", CONFIG_BOOL, "no", 0, 0, NULL, "" },
	{ "a", "number", CONFIG_INT, "1", -5, 1000, NULL, "" },
	{ "a", "time", CONFIG_DURATION, "1s", 0, 86400000, NULL, "" },
	{ "a", "size", CONFIG_BYTES, "1KiB", 0, 1 << 30, NULL, "" },
	{ "a", "address", CONFIG_ADDRESS, "127.0.0.1:1", 0, 0, NULL, "" },
	{ "b", "endpoint", CONFIG_ENDPOINT, "inproc://x", 0, 0, NULL, "" },
	{ "b", "endpoints", CONFIG_ENDPOINTS, "", 0, 0, NULL, "" },
	{ "b", "url", CONFIG_URL, "https://x", 0, 0, NULL, "" },
	{ "b", "networks", CONFIG_CIDRS, "", 8, 0, NULL, "" },
	{ "b", "list", CONFIG_LIST, "", 0, 0, NULL, "" },
	{ "b", "choice", CONFIG_ENUM, "one", 0, 0, choices, "" },
	{ "b", "interface", CONFIG_IFNAME, "lo", 0, 0, NULL, "" },
	{ "b", "ports", CONFIG_PORTS, "", 0, 0, NULL, "" },
	{ "b", "path", CONFIG_PATH, "/x", 0, 0, NULL, "" },
	{ 0 },
};

static void
require(bool holds)
{
	if (!holds)
		abort();
}

static void
check_values(const struct config *config)
{
	char host[256];
	uint16_t port;
	int64_t number = config_int(config, "a", "number");
	const char *choice = config_string(config, "b", "choice");

	require(number >= -5 && number <= 1000);
	require(config_int(config, "a", "time") >= 0 &&
		config_int(config, "a", "time") <= 86400000);
	require(config_int(config, "a", "size") >= 0 && config_int(config, "a", "size") <= 1 << 30);
	require(strcmp(choice, "one") == 0 || strcmp(choice, "two") == 0);
	require(strlen(config_string(config, "b", "interface")) <= 15);
	(void)config_bool(config, "a", "truth");
	config_address(config, "a", "address", host, sizeof(host), &port);
	static const char *const lists[] = { "networks", "list", "ports" };
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (const char *const *item = config_list(config, "b", lists[i]); *item != NULL;
		     item++)
			require((*item)[0] != '\0' && strchr(*item, '\n') == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct config_key *const tables[] = { keys, NULL };
	static const char *const others[] = { "other", NULL };
	static const struct config_schema schema = { "FUZZ", others, tables };
	struct config *config = NULL;
	char path[32], error[256] = "";

	if (n > INPUT_MAX_BYTES)
		return 0;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0600) < 0 || write(fd, data, n) != (ssize_t)n)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int code = config_load(path, &schema, &config, error, sizeof(error));
	close(fd);
	if (code == 0) {
		check_values(config);
		config_free(&config);
		return 0;
	}
	require(code == CONFIG_EXIT_CONFIG && config == NULL && error[0] != '\0');
	for (const char *c = error; *c != '\0'; c++)
		require((unsigned char)*c >= ' ' && *c != 0x7f);
	return 0;
}
