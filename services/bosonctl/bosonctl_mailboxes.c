/*
 * bosonctl_mailboxes: see the header. A new service gets one row here.
 */
#include "bosonctl/bosonctl_mailboxes.h"

#include "config/config.h"
#include "discovery.pb-c.h"
#include "gateway.pb-c.h"
#include "metrics.pb-c.h"
#include "relay.pb-c.h"
#include "routing.pb-c.h"
#include "turn.pb-c.h"
#include "json/json_message.h"

#include <string.h>

static const struct {
	const char *name;
	const ProtobufCServiceDescriptor *descriptor;
} mailboxes[] = {
	{ "gateway", &boson__gateway__gateway__descriptor },
	{ "discovery", &boson__discovery__discovery__descriptor },
	{ "routing", &boson__routing__routing__descriptor },
	{ "relay", &boson__relay__relay__descriptor },
	{ "metrics", &boson__metrics__metrics__descriptor },
	{ "turn", &boson__turn__turn__descriptor },
};

enum { MAILBOXES = sizeof(mailboxes) / sizeof(mailboxes[0]), NAMES_MAX = 64 };

const ProtobufCServiceDescriptor *
mailbox_find(const char *name)
{
	for (size_t i = 0; i < MAILBOXES; i++) {
		if (strcmp(mailboxes[i].name, name) == 0)
			return mailboxes[i].descriptor;
	}
	return NULL;
}

int
mailbox_rpc_find(const ProtobufCServiceDescriptor *mailbox, const char *rpc)
{
	for (unsigned int i = 0; i < mailbox->n_methods; i++) {
		if (strcmp(mailbox->methods[i].name, rpc) == 0)
			return (int)i;
	}
	return -1;
}

static void
list_fields(FILE *file, const ProtobufCMessageDescriptor *input)
{
	fputs(" {", file);
	for (unsigned int i = 0; i < input->n_fields; i++) {
		char name[JSON_NAME_BYTES];
		json_field_name(&input->fields[i], name);
		fprintf(file, "%s%s", i > 0 ? ", " : "", name);
	}
	fputs("}\n", file);
}

void
mailbox_list(FILE *file)
{
	for (size_t i = 0; i < MAILBOXES; i++) {
		const ProtobufCServiceDescriptor *mailbox = mailboxes[i].descriptor;
		for (unsigned int k = 0; k < mailbox->n_methods; k++) {
			fprintf(file, "  %s %s", mailboxes[i].name, mailbox->methods[k].name);
			list_fields(file, mailbox->methods[k].input);
		}
	}
}

const char *
mailbox_nearest(const ProtobufCServiceDescriptor *mailbox, const char *typed)
{
	const char *names[NAMES_MAX + 1] = { NULL };
	size_t n = 0;
	if (mailbox) {
		for (; n < mailbox->n_methods && n < NAMES_MAX; n++)
			names[n] = mailbox->methods[n].name;
	} else {
		for (; n < MAILBOXES; n++)
			names[n] = mailboxes[n].name;
	}
	return config_nearest(typed, names);
}
