/* SPDX-License-Identifier: MIT */
/* Removes and renames images by name. For tasks; errors go to link->error. */
#ifndef REMOTE_RBDCHANGE_H
#define REMOTE_RBDCHANGE_H

#include "rbdlink.h"

/* A name that leads to nothing is removed too. Waits until one that a dead process removed is not busy any more. */
int rbdchange_remove(struct rbdlink *link, struct task *task, const char *name);

int rbdchange_rename(struct rbdlink *link, const char *from, const char *to);

#endif
