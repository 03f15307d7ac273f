/* SPDX-License-Identifier: MIT */
/*
 * A new child that is written on a parent that is open already. Until it is whole it is worth nothing, so
 * its journal need not wait for the storage: whoever made it flushes it once.
 */
#include "vdisk/child.h"
#include "vdisk/writer.h"

int vhdx_child_open(const struct vhdx_io *io, const char *name, uint32_t flags, struct vhdx *parent,
		    struct vhdx **ret_child)
{
	struct open_request request = {
		.options = {.size = sizeof(request.options), .flags = VHDX_OPEN_WRITE | flags},
		.shared = parent->shared,
	};
	struct vhdx_io own = *io;
	struct vhdx *child;

	own.lock = NULL;
	own.flush = NULL;
	own.close = NULL;
	int ret = vhdx_disk_open_one(&own, name, &request, &child);

	if (ret)
		return ret;
	child->parent = parent;
	ret = vhdx_writer_make(child);
	if (ret)
		vhdx_child_drop(child);
	else
		*ret_child = child;
	return ret;
}

int vhdx_child_close(struct vhdx *child)
{
	child->parent = NULL;
	return vhdx_close(child);
}

void vhdx_child_drop(struct vhdx *child)
{
	vhdx_writer_free(child);
	vhdx_child_close(child);
}
