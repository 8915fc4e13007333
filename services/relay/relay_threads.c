/*
 * relay_threads: shards before doors, which send to them; ended in the reverse.
 */
#include "relay/relay_threads.h"

#include "relay/relay_control.h"
#include "relay/relay_udp_control.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static int
open_verifier(const struct relay_control *control, struct ticket_verifier **ret)
{
	char node_key[PATH_MAX], session_key[PATH_MAX];

	snprintf(node_key, sizeof(node_key), "%s/ticket-node.pub", control->context->keys_dir);
	snprintf(session_key, sizeof(session_key), "%s/ticket-session.pub",
		 control->context->keys_dir);
	return ticket_verifier_open(node_key, session_key, control->settings.group, ret);
}

static int
make_shards(struct relay_control *control)
{
	for (unsigned i = 0; i < control->settings.shards; i++) {
		int r = relay_shard_new(i, &control->settings, control->tls, &control->reports, -1,
					NULL, &control->shards[i]);

		if (r < 0)
			return r;
		control->shard_count++;
	}
	return 0;
}

static int
make_door(struct relay_control *control, int listen_fd)
{
	struct ticket_verifier *verifier = NULL;
	unsigned i = control->shard_count + control->door_count;
	int r = open_verifier(control, &verifier);

	if (r < 0) {
		close(listen_fd);
		return r;
	}
	r = relay_shard_new(i, &control->settings, control->tls, &control->reports, listen_fd,
			    verifier, &control->shards[i]);
	control->door_count += r == 0;
	return r;
}

static int
make_doors(struct relay_control *control)
{
	unsigned count = relay_accept_doors(control->shard_count);
	int fds[RELAY_DOORS_MAX];
	int r = relay_accept_listen(&control->settings, count, fds, &control->port);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < count; i++)
		if (r == 0)
			r = make_door(control, fds[i]);
		else
			close(fds[i]);
	return r;
}

/* Relays of one process speak to nobody over inproc: there is no mesh then. */
static int
start_mesh(struct relay_control *control)
{
	const struct actor_context *context = control->context;
	int r = relay_mesh_new(context->bus, actor_endpoint(context, "relay"), control->id,
			       &control->settings, &control->mesh);

	if (r == -EINVAL)
		return 0;
	for (unsigned i = 0; r == 0 && i < control->shard_count; i++)
		control->shards[i]->mesh = relay_mesh_mail(control->mesh);
	return r == 0 ? relay_mesh_start(control->mesh, control->shards, control->shard_count) : r;
}

int
relay_threads_start(struct relay_control *control)
{
	int r = make_shards(control);

	if (r == 0)
		r = make_doors(control);
	if (r == 0)
		r = relay_udp_control_start(control);
	if (r == 0)
		r = start_mesh(control);
	for (unsigned i = 0; r == 0 && i < relay_control_threads(control); i++)
		r = relay_shard_start(control->shards[i], control->shards, control->shard_count,
				      control->door_count);
	return r;
}

void
relay_threads_end(struct relay_control *control)
{
	if (control->mesh != NULL)
		relay_mesh_stop(control->mesh);
	for (unsigned i = relay_control_threads(control); i-- > 0;)
		relay_shard_stop(control->shards[i]);
	for (unsigned i = relay_control_threads(control); i-- > 0;)
		relay_shard_free(&control->shards[i]);
	control->shard_count = control->door_count = 0;
	relay_mesh_free(&control->mesh);
}
