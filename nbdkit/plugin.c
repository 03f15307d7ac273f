/* SPDX-License-Identifier: MIT */
/* The nbdkit plugin: requests of all connections, on all of nbdkit's threads at once, for one disk. */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <vhdx.h>

#include "answer.h"
#include "hangup.h"
#include "parameters.h"
#include "shared.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* ---- From nbdkit's start to its end ---- */

static void plugin_dump_plugin(void)
{
	printf("vhdx_library_version=%s\n", vhdx_version());
	parameters_dump();
}

/* Nobody shall write the image from now on. */
static int plugin_after_fork(void)
{
	int ret = hangup_start(shared_flush);

	if (ret) {
		nbdkit_error("cannot watch for signals: %s", strerror(-ret));
		return -1;
	}
	return shared_open();
}

/* Called after the last connection ended: afterwards, the image is clean. */
static void plugin_cleanup(void)
{
	hangup_stop();
	shared_close();
}

/* nbdkit may stop before it has served. */
static void plugin_unload(void)
{
	hangup_stop();
	shared_close();
	parameters_free();
}

/* ---- Connections ---- */

/* All that tells them apart is whether they may write. */
static char reader, writer;

static void *plugin_open(int readonly)
{
	bool may_write;

	if (shared_connect(readonly, &may_write))
		return NULL;
	return may_write ? &writer : &reader;
}

static void plugin_close(void *handle)
{
	(void)handle;
	shared_disconnect();
}

static int may_write(void *handle)
{
	return handle == &writer;
}

static int yes(void *handle)
{
	(void)handle;
	return 1;
}

static int plugin_can_fua(void *handle)
{
	return may_write(handle) ? NBDKIT_FUA_NATIVE : NBDKIT_FUA_NONE;
}

/* Reading is what fills the page cache. */
static int plugin_can_cache(void *handle)
{
	(void)handle;
	return NBDKIT_CACHE_EMULATE;
}

static int get_info(struct vhdx_info *ret_info)
{
	*ret_info = (struct vhdx_info){.size = sizeof(*ret_info)};
	return answer(vhdx_get_info(shared_disk(), ret_info));
}

static int64_t plugin_get_size(void *handle)
{
	struct vhdx_info info;

	(void)handle;
	return get_info(&info) ? -1 : (int64_t)info.virtual_size;
}

/* Smaller and unaligned requests are served too; these are for clients that ask what is best. */
static int plugin_block_size(void *handle, uint32_t *ret_minimum, uint32_t *ret_preferred,
			     uint32_t *ret_maximum)
{
	struct vhdx_info info;

	(void)handle;
	if (get_info(&info))
		return -1;
	*ret_minimum = info.logical_sector_size;
	*ret_preferred = info.physical_sector_size > info.logical_sector_size
				 ? info.physical_sector_size
				 : info.logical_sector_size;
	*ret_maximum = UINT32_MAX;
	return 0;
}

/* ---- Requests: nbdkit has checked their ranges ---- */

static uint32_t fua(uint32_t nbdkit_flags)
{
	return nbdkit_flags & NBDKIT_FLAG_FUA ? VHDX_FUA : 0;
}

static int plugin_pread(void *handle, void *buf, uint32_t count, uint64_t offset,
			uint32_t nbdkit_flags)
{
	(void)handle;
	(void)nbdkit_flags;
	return answer(vhdx_pread(shared_disk(), buf, count, offset));
}

static int plugin_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
			 uint32_t nbdkit_flags)
{
	(void)handle;
	return answer(vhdx_pwrite(shared_disk(), buf, count, offset, fua(nbdkit_flags)));
}

static int plugin_flush(void *handle, uint32_t nbdkit_flags)
{
	(void)handle;
	(void)nbdkit_flags;
	return answer(vhdx_flush(shared_disk()));
}

static int plugin_trim(void *handle, uint32_t count, uint64_t offset, uint32_t nbdkit_flags)
{
	(void)handle;
	return answer(vhdx_trim(shared_disk(), offset, count, fua(nbdkit_flags)));
}

