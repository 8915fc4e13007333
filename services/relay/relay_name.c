/*
 * relay_name: what this relay is called, and where others are told to find it.
 */
#include "relay/relay_control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
relay_name_load(struct relay_control *control)
{
	char path[PATH_MAX];
	int fd, r = 0;

	if (*control->settings.id != '\0') {
		snprintf(control->id, sizeof(control->id), "%s", control->settings.id);
		return 0;
	}
	snprintf(path, sizeof(path), "%s/relay.id", control->context->state_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, control->id, UUID_TEXT_BYTES - 1);
	uint8_t id[UUID_BYTES];
	if (n != UUID_TEXT_BYTES - 1 || uuid_parse(control->id, id) < 0) {
		r = uuid_generate_text(control->id);
		if (r == 0 &&
		    (ftruncate(fd, 0) < 0 || pwrite(fd, control->id, UUID_TEXT_BYTES - 1, 0) < 0 ||
		     fsync(fd) < 0))
			r = -errno;
	}
	close(fd);
	return r;
}

void
relay_name_endpoints(struct relay_control *control)
{
	const struct relay_settings *settings = &control->settings;
	const char *announced = settings->announce_bus;
	size_t n = RELAY_URL_BYTES;

	if (*settings->public_url != '\0') {
		snprintf(control->public_url, n, "%s", settings->public_url);
		for (size_t end = strlen(control->public_url);
		     end > 0 && control->public_url[end - 1] == '/'; end--)
			control->public_url[end - 1] = '\0';
	} else {
		bool is_v6 = strchr(settings->host, ':') != NULL;
		snprintf(control->public_url, n, "%s://%s%.256s%s:%u",
			 control->tls != NULL ? "wss" : "ws", is_v6 ? "[" : "", settings->host,
			 is_v6 ? "]" : "", control->port);
	}
	if (*announced == '\0') {
		snprintf(control->bus_endpoint, n, "%s", actor_endpoint(control->context, "relay"));
		snprintf(control->event_endpoint, n, "%s",
			 actor_event_endpoint(control->context, "relay"));
		return;
	}
	snprintf(control->bus_endpoint, n, "%s", announced);
	const char *port = strrchr(announced, ':');
	if (strncmp(announced, "tcp://", 6) == 0 && port != NULL)
		snprintf(control->event_endpoint, n, "%.*s:%lu", (int)(port - announced), announced,
			 strtoul(port + 1, NULL, 10) + 1);
	else
		snprintf(control->event_endpoint, n, "%.300s-events", announced);
}
