/*
 * agent_rotation: see the header. The order matters: what the server knows comes first, the
 * sessions' end second, the file last; each may be done twice.
 */
#include "agent/agent_rotation.h"

#include "agent/agent_config.h"
#include "agent/agent_store.h"
#include "identity/state_file.h"
#include "log/log.h"
#include "service/service_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { PATH_BYTES = 512, ERROR_BYTES = 512 };

void
agent_rotation_paths(const struct config *config, const char *state_dir, char *ret_key,
		     char *ret_next, size_t bytes)
{
	const char *configured = config_string(config, "agent", "identity_key");

	if (configured[0] != '\0')
		snprintf(ret_key, bytes, "%s", configured);
	else
		snprintf(ret_key, bytes, "%s/identity.key", state_dir);
	snprintf(ret_next, bytes, "%s.next", ret_key);
}

/* ---- --rotate-key ---- */

static int
complain(const char *what, const char *why, int code)
{
	fprintf(stderr, "higgs-agent: %s%s%s\n", what, why[0] != '\0' ? ": " : "", why);
	return code;
}

static int
make_next(const char *key_path, const char *next_path)
{
	char text[KEY_TEXT_BYTES];
	struct key next, public_key;
	int r;

	if (access(key_path, F_OK) != 0)
		return complain(key_path, "there is no key yet to be replaced", EX_NOINPUT);
	r = key_file_load_or_create(next_path, &next);
	if (r == 0)
		r = key_public(&next, &public_key);
	key_wipe(&next, sizeof(next));
	if (r < 0)
		return complain(next_path, strerrordesc_np(-r),
				r == -EPERM || r == -EACCES ? EX_NOPERM
				: r == -EINVAL		    ? EX_DATAERR
							    : EX_CANTCREAT);
	key_format(&public_key, text);
	printf("The new key is ready, its public half is %s. The agent that runs changes to it "
	       "within seconds,\nelse its next start does; both daemons then start anew, and "
	       "clients ask for new routes.\n",
	       text);
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

int
agent_rotation_prepare(int argc, char **argv)
{
	static const struct config_key *const tables[] = { agent_config_keys, NULL };
	const char *config_path = NULL;
	char state_dir[PATH_BYTES], key_path[PATH_BYTES], next_path[PATH_BYTES];
	char error[ERROR_BYTES];
	struct service_schema schema;
	struct config *config = NULL;
	int code;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--rotate-key") == 0)
			continue;
		if (strcmp(argv[i], "-c") != 0 || i + 1 >= argc)
			return complain("--rotate-key takes -c FILE and nothing else", "",
					EX_USAGE);
		config_path = argv[++i];
	}
	if (config_path == NULL && access("/etc/higgs/higgs.conf", F_OK) == 0)
		config_path = "/etc/higgs/higgs.conf";
	service_schema_init(&schema, "higgs", tables);
	code = config_load(config_path, &schema.schema, &config, error, sizeof(error));
	if (code != EX_OK)
		return complain(error, "", code);
	snprintf(state_dir, sizeof(state_dir), "%s/agent",
		 config_string(config, "service", "state"));
	agent_rotation_paths(config, state_dir, key_path, next_path, PATH_BYTES);
	code = make_next(key_path, next_path);
	config_free(&config);
	return code;
}

/* ---- in the agent ---- */

static void
paths_of(const struct agent *agent, char key_path[PATH_BYTES], char next_path[PATH_BYTES])
{
	agent_rotation_paths(agent->context->config, agent->context->state_dir, key_path, next_path,
			     PATH_BYTES);
}

void
agent_rotation_look(struct agent *agent)
{
	char key_path[PATH_BYTES], next_path[PATH_BYTES];
	struct key next;
	int r;

	paths_of(agent, key_path, next_path);
	if (access(next_path, F_OK) != 0)
		return;
	/* It is there, so nothing is made. */
	r = key_file_load_or_create(next_path, &next);
	if (r < 0) {
		log_error("identity_not_loaded", "path=%s reason=%s", next_path,
			  strerrordesc_np(-r));
		return;
	}
	if (key_is_equal(&next, &agent->private_key)) { /* killed before the last step */
		unlink(next_path);
		r = -EALREADY;
	} else {
		r = enrol_rotate(agent->enrol, &next);
	}
	key_wipe(&next, sizeof(next));
	if (r < 0)
		return;
	log_info("key_rotation_begun", "node=%s", agent->node_id);
	enrol_start(agent->enrol);
}

static int
forget_sessions(struct agent *agent)
{
	int r = store_begin(agent->store);

	if (r == 0)
		r = agent_store_remove_all_sessions(agent->store);
	if (r == 0)
		return store_commit(agent->store);
	store_rollback(agent->store);
	return r;
}

/* A whole file takes the other's place, and is on disk when this returns. */
static int
replace(const char *key_path, const char *next_path)
{
	char text[KEY_TEXT_BYTES + 2];
	ssize_t n = state_file_read(next_path, true, text, sizeof(text));
	int r = n < 0 ? (int)n : state_file_replace(key_path, 0600, text, (size_t)n);

	key_wipe(text, sizeof(text));
	if (r == 0 && unlink(next_path) < 0)
		r = -errno;
	return r;
}

void
agent_rotation_done(struct agent *agent)
{
	char key_path[PATH_BYTES], next_path[PATH_BYTES];
	int r = forget_sessions(agent);

	paths_of(agent, key_path, next_path);
	if (r == 0)
		r = replace(key_path, next_path);
	if (r < 0)
		log_error("key_not_replaced", "path=%s error=%d", key_path, r);
	else
		log_info("key_rotated", "node=%s", agent->node_id);
	actor_failed(agent->context, EX_TEMPFAIL);
}
