/* SPDX-License-Identifier: MIT */
/* A connection to a Ceph cluster, and to one pool of it. All but rbdlink_init may block: it is for tasks. */
#ifndef REMOTE_RBDLINK_H
#define REMOTE_RBDLINK_H

#include "patience.h"
#include "rbdcalls.h"
#include "rbdname.h"

struct rbdlink {
	struct patience patience;
	struct rbdname name;
	char *conf; /* NULL: where librados looks for it */
	char *id;   /* NULL: librados's default */
	rados_t cluster;
	rados_ioctx_t pool;
	struct remote_error error; /* of what a task did, for whoever waits for it */
};

/* Takes @text for the name, and what the connection needs of @options; connects to nothing yet. */
int rbdlink_init(struct rbdlink *link, const char *text, const struct remote_options *options,
		 struct remote_error *ret_error);

/* Returns 0, or a negative errno with link->error set. */
int rbdlink_connect(struct rbdlink *link);

/* Says what failed, in link->error, and returns @ret, negative. */
int rbdlink_fail(struct rbdlink *link, int ret, const char *what);

/*
 * Does @run(opaque) as a task, and turns giving up into an error. Where link->patience is lost afterwards,
 * @opaque and the link are never to be freed.
 */
int rbdlink_call(struct rbdlink *link, int (*run)(struct task *task, void *opaque), void *opaque,
		 struct remote_error *ret_error);

/* The progress of a call, as a sign of life: for librbd, with the task. */
int rbdlink_beat(uint64_t done, uint64_t total, void *task);

void rbdlink_disconnect(struct rbdlink *link);

/* Of one that is not connected. Also of a zeroed one. */
void rbdlink_free(struct rbdlink *link);

#endif
