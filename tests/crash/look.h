/* SPDX-License-Identifier: MIT */
/* Images on recorded stores: opening them, reading what is compared, checking, and their raw headers. */
#ifndef TESTS_CRASH_LOOK_H
#define TESTS_CRASH_LOOK_H

#include <vhdx.h>

#include "crash/model.h"
#include "crash/store.h"

/* malloc'ed text; out of memory ends the program. */
char *fault_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The thread's last error of the library, in a text. */
char *fault_call(const char *what, int ret);

/* Opens the image in @store; @parent may be NULL. Both stay the caller's. */
int look_open(struct store *store, struct store *parent, uint32_t flags, struct vhdx **ret_disk);

/* Reads all ranges of the model, one after the other; zeros behind the end. NULL, or what failed. */
char *look_read(struct vhdx *disk, const struct model *model, uint8_t *contents);

/* Where the contents of two reads of all ranges differ. NULL when they do not. */
char *look_compare(const struct model *model, const uint8_t *found, const uint8_t *expected);

/*
 * NULL, or the first finding that matters. @closed: the image was closed cleanly, so notes matter too,
 * but for those on where the file ends.
 */
char *look_check(struct store *store, struct store *parent, bool closed);

/* Of a cleanly closed image: both headers agree, and no log is named. NULL, or what is wrong. */
char *look_headers(struct store *store);

/* Of a child: no sector bitmap block holds a guest's bytes. NULL, or what is wrong. */
char *look_bitmaps(struct store *store, const struct vhdx_info *info);

/* The end of the last structure of the file. */
uint64_t look_end(struct store *store, const struct vhdx_info *info);

#endif
