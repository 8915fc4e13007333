/* agent_actions: jansson, strictly. */
#include "agent/agent_actions.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static const char *const names[] = {
	[AGENT_UPDATE_CONFIG] = "updateConfig",
	[AGENT_RESTART] = "restart",
	[AGENT_MAINTENANCE] = "maintenance",
};

/* 0 when it is not there, 1 with a value in range, or -EINVAL. */
static int
read_number(const json_t *object, const char *name, uint32_t min, uint32_t max, uint32_t *ret)
{
	const json_t *value = json_object_get(object, name);
	json_int_t number;

	if (value == NULL)
		return 0;
	if (!json_is_integer(value))
		return -EINVAL;
	number = json_integer_value(value);
	if (number < min || number > max)
		return -EINVAL;
	*ret = (uint32_t)number;
	return 1;
}

static int
read_members(const json_t *object, struct agent_action *ret)
{
	int sessions = read_number(object, "maxSessions", 0, UINT32_MAX, &ret->sessions_max);
	int metrics = read_number(object, "metricsInterval", AGENT_METRICS_MIN_SEC,
				  AGENT_METRICS_MAX_SEC, &ret->metrics_sec);
	int seconds =
		read_number(object, "seconds", 0, AGENT_MAINTENANCE_MAX_SEC, &ret->maintenance_sec);

	ret->has_sessions_max = sessions == 1;
	ret->has_metrics_sec = metrics == 1;
	if (sessions < 0 || metrics < 0 || seconds < 0 ||
	    (ret->kind == AGENT_MAINTENANCE && seconds == 0))
		return -EINVAL;
	return 0;
}

int
agent_action_parse(const char *type, const char *payload, struct agent_action *ret)
{
	json_t *object;
	size_t kind = 0;
	int error = -EINVAL;

	memset(ret, 0, sizeof(*ret));
	while (kind < sizeof(names) / sizeof(names[0]) && strcmp(names[kind], type) != 0)
		kind++;
	if (kind == sizeof(names) / sizeof(names[0]))
		return -ENOENT;
	ret->kind = (enum agent_action_kind)kind;
	if (payload == NULL)
		payload = "{}";
	if (strnlen(payload, AGENT_PAYLOAD_MAX_BYTES + 1) > AGENT_PAYLOAD_MAX_BYTES)
		return -EINVAL;
	object = json_loads(payload, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(object))
		error = read_members(object, ret);
	json_decref(object);
	return error;
}
