/* SPDX-License-Identifier: MIT */
/* Gives the disk another size and its BAT another place, in one step that happens or not. */
#ifndef VHDX_OPS_BATMOVE_H
#define VHDX_OPS_BATMOVE_H

#include "ops/growth.h"

/* Told of how many entries are done; another value than 0 ends the work, which returns it. */
typedef int bat_progress(void *opaque, uint64_t entries);

/*
 * Builds @growth's table at @place, whole MiB that were taken, enough for it. Nothing refers to it yet.
 * @progress may be NULL. Errors are those of @progress, or as the storage fails.
 */
int vhdx_bat_build(const struct growth *growth, const struct place *place, bat_progress *progress,
		   void *opaque);

/*
 * Makes all durable that was done so far; then one log entry gives the disk the size of @growth, if that is
 * another, and its BAT the @place where it was built, unless that is NULL. The caller has passed the gate, has
 * the disk alone, and renews it next, for it still follows the old table; the space of that is free in the
 * session after this one.
 *
 * On failure the disk is as it was. If it is not known whether the entry is there, nothing may be written any more.
 * Errors as vhdx_journal_commit and vhdx_patch.
 */
int vhdx_bat_switch(const struct growth *growth, const struct place *place);

#endif
