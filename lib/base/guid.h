/* SPDX-License-Identifier: MIT */
/* GUIDs: comparing, text, making new ones (F 10.2). */
#ifndef VHDX_BASE_GUID_H
#define VHDX_BASE_GUID_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <vhdx.h>

static inline bool guid_equal(const struct vhdx_guid *a, const struct vhdx_guid *b)
{
	return !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static inline bool guid_is_zero(const struct vhdx_guid *guid)
{
	return guid_equal(guid, &(struct vhdx_guid){{0}});
}

/* Reads 36 characters of either case, with or without braces. Returns 0 or -EINVAL. */
int vhdx_guid_parse(const char *text, struct vhdx_guid *ret_guid);

/* Makes version-4 GUIDs: random ones, or a sequence that a seed decides. */
struct guid_source {
	bool seeded;
	uint64_t state;
};

/* @seed NULL: random. */
struct guid_source vhdx_guid_source(const void *seed, size_t size);

/* Makes what a seed decides depend on @bytes too. */
void vhdx_guid_source_mix(struct guid_source *source, const void *bytes, size_t size);

/* Returns 0, or a negative errno when the system has no randomness to give. */
int vhdx_guid_next(struct guid_source *source, struct vhdx_guid *ret_guid);

#endif
