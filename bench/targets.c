/* SPDX-License-Identifier: MIT */
/* What bench/commits writes to: a disk of ours, or a raw file that is flushed in one of two ways. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "targets.h"

static char *path_of(const char *name, const char *path)
{
	char *full;

	if (asprintf(&full, "%s.%s", path, name) < 0)
		err(EXIT_FAILURE, "asprintf");
	return full;
}

/* ---- A disk of ours ---- */

static int disk_write(struct target *target, const void *buf, size_t count, uint64_t offset)
{
	return vhdx_pwrite(target->opaque, buf, count, offset, 0);
}

static int disk_flush(struct target *target)
{
	return vhdx_flush(target->opaque);
}

static int disk_close(struct target *target)
{
	return vhdx_close(target->opaque);
}

static void require(int ret, const char *what)
{
	if (ret)
		errx(EXIT_FAILURE, "%s: %s", what, vhdx_last_error()->text);
}

static void make_disk(struct target *target, const char *path, uint64_t size, uint32_t block_size)
{
	struct vhdx_create_options create = {.size = sizeof(create),
					     .type = VHDX_DYNAMIC,
					     .virtual_size = size,
					     .block_size = block_size};
	struct vhdx_open_options open = {.size = sizeof(open), .flags = VHDX_OPEN_WRITE};
	struct vhdx_io file, counted;
	struct vhdx *disk;

	require(vhdx_create(path, &create), "create");
	require(vhdx_file_io(path, VHDX_FILE_WRITE, &file), "open");
	if (count_calls(&file, &target->counts, &counted))
		errx(EXIT_FAILURE, "no memory");
	require(vhdx_open_io(&counted, &open, &disk), "open");
	target->write = disk_write;
	target->flush = disk_flush;
	target->close = disk_close;
	target->opaque = disk;
}

/* ---- A raw file ---- */

struct raw {
	int fd;
	/* Of shared flushes; under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool flushing;
	uint64_t begun;
	uint64_t done;
};

static int raw_write(struct target *target, const void *buf, size_t count, uint64_t offset)
{
	struct raw *raw = target->opaque;
	ssize_t done = pwrite(raw->fd, buf, count, (off_t)offset);

	atomic_fetch_add(&target->counts.writes, 1);
	return done == (ssize_t)count ? 0 : -EIO;
}

static int raw_flush(struct target *target)
{
	struct raw *raw = target->opaque;

	atomic_fetch_add(&target->counts.flushes, 1);
	return fdatasync(raw->fd) ? -errno : 0;
}

/* A flush that begins after the call serves it, whoever runs it. */
static int shared_flush(struct target *target)
{
	struct raw *raw = target->opaque;
	int ret = 0;

	pthread_mutex_lock(&raw->lock);
	uint64_t needed = raw->begun + 1;

	while (raw->done < needed && !ret) {
		if (raw->flushing) {
			pthread_cond_wait(&raw->changed, &raw->lock);
			continue;
		}
		uint64_t number = ++raw->begun;

		raw->flushing = true;
		pthread_mutex_unlock(&raw->lock);
		ret = raw_flush(target);
		pthread_mutex_lock(&raw->lock);
		raw->flushing = false;
		raw->done = number;
		pthread_cond_broadcast(&raw->changed);
	}
	pthread_mutex_unlock(&raw->lock);
	return ret;
}

static int raw_close(struct target *target)
{
	struct raw *raw = target->opaque;
	int ret = close(raw->fd);

	free(raw);
	return ret;
}

static void make_raw(struct target *target, const char *path, uint64_t size)
{
	struct raw *raw = calloc(1, sizeof(*raw));

	if (!raw)
		err(EXIT_FAILURE, "calloc");
	raw->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (raw->fd < 0 || ftruncate(raw->fd, (off_t)size))
		err(EXIT_FAILURE, "%s", path);
	pthread_mutex_init(&raw->lock, NULL);
	pthread_cond_init(&raw->changed, NULL);
	target->write = raw_write;
	target->flush = !strcmp(target->name, "shared") ? shared_flush : raw_flush;
	target->close = raw_close;
	target->opaque = raw;
}

/* ---- Both ---- */

struct target *target_make(const char *name, const char *path, uint64_t size, uint32_t block_size)
{
	struct target *target = calloc(1, sizeof(*target));

	if (!target)
		err(EXIT_FAILURE, "calloc");
	char *full = path_of(name, path);

	target->name = name;
	if (!strcmp(name, "vhdx"))
		make_disk(target, full, size, block_size);
	else if (!strcmp(name, "raw") || !strcmp(name, "shared"))
		make_raw(target, full, size);
	else
		errx(EXIT_FAILURE, "%s: is none of vhdx, raw, shared", name);
	free(full);
	return target;
}

void target_drop(struct target *target, const char *path)
{
	char *full = path_of(target->name, path);

	if (target->close(target))
		errx(EXIT_FAILURE, "%s: closing it failed", full);
	unlink(full);
	free(full);
	free(target);
}
