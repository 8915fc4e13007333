/* Derives the endpoints of a product's services. See service_bus.h. */
#include "service/service_bus.h"

#include "log/text_file.h"
#include "net/address.h"
#include "service/service.h"
#include "service/service_config.h"
#include "service/service_curve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { NAME_BYTES = 64, SERVICES_MAX = 8, IPC_PATH_MAX_BYTES = 107 };

struct mailbox {
	const char *service;
	char *router;
	char *events;
	char server_key[SERVICE_CURVE_TEXT_BYTES];
	bool is_tcp;
};

struct service_bus {
	struct mailbox mailboxes[SERVICES_MAX];
	size_t n;
	struct mailbox bind; /* of [bus] bind; its router is NULL when there is none */
	struct service_curve *curve;
};

struct making {
	const struct config *config;
	bool is_inproc_default;
	char *error;
	size_t error_bytes;
};

static bool
starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool
ends_with(const char *text, const char *suffix)
{
	size_t n = strlen(text), suffix_n = strlen(suffix);

	return n >= suffix_n && strcmp(text + n - suffix_n, suffix) == 0;
}

static int
write_events(FILE *file, const char *router)
{
	const char *colon = strrchr(router, ':');
	uint16_t port;

	if (starts_with(router, "tcp://")) {
		if (address_parse_port(colon + 1, strlen(colon + 1), &port) < 0 ||
		    port == UINT16_MAX)
			return -EINVAL;
		fprintf(file, "%.*s:%u", (int)(colon - router), router, port + 1U);
	} else if (starts_with(router, "ipc://") && ends_with(router, ".sock")) {
		fprintf(file, "%.*s-events.sock", (int)strlen(router) - 5, router);
	} else {
		fprintf(file, "%s-events", router);
	}
	return 0;
}

int
service_bus_events_beside(const char *endpoints, char **ret)
{
	char *copy = strdup(endpoints), *rest = copy, *item, *events = NULL;
	struct text_file file = { 0 };
	const char *comma = "";
	bool is_open = copy != NULL && text_file_open(&file) == 0;
	int r = is_open ? 0 : -ENOMEM;

	while (r == 0 && (item = strsep(&rest, ",")) != NULL) {
		item += strspn(item, " \t");
		item[strcspn(item, " \t")] = '\0';
		fputs(comma, file.stream);
		r = write_events(file.stream, item);
		comma = ",";
	}
	if (is_open && text_file_close(&file, &events, NULL) < 0)
		r = -ENOMEM;
	free(copy);
	if (r < 0)
		free(events);
	else
		*ret = events;
	return r;
}

static bool
has_long_path(const char *endpoints)
{
	for (const char *at = endpoints; *at != '\0'; at += *at == ',') {
		size_t n = strcspn(at, ",");

		if (starts_with(at, "ipc://") && n - strlen("ipc://") > IPC_PATH_MAX_BYTES)
			return true;
		at += n;
	}
	return false;
}

/* malloc'd, or NULL. */
static char *
make_router(const struct making *making, const char *service)
{
	const char *configured = config_string(making->config, "bus", service);
	char *router = NULL;
	int n;

	if (*configured != '\0')
		return strdup(configured);
	if (making->is_inproc_default)
		n = asprintf(&router, "inproc://%s", service);
	else
		n = asprintf(&router, "ipc://%s/%s.sock",
			     config_string(making->config, "service", "run"), service);
	return n >= 0 ? router : NULL;
}

/* router: malloc'd, taken. */
static int
make_endpoints(const struct making *making, struct mailbox *mailbox, char *router)
{
	mailbox->router = router;
	int r = router != NULL ? service_bus_events_beside(router, &mailbox->events) : -ENOMEM;
	if (r == -EINVAL) {
		snprintf(making->error, making->error_bytes,
			 "[bus] %s = %s: has no port after it, where its events would be",
			 mailbox->service, router);
		return EX_CONFIG;
	}
	if (r < 0) {
		snprintf(making->error, making->error_bytes, "out of memory");
		return EX_OSERR;
	}
	mailbox->is_tcp = strstr(mailbox->router, "tcp://") != NULL;
	if (!has_long_path(mailbox->events))
		return EX_OK;
	snprintf(making->error, making->error_bytes, "%s: too long for a unix socket",
		 mailbox->events);
	return EX_CONFIG;
}

static int
make_mailbox(const struct making *making, const char *service, struct mailbox *mailbox)
{
	char name[NAME_BYTES];
	const char *key;

	mailbox->service = service;
	snprintf(name, sizeof(name), "%s_key", service);
	key = config_string(making->config, "bus", name);
	if (*key != '\0' && !service_curve_key_is_valid(key)) {
		snprintf(making->error, making->error_bytes,
			 "[bus] %s: must be 40 characters of Z85", name);
		return EX_CONFIG;
	}
	snprintf(mailbox->server_key, sizeof(mailbox->server_key), "%s", key);
	return make_endpoints(making, mailbox, make_router(making, service));
}

static int
make_bind(const struct making *making, struct service_bus *bus)
{
	const char *bind = config_string(making->config, "bus", "bind");

	bus->bind.service = "bind";
	return *bind == '\0' ? EX_OK : make_endpoints(making, &bus->bind, strdup(bind));
}

