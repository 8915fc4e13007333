/* discovery: the end of a node: its row at once, the model and the events after the commit. */
#include "discovery/discovery_handlers.h"
#include "discovery/discovery_replicas.h"

#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>

struct deletion {
	struct discovery *discovery;
	struct registry_node *node;
	int64_t tokens_since_ms;
	struct discovery_stamp stamp;
};

static void
deletion_committed(void *arg)
{
	struct deletion *deletion = arg;

	registry_delete(&deletion->discovery->registry, deletion->node);
	deletion->node->change = deletion->stamp.change;
	deletion->node->tokens_since_ms = deletion->tokens_since_ms;
	discovery_tell_node(deletion->discovery, deletion->node);
	discovery_tell_revoked(deletion->discovery, deletion->node);
	free(deletion);
}

int
discovery_delete(struct discovery *discovery, struct registry_node *node)
{
	struct deletion *deletion = malloc(sizeof(*deletion));
	int64_t now_ms = clock_wall_ms();
	struct discovery_stamp stamp;
	int error = deletion == NULL ? -ENOMEM : discovery_stamp(discovery, &stamp);

	if (error == 0)
		error = store_savepoint(discovery->store);
	if (error != 0) {
		free(deletion);
		return error;
	}
	*deletion = (struct deletion){ discovery, node, discovery_revocation_time(now_ms), stamp };
	error = discovery_store_delete(discovery->store, node->id, now_ms,
				       deletion->tokens_since_ms, &stamp);
	if (error == 0)
		error = store_after_commit(discovery->store, deletion_committed, free, deletion);
	if (error != 0) {
		store_savepoint_rollback(discovery->store);
		free(deletion);
		return error;
	}
	return store_savepoint_release(discovery->store);
}
