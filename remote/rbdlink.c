/* SPDX-License-Identifier: MIT */
/* A connection to a Ceph cluster, and to one pool of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "rbdlink.h"

int rbdlink_init(struct rbdlink *link, const char *text, const struct remote_options *options,
		 struct remote_error *ret_error)
{
	*link = (struct rbdlink){
		.patience = {.timeout_s = options->timeout_s ? options->timeout_s : REMOTE_TIMEOUT,
			     .stopped = options->stopped},
	};
	int ret = rbdname_parse(text, &link->name, ret_error);

	if (ret)
		return ret;
	link->conf = options->ceph_conf ? strdup(options->ceph_conf) : NULL;
	link->id = options->ceph_id ? strdup(options->ceph_id) : NULL;
	if (!link->conf != !options->ceph_conf || !link->id != !options->ceph_id) {
		rbdlink_free(link);
		return remote_fail(ret_error, ENOMEM, "out of memory");
	}
	return 0;
}

int rbdlink_fail(struct rbdlink *link, int ret, const char *what)
{
	if (ret == -ETIMEDOUT)
		return remote_fail(&link->error, ETIMEDOUT,
				   "%s: the cluster did not answer within %u s", what,
				   link->patience.timeout_s);
	return remote_fail(&link->error, -ret, "%s: %s", what, strerror(-ret));
}

/* Everything that Ceph does ends by itself in the same time, so that its threads come back. */
static int set_up(struct rbdlink *link)
{
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%u", link->patience.timeout_s);
	const struct {
		const char *key, *value;
	} settings[] = {
		{"rados_osd_op_timeout", seconds},
		{"rados_mon_op_timeout", seconds},
		{"client_mount_timeout", seconds},
		/* What is written is not read again, and its memory stays as it is meanwhile. */
		{"rbd_cache", "false"},
		{"rbd_disable_zero_copy_writes", "false"},
		/* Errors are one line, and it is ours. */
		{"log_to_stderr", "false"},
		{"err_to_stderr", "false"},
	};
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(settings) && !ret; i++)
		ret = rados.conf_set(link->cluster, settings[i].key, settings[i].value);
	return ret ? rbdlink_fail(link, ret, "Ceph cannot be set up") : 0;
}

static int read_configuration(struct rbdlink *link)
{
	const char *named = link->conf ? link->conf : getenv("CEPH_CONF");
	int ret = rados.conf_read_file(link->cluster, link->conf);

	if (ret && named)
		return remote_fail(&link->error, -ret, "the configuration %s cannot be read: %s",
				   named, strerror(-ret));
	if (ret)
		return rbdlink_fail(link, ret, "no configuration of Ceph can be read");
	rados.conf_parse_env(link->cluster, NULL);
	return set_up(link);
}

static int open_pool(struct rbdlink *link)
{
	int ret = rados.ioctx_create(link->cluster, link->name.pool, &link->pool);

	if (ret == -ENOENT)
		return remote_fail(&link->error, ENOENT, "the cluster has no pool '%s'",
				   link->name.pool);
	if (ret)
		return rbdlink_fail(link, ret, "the pool cannot be opened");
	/* In a full pool a write fails at once: else it would wait for room, and pass for silence. */
	rados.set_pool_full_try(link->pool);
	if (link->name.space[0])
		rados.ioctx_set_namespace(link->pool, link->name.space);
	return 0;
}

/* The setting, empty where it has none. */
static void get_setting(struct rbdlink *link, const char *key, char *buf, size_t size)
{
	if (rados.conf_get(link->cluster, key, buf, size))
		buf[0] = '\0';
}

/*
 * Ceph has one number for what it did not find. Monitors may be in DNS, or in sections of their own, so that what the
 * configuration lacks means something only when they were not found.
 */
static int explain_missing(struct rbdlink *link)
{
	char monitors[4096], keyring[256];

	get_setting(link, "mon_host", monitors, sizeof(monitors));
	get_setting(link, "keyring", keyring, sizeof(keyring));
	if (!monitors[0])
		return remote_fail(
			&link->error, ENOENT,
			"the configuration of Ceph names no monitor (expected mon_host)");
	return remote_fail(&link->error, ENOENT, "client.%.64s has no key (looked for in %s)",
			   link->id ? link->id : "admin", keyring[0] ? keyring : "no keyring");
}

int rbdlink_connect(struct rbdlink *link)
{
	const char *missing = rbd_calls_load();

	if (missing)
		return remote_fail(&link->error, ENOTSUP, "Ceph cannot be used: %s", missing);
	int ret = rados.create(&link->cluster, link->id);

	if (ret < 0)
		return rbdlink_fail(link, ret, "Ceph cannot be used");
	ret = read_configuration(link);
	if (ret)
		return ret;
	ret = rados.connect(link->cluster);
	if (ret == -ENOENT)
		return explain_missing(link);
	if (ret)
		return rbdlink_fail(link, ret, "the cluster cannot be connected to");
	return open_pool(link);
}

int rbdlink_call(struct rbdlink *link, int (*run)(struct task *task, void *opaque), void *opaque,
		 struct remote_error *ret_error)
{
	link->error.text[0] = '\0';
	int ret = patience_call(&link->patience, run, opaque);

	if (!patience_lost(&link->patience) && ret && link->error.text[0])
		*ret_error = link->error;
	else if (ret == -ETIMEDOUT)
		remote_fail(ret_error, ETIMEDOUT, "the cluster did not answer within %u s",
			    link->patience.timeout_s);
	else if (ret == -ECANCELED)
		remote_fail(ret_error, ECANCELED, "stopped as asked");
	else if (ret)
		remote_fail(ret_error, -ret, "%s", strerror(-ret));
	return ret;
}

int rbdlink_beat(uint64_t done, uint64_t total, void *task)
{
	(void)done;
	(void)total;
	task_beat(task);
	return 0;
}

void rbdlink_disconnect(struct rbdlink *link)
{
	if (link->pool)
		rados.ioctx_destroy(link->pool);
	if (link->cluster)
		rados.shutdown(link->cluster);
	link->pool = NULL;
	link->cluster = NULL;
}

void rbdlink_free(struct rbdlink *link)
{
	free(link->conf);
	free(link->id);
	link->conf = link->id = NULL;
}
