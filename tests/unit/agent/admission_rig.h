/*
 * admission_rig: an admission and sessions that ask for it, at moments that both clocks agree on.
 */
#pragma once

#include "agent/agent_admission.h"

#define NOW_MS	INT64_C(1700000000000)
#define HOUR_MS INT64_C(3600000)
#define DAY_MS	(24 * HOUR_MS)

/* What the steady clock shows at NOW_MS of the wall clock. */
#define STEADY_MS INT64_C(5000000)

/* The moment of both clocks while nobody sets the wall clock. */
struct admission_clock at(int64_t wall_ms);

enum admission_verdict admit_at(struct admission *admission, const struct admission_session *asked,
				int64_t now_ms, struct admission_session *ret_session,
				struct admission_session *ret_replaced);

bool expire_at(struct admission *admission, int64_t now_ms, struct admission_session *ret_ended);

int restore_at(struct admission *admission, const struct admission_session *stored, int64_t now_ms,
	       const char *address4, const char *address6);

struct admission_options options_with(const char *base4, unsigned bits4, unsigned sessions_max);

struct admission *admission_with(const char *base4, unsigned bits4, unsigned sessions_max);

struct admission *ordinary(void);

/* Session n of client key k, for an hour. */
struct admission_session ask(unsigned n, unsigned k);

struct admission_session admit(struct admission *admission, unsigned n, unsigned k);

enum admission_verdict verdict_of(struct admission *admission,
				  const struct admission_session *asked, int64_t now_ms);

void expect_addresses(const struct admission *admission, uint32_t number, const char *expected4,
		      const char *expected6);
