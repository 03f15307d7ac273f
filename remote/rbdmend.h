/* SPDX-License-Identifier: MIT */
/* What becomes of what dead processes left under the names of rbdnames.h. For tasks. */
#ifndef REMOTE_RBDMEND_H
#define REMOTE_RBDMEND_H

#include "rbdlook.h"
#include "rbdnames.h"

/*
 * Waits until the cluster has noticed that whoever made or replaced the image is dead, of what is there under both
 * names. -EBUSY: he lives; -EEXIST: what is there is in the way, and not ours.
 */
int rbdmend_await(struct rbdnames *names, struct task *task, bool replace,
		  struct rbdlook *ret_part);

/* Ends or undoes renamings; the image is there afterwards if it was. Removes nothing. */
int rbdmend_renames(struct rbdnames *names);

/* Removes what is left of @part, as rbdmend_await found it, and with @replace of an old image. */
int rbdmend_remove(struct rbdnames *names, struct task *task, bool replace,
		   const struct rbdlook *part);

/* Another process is at what is there as @name. */
int rbdmend_refuse(struct rbdnames *names, const char *name, const struct rbdlook *look);

#endif
