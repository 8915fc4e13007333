/*
 * relay_name: what this relay is called, and where others are told to find it.
 */
#include "relay/relay_control.h"
#include "service/service_bus.h"

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

static void
name_public_url(struct relay_control *control)
{
	const struct relay_settings *settings = &control->settings;
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
}

int
relay_name_endpoints(struct relay_control *control)
{
	const char *announced = control->settings.announce_bus;
	char *events;
	int r;

	if (*announced == '\0')
		announced = actor_endpoint(control->context, "relay");
	r = service_bus_events_beside(announced, &events);
	if (r < 0)
		return r;
	snprintf(control->bus_endpoint, RELAY_URL_BYTES, "%s", announced);
	snprintf(control->event_endpoint, RELAY_URL_BYTES, "%s", events);
	free(events);
	name_public_url(control);
	return 0;
}
