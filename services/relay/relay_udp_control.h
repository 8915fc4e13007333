/*
 * relay_udp_control: the control actor's part of the UDP ingress: where it listens and is found,
 * and what routing says of sessions. Control actor's thread only.
 */
#pragma once

#include "relay.pb-c.h"
#include "relay/relay_settings.h"

struct relay_control;

/* A socket for each shard, unless udp_listen is empty; the shards are there and not started. */
int relay_udp_control_start(struct relay_control *control);

/* rpc BindUdp and UnbindUdp: to all shards, since any of them may hear a source first. */
void relay_udp_control_bind(struct relay_control *control,
			    const Boson__Relay__BindUdpRequest *input,
			    Boson__Common__Empty_Closure closure, void *closure_data);
void relay_udp_control_unbind(struct relay_control *control,
			      const Boson__Relay__UnbindUdpRequest *input,
			      Boson__Common__Empty_Closure closure, void *closure_data);
