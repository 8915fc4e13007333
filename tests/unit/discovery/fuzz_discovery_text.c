/* Texts of strangers that discovery takes apart: addresses, endpoints, cursors of pages. */
#include "discovery/discovery_check.h"
#include "discovery/discovery_page.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX_BYTES = 512, EPOCH = 0x0badcafe };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
require(bool holds)
{
	if (!holds)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char text[TEXT_MAX_BYTES + 1], host[CHECK_HOST_BYTES], again[PAGE_CURSOR_BYTES];
	struct page_position position;
	const char *protocol;
	unsigned int port;

	if (n > TEXT_MAX_BYTES || memchr(data, '\0', n) != NULL)
		return 0;
	memcpy(text, data, n);
	text[n] = '\0';
	port = 1;
	if (discovery_check_split_host_port(text, host, &port) == 0)
		require(host[0] != '\0' && strlen(host) < CHECK_HOST_BYTES && port >= 1 &&
			port <= 65535);
	if (discovery_check_split_endpoint(text, &protocol, host, &port) == 0)
		require(strncmp(text, protocol, strlen(protocol)) == 0 &&
			strstr(text, host) != NULL && strchr(host, '/') == NULL && port >= 1 &&
			port <= 65535);
	if (discovery_check_is_mapped_address(text))
		require(strpbrk(text, " \r\n/") == NULL);
	require(!discovery_check_is_node_address(text, true) ||
		!discovery_check_is_node_address(text, false));
	(void)field_is_country(text);
	if (discovery_page_position_parse(text, EPOCH, &position) == 0) {
		discovery_page_position_format(&position, EPOCH, again);
		require(strcmp(again, text) == 0);
	}
	return 0;
}
