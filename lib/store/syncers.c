/* SPDX-License-Identifier: MIT */
/* Flushes of one file by several threads at once, each of which learns of what failed before it. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/reopen.h"
#include "store/syncers.h"

void vhdx_syncers_init(struct syncers *ret_syncers, int fd)
{
	*ret_syncers = (struct syncers){.fd = fd, .fds = {fd}, .count = 1, .opened = 1};
	pthread_mutex_init(&ret_syncers->lock, NULL);
	pthread_cond_init(&ret_syncers->changed, NULL);
}

void vhdx_syncers_destroy(struct syncers *syncers)
{
	for (unsigned i = 0; i < syncers->opened; i++)
		if (syncers->fds[i] != syncers->fd)
			close(syncers->fds[i]);
	pthread_cond_destroy(&syncers->changed);
	pthread_mutex_destroy(&syncers->lock);
}

/*
 * All at once, where none is busy, which may not come again. Servers of files want to be asked by who may
 * write. As many as there can be had have to do.
 */
static void open_others(struct syncers *syncers)
{
	int mode = fcntl(syncers->fd, F_GETFL);

	syncers->tried = true;
	while (syncers->opened < SYNCERS) {
		int fd = mode < 0 ? -1 : fd_reopen(syncers->fd, (mode & O_ACCMODE) | O_NONBLOCK);

		if (fd < 0)
			break;
		syncers->fds[syncers->opened++] = fd;
	}
}

static int take(struct syncers *syncers, int *ret_fd)
{
	LOCK_SCOPED(&syncers->lock);
	while (!syncers->failed && syncers->busy == syncers->count) {
		syncers->met = true;
		pthread_cond_wait(&syncers->changed, &syncers->lock);
	}
	if (syncers->failed)
		return syncers->failed;
	if (syncers->met && !syncers->busy && !syncers->tried)
		open_others(syncers);
	*ret_fd = syncers->fds[syncers->busy++];
	return 0;
}

/*
 * A new description knows of no error that was told before it was opened. None was when a flush of an old
 * one, which began afterwards, for none ran then, finds nothing: from there on the new ones will do.
 */
static void give_back(struct syncers *syncers, int fd, int ret)
{
	unsigned place = 0;

	LOCK_SCOPED(&syncers->lock);
	if (ret && !syncers->failed)
		syncers->failed = ret;
	while (syncers->fds[place] != fd)
		place++;
	syncers->fds[place] = syncers->fds[--syncers->busy];
	syncers->fds[syncers->busy] = fd;
	bool more = !ret && syncers->count < syncers->opened;

	if (more)
		syncers->count = syncers->opened;
	if (more || ret)
		pthread_cond_broadcast(&syncers->changed);
	else
		pthread_cond_signal(&syncers->changed);
}

int vhdx_syncers_flush(struct syncers *syncers)
{
	int fd;
	int ret = take(syncers, &fd);

	if (ret)
		return ret;
	do
		ret = fdatasync(fd) ? -errno : 0;
	while (ret == -EINTR);
	give_back(syncers, fd, ret);
	return ret;
}
