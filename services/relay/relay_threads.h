/*
 * relay_threads: the relay's threads beside its actor's: shards, which move packets, doors, which
 * let connections in, and the mesh. For the control actor's thread.
 */
#pragma once

struct relay_control;

/* Binds the sockets and starts all; control->port is where legs are accepted. 0 or -errno, and then
 * what there is is ended by relay_threads_end. */
int relay_threads_start(struct relay_control *control);

/* Waits until they have ended, and frees them. */
void relay_threads_end(struct relay_control *control);
