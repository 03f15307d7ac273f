/* SPDX-License-Identifier: MIT */
/* The two ways of vhdx_compact: in the file as it is, or into a new one. */
#ifndef VHDX_OPS_COMPACT_H
#define VHDX_OPS_COMPACT_H

#include "ops/survey.h"

/* Options completed to this size of the struct. Fills in what @survey, which has begun, leaves of its result. */
int vhdx_rewrite(struct survey *survey, const struct vhdx_compact_options *options);

#endif
