/* SPDX-License-Identifier: MIT */
/* One connection to an NBD server, on which any number of threads have requests in flight. */
#ifndef REMOTE_NBDLINK_H
#define REMOTE_NBDLINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "nbdcalls.h"
#include "remote.h"

struct nbdlink;

enum nbdlink_operation {
	NBDLINK_READ,
	NBDLINK_WRITE,
	NBDLINK_PUNCH, /* zeros that may give up their space */
	NBDLINK_ZERO,  /* zeros that keep it */
	NBDLINK_FLUSH,
	NBDLINK_STATUS, /* of base:allocation */
};

/* What a server says of a range: pairs of a length and LIBNBD_STATE_*. Called before the request is done. */
typedef void nbdlink_status_fn(void *opaque, const uint32_t *entries, size_t nentries);

/* One request of one thread. It and its buffer belong to the link from submit to wait. */
struct nbdlink_request {
	enum nbdlink_operation operation;
	bool durable; /* writes and zeros: done when they are durable */
	void *buf;
	uint64_t length;
	uint64_t offset;
	nbdlink_status_fn *status;
	void *opaque;

	struct nbdlink *link; /* the link's, as what follows */
	bool done;
	int result;
	uint64_t received;	 /* of what is read */
	uint64_t reached;	 /* by the chunk that goes farthest */
	pthread_cond_t *sleeper; /* the thread that waits, NULL when it does not sleep */
	struct nbdlink_request *next;
};

/* Connects to an export. Returns 0, or a negative errno with @ret_error set. */
int nbdlink_open(const char *uri, const struct remote_options *options, struct nbdlink **ret_link,
		 struct remote_error *ret_error);

/* As nbdlink_open, for one more connection beside the @first: NULL where the server does not want it. */
struct nbdlink *nbdlink_open_more(const struct nbdlink *first, const char *uri,
				  const struct remote_options *options);

/* What the server said of the export, for libnbd's questions that do not block. */
struct nbd_handle *nbdlink_handle(struct nbdlink *link);

/* Sends a request, or at least begins to; an error is told by nbdlink_wait. */
void nbdlink_submit(struct nbdlink *link, struct nbdlink_request *request);

/*
 * Waits until a submitted request is done, and returns 0 or its errno, negative. -ECONNRESET when the
 * connection was lost, -ETIMEDOUT when the server says nothing any more, -ECANCELED when the user asked to stop; the
 * link is of no use afterwards.
 */
int nbdlink_wait(struct nbdlink_request *request);

/* Is the connection lost, or given up? 0, or the errno, negative. */
int nbdlink_failure(struct nbdlink *link);

/* NULL is allowed. No request may be in flight. */
void nbdlink_close(struct nbdlink *link);

#endif
