/* turn_credential: username `expiry:role:subject`, password base64(HMAC-SHA1(secret, username)). */
#include "turn/turn_credential.h"

#include "identity/key.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

enum { SHA1_BYTES = 20 };

int
turn_credential_make(const char *secret, const char *role, const char *subject, int64_t now_wall_ms,
		     int64_t ttl_ms, struct turn_credential *ret)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t subject_bytes = strnlen(subject, TURN_SUBJECT_MAX_BYTES + 1);
	int64_t expiry_sec = (now_wall_ms + ttl_ms) / 1000;
	uint8_t mac[SHA1_BYTES];
	unsigned int mac_bytes = 0;
	int n;

	/* A colon would end the subject for whoever reads the name. */
	if (subject_bytes == 0 || subject_bytes > TURN_SUBJECT_MAX_BYTES ||
	    strspn(subject, allowed) != subject_bytes || ttl_ms > TURN_TTL_MAX_MS)
		return -EINVAL;
	n = snprintf(ret->username, sizeof(ret->username), "%" PRId64 ":%s:%s", expiry_sec, role,
		     subject);
	if (n < 0 || (size_t)n >= sizeof(ret->username))
		return -EINVAL;
	if (HMAC(EVP_sha1(), secret, (int)strlen(secret), (const unsigned char *)ret->username,
		 (size_t)n, mac, &mac_bytes) == NULL ||
	    mac_bytes != sizeof(mac))
		return -EINVAL;
	base64_encode(mac, sizeof(mac), ret->password);
	ret->expires_at_ms = expiry_sec * 1000;
	return 0;
}
