/*
 * client_shim: carries WireGuard's datagrams between its UDP port on this machine and the leg. One
 * socket on 127.0.0.1, bound to the device lo and connected to WireGuard's port, so that nobody
 * else is heard. Owns neither loop nor leg.
 */
#pragma once

#include "client/client_pulse.h"
#include "leg/leg_client.h"
#include "loop/loop.h"
#include "metrics/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client_shim;

/* Asked first with what WireGuard sends, as the kernel joined it: datagrams of `segment` bytes, the
 * last perhaps shorter. True: it is taken, and the leg gets nothing of it. */
typedef bool (*client_shim_carry_fn)(const uint8_t *bytes, size_t n, size_t segment, void *arg);

int client_shim_new(struct loop *loop, struct metrics *metrics, struct client_shim **ret);
void client_shim_free(struct client_shim **shim);

/* Where WireGuard's peer has its endpoint: a port of 127.0.0.1. */
uint16_t client_shim_port(const struct client_shim *shim);

/* From now on WireGuard listens at this port of 127.0.0.1, and its datagrams go to leg. */
int client_shim_join(struct client_shim *shim, uint16_t wireguard_port, struct leg_client *leg);

/* Of all that passes here, whichever way it then takes. */
struct client_pulse *client_shim_pulse(struct client_shim *shim);

/* carry NULL: nobody is asked. */
void client_shim_set_carry(struct client_shim *shim, client_shim_carry_fn carry, void *arg);

/* One of WireGuard's datagrams that was taken, and is to go by the leg after all. */
void client_shim_send(struct client_shim *shim, const uint8_t *datagram, size_t n);

/* Datagrams that we had and did not pass on: no way for them, or too large; WireGuard took no more.
 * n more of those it sent, by whoever took them. */
void client_shim_lose(struct client_shim *shim, uint64_t n);
void client_shim_lost(const struct client_shim *shim, uint64_t *ret_up, uint64_t *ret_down);

/* What came another way than the leg's goes to WireGuard; shapes as above. */
void client_shim_deliver_bundle(struct client_shim *shim, const uint8_t *bytes, size_t n,
				size_t segment);

/* A data message from the leg: its datagrams go to WireGuard. -EBADMSG: it was none; what came
 * before the fault has been delivered. */
int client_shim_deliver(struct client_shim *shim, const uint8_t *message, size_t n);