/* That zeros are not fast here is an answer, and nothing to log. */
static int plugin_zero(void *handle, uint32_t count, uint64_t offset, uint32_t nbdkit_flags)
{
	uint32_t how = fua(nbdkit_flags);

	(void)handle;
	if (nbdkit_flags & NBDKIT_FLAG_MAY_TRIM)
		how |= VHDX_ZERO_MAY_UNMAP;
	if (nbdkit_flags & NBDKIT_FLAG_FAST_ZERO)
		how |= VHDX_ZERO_FAST;
	int ret = vhdx_zero(shared_disk(), offset, count, how);

	if (ret != -EOPNOTSUPP || !(how & VHDX_ZERO_FAST))
		return answer(ret);
	nbdkit_set_error(EOPNOTSUPP);
	return -1;
}

/* What of a client's range is told at a time. */
#define EXTENTS_MAX 256
/* For a client that wants the first only; neighbours may be one to NBD. */
#define EXTENTS_FEW 8

static uint32_t extent_type(const struct vhdx_extent *extent)
{
	return extent->type == VHDX_EXTENT_DATA ? 0 : NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO;
}

static int plugin_extents(void *handle, uint32_t count, uint64_t offset, uint32_t nbdkit_flags,
			  struct nbdkit_extents *extents)
{
	bool one = nbdkit_flags & NBDKIT_FLAG_REQ_ONE;
	uint64_t end = offset + count;
	struct vhdx_extent found[EXTENTS_MAX];

	(void)handle;
	while (offset < end) {
		size_t nfound = one ? EXTENTS_FEW : EXTENTS_MAX;
		int ret = vhdx_extents(shared_disk(), offset, end - offset, VHDX_EXTENTS_FILE_HOLES,
				       found, &nfound);

		if (ret)
			return answer_failure(ret);
		for (size_t i = 0; i < nfound; i++)
			if (nbdkit_add_extent(extents, found[i].offset, found[i].length,
					      extent_type(&found[i])))
				return -1;
		offset = found[nfound - 1].offset + found[nfound - 1].length;
		if (one && extent_type(&found[0]) != extent_type(&found[nfound - 1]))
			break;
	}
	return 0;
}

static struct nbdkit_plugin plugin = {
	.name = "vhdx",
	.longname = "VHDX virtual disks",
	.version = VHDX_VERSION_STRING,
	.description =
		"Serves VHDX virtual disks (Hyper-V, Windows, Azure, WSL2), differencing chains too",
	.magic_config_key = "file",
	.config_help = parameters_help,
	.config = parameters_take,
	.config_complete = parameters_complete,
	.dump_plugin = plugin_dump_plugin,
	/*
	 * Faults of the image stop nbdkit before it serves. With --run, the process that nbdkit leaves behind
	 * at the fork would keep the lock of a disk that stayed open.
	 */
	.get_ready = shared_try,
	.after_fork = plugin_after_fork,
	.cleanup = plugin_cleanup,
	.unload = plugin_unload,
	.open = plugin_open,
	.close = plugin_close,
	.get_size = plugin_get_size,
	.block_size = plugin_block_size,
	.can_write = may_write,
	.can_flush = may_write,
	.can_trim = may_write,
	.can_zero = may_write,
	.can_fast_zero = may_write,
	.can_fua = plugin_can_fua,
	.can_multi_conn =
		yes, /* there is one disk, so a flush covers what every connection wrote */
	.can_extents = yes,
	.can_cache = plugin_can_cache,
	.pread = plugin_pread,
	.pwrite = plugin_pwrite,
	.flush = plugin_flush,
	.trim = plugin_trim,
	.zero = plugin_zero,
	.extents = plugin_extents,
};

/* nbdkit's macro defines it without a declaration before. */
struct nbdkit_plugin *plugin_init(void);

NBDKIT_REGISTER_PLUGIN(plugin)
