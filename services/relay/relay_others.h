/*
 * relay_others: the other relays of the group. Hears: discovery's RelayChanged. Asks:
 * discovery.ListRelays. Each is heard by relay_hear. Control actor's thread.
 */
#pragma once

#include "common.pb-c.h"

#include <stddef.h>
#include <stdint.h>

struct relay_control;
struct relay_other;

int relay_others_start(struct relay_control *control);
void relay_others_stop(struct relay_control *control);

/* Often: asks for the list when it is time. */
void relay_others_look(struct relay_control *control, int64_t now_ms);

/* What was said of a relay. NULL: ourselves, another group's, or one without a bus. */
struct relay_other *relay_others_note(struct relay_control *control,
				      const Boson__Common__Relay *relay);

/* URLs of other relays that live and do not drain, least loaded first. Returns how many. */
enum { RELAY_OTHERS_URL_BYTES = 256 };
size_t relay_others_urls(const struct relay_control *control, char (*ret)[RELAY_OTHERS_URL_BYTES],
			 size_t max);
