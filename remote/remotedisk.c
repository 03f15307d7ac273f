/* SPDX-License-Identifier: MIT */
/* Opens disks in remote storage, and gives each child the parent that the caller named for it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "remotedisk.h"
#include "readahead.h"

/* Of the library: a parent was not found. */
#define PROBLEM_NO_PARENT 820

/* What the callbacks of one open share. */
struct chain {
	const struct remote_disk_options *options;
	size_t used;	 /* of the parents */
	bool lacks_name; /* a child's parent was not named, and its storage has no folder to look in */
	char child[256];	   /* that one, as errors say it; empty: the disk itself */
	struct remote_error error; /* of the one that could not be opened */
};

/* Storage for an image: read ahead, or such that what is written can be made durable. */
static int prepare(struct vhdx_io *io, bool writing, size_t images, struct remote_error *ret_error)
{
	int ret = writing ? 0 : readahead_wrap(io, images);

	if (ret)
		return remote_fail(ret_error, -ret, "cannot be opened: %s", strerror(-ret));
	if (writing && !io->flush)
		return remote_fail(
			ret_error, ENOTSUP,
			"cannot be written: its server cannot flush (expected one that can)");
	return 0;
}

static int open_image(const char *name, bool writing, size_t images,
		      const struct remote_options *options, struct vhdx_io *ret_io,
		      struct remote_error *ret_error)
{
	struct vhdx_io io;
	int ret = remote_open(name, writing, options, &io, ret_error);

	if (ret)
		return ret;
	ret = prepare(&io, writing, images, ret_error);
	if (ret)
		io.close(io.opaque);
	else
		*ret_io = io;
	return ret;
}

int remote_open_image(const char *name, bool writing, const struct remote_options *options,
		      struct vhdx_io *ret_io, struct remote_error *ret_error)
{
	return open_image(name, writing, 1, options, ret_io, ret_error);
}

/* ---- Parents ---- */

/* The disk's own and the parents that are named. */
static size_t count_images(const struct remote_disk_options *options)
{
	size_t count = 0;

	while (options->parents && options->parents[count])
		count++;
	return count + 1;
}

/* Parents are only read. */
static int open_parent_storage(struct chain *chain, const char *name, struct vhdx_io *ret_io)
{
	struct remote_error error;

	if (!remote_kind(name)) {
		int ret = vhdx_file_io(name, 0, ret_io);

		return ret ? remote_fail(&chain->error, -ret, "its parent %.200s: %.200s", name,
					 vhdx_last_error()->text)
			   : 0;
	}
	int ret = open_image(name, false, count_images(chain->options), &chain->options->storage,
			     ret_io, &error);

	return ret ? remote_fail(&chain->error, -ret, "its parent %.200s: %.200s", name, error.text)
		   : 0;
}

/* A file's further parents may be found beside it. */
static int next_parent(void *opaque, const char *child, struct vhdx_io *ret_io,
		       const char **ret_name)
{
	struct chain *chain = opaque;
	remote_parents parents = chain->options->parents;

	if (!parents || !parents[chain->used]) {
		if (remote_kind(child) && !chain->lacks_name) {
			chain->lacks_name = true;
			if (chain->used)
				snprintf(chain->child, sizeof(chain->child), "its parent %.200s ",
					 child);
		}
		return -ENOENT;
	}
	*ret_name = parents[chain->used++];
	int ret = open_parent_storage(chain, *ret_name, ret_io);

	/* A file that is not there is no reason to look for others. */
	return ret == -ENOENT ? -EIO : ret;
}

static void pass_warning(void *opaque, const char *file, const char *text)
{
	const struct chain *chain = opaque;
	const struct vhdx_open_options *open = &chain->options->open;

	open->warning(open->opaque, file, text);
}

/* ---- The disk ---- */

/* Why the open failed with @ret, if the library does not know it. */
static void explain(const struct chain *chain, int ret, struct remote_error *ret_error)
{
	ret_error->text[0] = 0;
	if (chain->error.text[0])
		*ret_error = chain->error;
	else if (chain->lacks_name && ret == -ENOTSUP &&
		 vhdx_last_error()->problem == PROBLEM_NO_PARENT)
		remote_fail(ret_error, -ret,
			    "%shas a parent, whose place is not given (expected it as parent-uri)",
			    chain->child);
}

/* What was named and is no part of the chain is a mistake, which a wrong order may be too. */
static int check_all_used(const struct chain *chain, struct remote_error *ret_error)
{
	size_t given = count_images(chain->options) - 1;

	if (chain->error.text[0]) { /* an examined disk is open all the same */
		*ret_error = chain->error;
		return -EIO;
	}
	return given == chain->used
		       ? 0
		       : remote_fail(ret_error, EINVAL,
				     "%zu parent%s given by parent-uri, and its chain has %zu",
				     given, given == 1 ? " is" : "s are", chain->used);
}

static struct vhdx_open_options make_options(struct chain *chain, const char *name)
{
	struct vhdx_open_options open = chain->options->open;

	open.name = name;
	open.open_parent = NULL;
	open.next_parent = next_parent;
	open.warning = open.warning ? pass_warning : NULL;
	open.opaque = chain;
	return open;
}

static int check_parents(const struct remote_disk_options *options, struct remote_error *ret_error)
{
	bool excluded = options->open.flags & VHDX_OPEN_NO_PARENT && count_images(options) > 1;

	return excluded ? remote_fail(ret_error, EINVAL, "no-parent excludes parent-uri") : 0;
}

static int finish(const struct chain *chain, struct vhdx *disk, struct vhdx **ret_disk,
		  struct remote_error *ret_error)
{
	int ret = check_all_used(chain, ret_error);

	if (ret)
		vhdx_close(disk);
	else
		*ret_disk = disk;
	return ret;
}

int remote_open_disk_io(struct vhdx_io *io, const char *name,
			const struct remote_disk_options *options, struct vhdx **ret_disk,
			struct remote_error *ret_error)
{
	struct chain chain = {.options = options};
	struct vhdx_open_options open = make_options(&chain, name);
	struct vhdx *disk;
	int ret = prepare(io, open.flags & VHDX_OPEN_WRITE, count_images(options), ret_error);

	if (!ret)
		ret = check_parents(options, ret_error);
	if (!ret) {
		ret = vhdx_open_io(io, &open, &disk);
		if (!ret)
			return finish(&chain, disk, ret_disk, ret_error);
		explain(&chain, ret, ret_error);
	}
	io->close(io->opaque);
	return ret;
}

static int open_file(const char *name, const struct remote_disk_options *options,
		     struct vhdx **ret_disk, struct remote_error *ret_error)
{
	struct chain chain = {.options = options};
	struct vhdx_open_options open = make_options(&chain, name);
	struct vhdx *disk;
	int ret = check_parents(options, ret_error);

	if (ret)
		return ret;
	ret = vhdx_open(name, &open, &disk);
	if (ret)
		explain(&chain, ret, ret_error);
	return ret ? ret : finish(&chain, disk, ret_disk, ret_error);
}

int remote_open_disk(const char *name, const struct remote_disk_options *options,
		     struct vhdx **ret_disk, struct remote_error *ret_error)
{
	struct vhdx_io io;

	if (!remote_kind(name))
		return open_file(name, options, ret_disk, ret_error);
	int ret = remote_open(name, options->open.flags & VHDX_OPEN_WRITE, &options->storage, &io,
			      ret_error);

	return ret ? ret : remote_open_disk_io(&io, name, options, ret_disk, ret_error);
}
