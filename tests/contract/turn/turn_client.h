/* turn_client: a TURN client of the test's own, that asks for what no good client would. Waits for
 * each answer. */
#pragma once

#include "stun/stun_message.h"

struct turn_client {
	int fd;
	char username[128], realm[STUN_REALM_MAX_BYTES], nonce[STUN_NONCE_MAX_BYTES];
	uint8_t key[STUN_KEY_BYTES];
};

/* An allocation at host (port 3478), of AF_INET or AF_INET6 relayed addresses, for UDP (17) or what
 * else the client likes. The error code, or 0. */
int turn_client_open(struct turn_client *client, const char *host, int family, unsigned protocol,
		     const char *username, const char *password);
void turn_client_close(struct turn_client *client);

/* CreatePermission for this peer, in its own family's form: the error code, or 0. */
int turn_client_permit(struct turn_client *client, const char *peer);

/* The same with an address as raw bytes after the port: `family` as the attribute has it. */
int turn_client_permit_raw(struct turn_client *client, uint8_t family, const uint8_t *address,
			   size_t n);
