/*
 * client_udp: the other way to the relay: WireGuard's datagrams as they are, by UDP to its ingress,
 * while that works; the leg carries them while it does not, and WireGuard notices neither. Owns a
 * socket; the owner of the leg asks it first.
 *
 *	OFF	no relay that hears UDP
 *	TRYING	everything goes by the leg; now and then one datagram goes here first, and by the
 *		leg a little later if nothing came back; an answer here means that it works
 *	UP	everything goes here; when some went unanswered for a while, or its owner knows of
 *		something better, back to TRYING
 *
 * What comes from anywhere but the relay's address and port is not heard. Loop thread.
 */
#pragma once

#include "client/client_shim.h"
#include "loop/loop.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client_udp;

struct client_udp_events {
	void (*on_change)(bool is_up, void *arg);
	/* One that was tried here goes by the leg now. */
	void (*send_by_leg)(const uint8_t *datagram, size_t n, void *arg);
	void *arg;
};

/* What comes is delivered to the shim. */
int client_udp_new(struct loop *loop, struct client_shim *shim,
		   const struct client_udp_events *events, struct client_udp **ret);
void client_udp_free(struct client_udp **udp);

/* The relay's address and port; another one than before starts anew. NULL: OFF, and what comes next
 * leaves from another port, as another leg. */
int client_udp_target(struct client_udp *udp, const char *address, uint16_t port);

/* Tries at once: something has changed. */
void client_udp_retry(struct client_udp *udp);

/* Nothing comes back, perhaps for its sake: what was UP is TRYING. */
void client_udp_doubt(struct client_udp *udp);

/* Something is wrong with this way that answers do not show: what was UP is TRYING, and tried no
 * more for so long, unless there is no leg or something changes. */
void client_udp_shun(struct client_udp *udp, int64_t for_ms);

bool client_udp_is_up(const struct client_udp *udp);

/* The leg is down, so that there is nothing to lose: TRYING sends everything here, too. */
void client_udp_set_alone(struct client_udp *udp, bool is_alone);

/* Datagrams that went here, but for empty packets: all since the start. */
uint64_t client_udp_data_sent(const struct client_udp *udp);

/* Datagrams of `segment` bytes, the last perhaps shorter. True: they went here, and not by the leg.
 */
bool client_udp_carry(struct client_udp *udp, const uint8_t *bytes, size_t n, size_t segment);