static int
check_secret(const struct making *making, const struct mailbox *mailbox, const char *secret)
{
	if (!mailbox->is_tcp || *secret != '\0')
		return EX_OK;
	snprintf(making->error, making->error_bytes,
		 "[bus] %s = %s: a tcp mailbox needs [bus] curve_secret", mailbox->service,
		 mailbox->router);
	return EX_CONFIG;
}

static int
make_all(const struct making *making, const char *product, struct service_bus *bus)
{
	const char *secret = config_string(making->config, "bus", "curve_secret");
	const char *allow = config_string(making->config, "bus", "curve_allow");

	for (const char *const *name = service_names(product); *name != NULL; name++) {
		struct mailbox *mailbox = &bus->mailboxes[bus->n++];
		int result = make_mailbox(making, *name, mailbox);

		if (result == EX_OK)
			result = check_secret(making, mailbox, secret);
		if (result != EX_OK)
			return result;
	}
	int result = make_bind(making, bus);
	if (result == EX_OK)
		result = check_secret(making, &bus->bind, secret);
	if (result != EX_OK || *secret == '\0')
		return result;
	return service_curve_load(secret, allow, &bus->curve, making->error, making->error_bytes);
}

int
service_bus_new(const struct config *config, const char *product, bool inproc_default,
		struct service_bus **ret, char *ret_error, size_t error_bytes)
{
	struct making making = { config, inproc_default, ret_error, error_bytes };
	struct service_bus *bus = calloc(1, sizeof(*bus));
	int result;

	if (bus == NULL) {
		snprintf(ret_error, error_bytes, "out of memory");
		return EX_OSERR;
	}
	result = make_all(&making, product, bus);
	if (result != EX_OK) {
		service_bus_free(&bus);
		return result;
	}
	*ret = bus;
	return EX_OK;
}

void
service_bus_free(struct service_bus **bus)
{
	if (*bus == NULL)
		return;
	for (size_t i = 0; i < (*bus)->n; i++) {
		free((*bus)->mailboxes[i].router);
		free((*bus)->mailboxes[i].events);
	}
	free((*bus)->bind.router);
	free((*bus)->bind.events);
	service_curve_free(&(*bus)->curve);
	free(*bus);
	*bus = NULL;
}

static const struct mailbox *
find(const struct service_bus *bus, const char *service)
{
	for (size_t i = 0; i < bus->n; i++)
		if (strcmp(bus->mailboxes[i].service, service) == 0)
			return &bus->mailboxes[i];
	return NULL;
}

const char *
service_bus_endpoint(const struct service_bus *bus, const char *service)
{
	const struct mailbox *mailbox = find(bus, service);

	return mailbox != NULL ? mailbox->router : NULL;
}

const char *
service_bus_event_endpoint(const struct service_bus *bus, const char *service)
{
	const struct mailbox *mailbox = find(bus, service);

	return mailbox != NULL ? mailbox->events : NULL;
}

/* Where a service of this program opens its own mailbox and events: [bus] bind, or as the others
 * find it. */
static const char *
own_endpoint(const struct service_bus *bus, const char *service)
{
	return bus->bind.router != NULL ? bus->bind.router : service_bus_endpoint(bus, service);
}

static const char *
own_event_endpoint(const struct service_bus *bus, const char *service)
{
	return bus->bind.router != NULL ? bus->bind.events
					: service_bus_event_endpoint(bus, service);
}

int
service_bus_check_own(const struct service_bus *bus, const char *service, size_t n, char *ret_error,
		      size_t error_bytes)
{
	const char *endpoint = service_bus_endpoint(bus, service);

	if (bus->bind.router != NULL && n > 1) {
		snprintf(ret_error, error_bytes,
			 "[bus] bind: is for a program of one service, this one has %zu", n);
		return EX_CONFIG;
	}
	if (bus->bind.router != NULL || endpoint == NULL || strchr(endpoint, ',') == NULL)
		return EX_OK;
	snprintf(ret_error, error_bytes,
		 "[bus] %s names several: [bus] bind must say which of them this is", service);
	return EX_CONFIG;
}

const char *
service_bus_server_key(const struct service_bus *bus, const char *service)
{
	const struct mailbox *mailbox = find(bus, service);

	if (mailbox == NULL || !mailbox->is_tcp || mailbox->server_key[0] == '\0')
		return NULL;
	return mailbox->server_key;
}

const struct bus_security *
service_bus_security(const struct service_bus *bus)
{
	return bus->curve != NULL ? service_curve_security(bus->curve) : NULL;
}

const char *
actor_endpoint(const struct actor_context *context, const char *service)
{
	if (strcmp(service, context->name) == 0)
		return own_endpoint(context->endpoints, service);
	return service_bus_endpoint(context->endpoints, service);
}

const char *
actor_event_endpoint(const struct actor_context *context, const char *service)
{
	if (strcmp(service, context->name) == 0)
		return own_event_endpoint(context->endpoints, service);
	return service_bus_event_endpoint(context->endpoints, service);
}

const char *
actor_server_key(const struct actor_context *context, const char *service)
{
	return service_bus_server_key(context->endpoints, service);
}

const char *
actor_own_key(const struct actor_context *context)
{
	const struct bus_security *security = service_bus_security(context->endpoints);

	return security != NULL ? security->public_key : NULL;
}
