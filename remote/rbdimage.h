/* SPDX-License-Identifier: MIT */
/* An RBD image that is open, as storage. Each request is asynchronous, so that it can be given up. */
#ifndef REMOTE_RBDIMAGE_H
#define REMOTE_RBDIMAGE_H

#include <vhdx.h>

#include "lent.h"
#include "rangemap.h"
#include "rbdlink.h"

struct rbdimage {
	struct rbdlink link;
	rbd_image_t image;
	uint64_t object_size;
	uint64_t period;  /* of that length are the parts that share no object with others */
	bool tells_fast;  /* which objects are there, from its object map */
	bool grows;	  /* with what is written behind its end */
	uint64_t put_off; /* features that it is to have in the end */

	pthread_mutex_t lock; /* of the members here */
	uint64_t size;	      /* of the contents */
	uint64_t capacity;    /* of the image: no less */

	/* Of one that is read; of these the list and what it says are rbdreaders.c's. */
	struct rbdimage *next_reader;
	uint64_t seen; /* with the lock: where anything but zeros was read first */

	struct rangemap map;
	struct lent lent;
};

/* Of the link's name, not connected yet. Returns 0, or a negative errno with @ret_error set. */
int rbdimage_new(const char *name, const struct remote_options *options,
		 struct rbdimage **ret_image, struct remote_error *ret_error);

/*
 * Opens the image of that name in the link's pool; for writing no other may have it open. Returns 0, or a negative
 * errno with link.error set. For tasks.
 */
int rbdimage_attach(struct rbdimage *image, struct task *task, const char *name, const char *snap,
		    bool writing);

/* Closes the image, but not the connection; for tasks. */
void rbdimage_detach(struct rbdimage *image);

/* As storage, whose close is the caller's to set. */
void rbdimage_offer(struct rbdimage *image, bool writing, struct vhdx_io *ret_io);

/* Closes all, as a task, unless that would hang, and frees it. NULL is allowed. */
void rbdimage_close(struct rbdimage *image);

#endif
