/*
 * relay_hear: other relays' LegAttached and LegDetached: where nodes have their legs, and which of
 * two legs of a node stays. Of legs at two relays the newer one does; of two of one microsecond the
 * one at the relay whose id is greater. Each relay judges its own, whichever of the two it hears of
 * last, so that one goes and one stays. Control actor's thread.
 */
#pragma once

struct relay_attached;
struct relay_control;
struct relay_other;

void relay_hear_start(struct relay_control *control, struct relay_other *other);
void relay_hear_stop(struct relay_other *other);

/* A node's leg has come here: another relay may have told of a newer one just before. One that came
 * later than that is the newest, whatever the clocks say. */
void relay_hear_own(struct relay_control *control, struct relay_attached *ours);
