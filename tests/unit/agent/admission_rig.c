/*
 * admission_rig: see admission_rig.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admission_rig.h"

#include "net/address.h"

#include <string.h>

struct admission_clock
at(int64_t wall_ms)
{
	return (struct admission_clock){ wall_ms, wall_ms - NOW_MS + STEADY_MS };
}

enum admission_verdict
admit_at(struct admission *admission, const struct admission_session *asked, int64_t now_ms,
	 struct admission_session *ret_session, struct admission_session *ret_replaced)
{
	const struct admission_clock now = at(now_ms);

	return admission_admit(admission, asked, &now, ret_session, ret_replaced);
}

bool
expire_at(struct admission *admission, int64_t now_ms, struct admission_session *ret_ended)
{
	return admission_expire(admission, at(now_ms).steady_ms, ret_ended);
}

int
restore_at(struct admission *admission, const struct admission_session *stored, int64_t now_ms,
	   const char *address4, const char *address6)
{
	const struct admission_clock now = at(now_ms);

	return admission_restore(admission, stored, address4, address6, &now);
}

struct admission_options
options_with(const char *base4, unsigned bits4, unsigned sessions_max)
{
	struct admission_options options = { .sessions_max = sessions_max,
					     .lifetime_max_ms = 24 * HOUR_MS };

	assert_int_equal(address_parse(base4, &options.pool.base4), 0);
	assert_int_equal(address_parse("fd48:6967:6773::", &options.pool.base6), 0);
	options.pool.bits4 = bits4;
	options.pool.bits6 = 64;
	memset(options.node_key.bytes, 0xee, KEY_BYTES);
	return options;
}

struct admission *
admission_with(const char *base4, unsigned bits4, unsigned sessions_max)
{
	struct admission_options options = options_with(base4, bits4, sessions_max);
	struct admission *admission;

	assert_int_equal(admission_new(&options, &admission), 0);
	return admission;
}

struct admission *
ordinary(void)
{
	return admission_with("10.90.0.0", 16, 64);
}

struct admission_session
ask(unsigned n, unsigned k)
{
	struct admission_session asked = { .expires_at_ms = NOW_MS + HOUR_MS };

	asked.id[0] = 1;
	asked.id[14] = (uint8_t)(n >> 8);
	asked.id[15] = (uint8_t)n;
	asked.client_key.bytes[0] = 1;
	asked.client_key.bytes[30] = (uint8_t)(k >> 8);
	asked.client_key.bytes[31] = (uint8_t)k;
	return asked;
}

struct admission_session
admit(struct admission *admission, unsigned n, unsigned k)
{
	struct admission_session asked = ask(n, k), made, replaced;

	assert_int_equal(admit_at(admission, &asked, NOW_MS, &made, &replaced), ADMISSION_ADMITTED);
	assert_int_equal(replaced.number, 0);
	return made;
}

enum admission_verdict
verdict_of(struct admission *admission, const struct admission_session *asked, int64_t now_ms)
{
	struct admission_session made, replaced;

	return admit_at(admission, asked, now_ms, &made, &replaced);
}

void
expect_addresses(const struct admission *admission, uint32_t number, const char *expected4,
		 const char *expected6)
{
	char text[ADMISSION_ADDRESS_BYTES];

	admission_address4(admission, number, text);
	assert_string_equal(text, expected4);
	admission_address6(admission, number, text);
	assert_string_equal(text, expected6);
}
