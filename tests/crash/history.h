/* SPDX-License-Identifier: MIT */
/* What the order of the calls alone must keep, though no single state may show that it does not. */
#ifndef TESTS_CRASH_HISTORY_H
#define TESTS_CRASH_HISTORY_H

#include "crash/look.h"

/*
 * Of the calls from @begin on, which is the begin of a session: no header slot is written while the other's
 * last write is not durable; and nothing but headers and the log is written before a header is durable, which
 * says that the file changes (F 2.2, 2.3). NULL, or what is wrong.
 */
char *history_judge(const struct store *store, uint64_t begin, const struct vhdx_info *info);

#endif
