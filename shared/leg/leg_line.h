/*
 * leg_line: one connection of a leg_client, which has two of them while it moves from one relay to
 * another. Functions and callbacks as leg_client.h has them. Inside shared/leg only.
 */
#pragma once

#include "leg/leg_client.h"

struct leg_line;

int leg_line_new(struct loop *loop, struct metrics *metrics,
		 const struct leg_client_options *options, const struct leg_client_events *events,
		 struct leg_line **ret);
void leg_line_free(struct leg_line **line);
int leg_line_pin(struct leg_line *line, const char *host, const char *address);
void leg_line_pin_as(struct leg_line *line, const struct leg_line *other);
int leg_line_target(struct leg_line *line, const char *const *urls, const char *ticket);
void leg_line_disconnect(struct leg_line *line);
enum leg_state leg_line_state(const struct leg_line *line);
const char *leg_line_url(const struct leg_line *line);
struct leg_client_figures leg_line_figures(const struct leg_line *line); /* of all lines */
int leg_line_send(struct leg_line *line, const uint8_t *message, size_t n, bool is_control);
void leg_line_flush(struct leg_line *line);
