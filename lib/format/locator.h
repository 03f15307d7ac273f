/* SPDX-License-Identifier: MIT */
/* The parent locator (F 8): bytes to keys and values and back. */
#ifndef VHDX_FORMAT_LOCATOR_H
#define VHDX_FORMAT_LOCATOR_H

#include "base/error.h"
#include "format/ondisk.h"

#define KEY_LINKAGE	  "parent_linkage"
#define KEY_LINKAGE_2	  "parent_linkage2"
#define KEY_RELATIVE_PATH "relative_path"
#define KEY_VOLUME_PATH	  "volume_path"
#define KEY_WIN32_PATH	  "absolute_win32_path"

struct locator_pair {
	const char *key; /* UTF-8 */
	const char *value;
};

struct locator {
	struct vhdx_guid type;
	uint16_t reserved;
	unsigned count;
	bool has_odd_place; /* a string begins at an odd offset */
	struct locator_pair *pairs;
	char *text; /* where the strings are */
	size_t text_size;
};

/*
 * Decodes an item of @size bytes. -EUCLEAN, with *ret_fault (its offset is in the item), when it breaks F 8 in a way that leaves
 * the pairs unknown; -ENOMEM.
 */
int vhdx_locator_decode(const void *buf, size_t size, struct locator *ret_locator,
			struct fault *ret_fault);

void vhdx_locator_free(struct locator *locator);

/* The value of @key, or NULL. */
const char *vhdx_locator_get(const struct locator *locator, const char *key);

/* Something to know the parent by. */
bool vhdx_locator_has_linkage(const struct locator *locator);

/* Something to find the parent by. */
bool vhdx_locator_has_path(const struct locator *locator);

/* Both, and it is of the type that is known. */
bool vhdx_locator_is_usable(const struct locator *locator);

/*
 * Takes out of the table of an item of @size bytes, of which the decoder said PROBLEM_LOCATOR_DUPLICATE, the
 * first pair that repeats one before it, key and value. The strings stay where they are. False: there is
 * none, or strings lie in the table.
 */
bool vhdx_locator_drop_repeat(void *buf, size_t size);

/* Encodes pairs; *ret_size is the item's length. -EILSEQ, or -ENAMETOOLONG when @size is too small. */
int vhdx_locator_encode(const struct locator_pair *pairs, unsigned count, void *ret_buf,
			size_t size, size_t *ret_size);

#endif
