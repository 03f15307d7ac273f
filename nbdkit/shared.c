/* SPDX-License-Identifier: MIT */
/*
 * The one disk that all connections share. It is open for reading from the start, and for writing from the
 * first connection that may write, for nbdkit tells not earlier whether any may.
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <errno.h>
#include <pthread.h>

#include "answer.h"
#include "parameters.h"
#include "shared.h"

static struct {
	pthread_mutex_t lock; /* of the members here; the disk stays while there are connections */
	struct vhdx *disk;
	bool writable;
	bool denied; /* this process may not write the file */
	unsigned connections;
	int failure; /* of the last open: 0 or a negative errno */
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int open_disk(bool writable)
{
	struct remote_disk_options options = parameters_disk_options(writable);
	struct remote_error error;
	int ret = remote_open_disk(parameters_file(), &options, &shared.disk, &error);

	shared.failure = ret;
	if (ret)
		return error.text[0] ? answer_error(parameters_file(), error.text, ret)
				     : answer_failure(ret);
	shared.writable = writable;
	return 0;
}

int shared_close(void)
{
	int ret = vhdx_close(shared.disk);

	shared.disk = NULL;
	shared.writable = false;
	return answer(ret);
}

int shared_try(void)
{
	return open_disk(false) ? -1 : shared_close();
}

int shared_open(void)
{
	return open_disk(false);
}

int shared_flush(void)
{
	pthread_mutex_lock(&shared.lock);
	int ret = shared.writable ? answer(vhdx_flush(shared.disk)) : 0;

	pthread_mutex_unlock(&shared.lock);
	return ret;
}

static bool is_denied(int ret)
{
	return ret == -EACCES || ret == -EPERM || ret == -EROFS;
}

/* A file that may not be written is served for reading. */
static int make_writable(void)
{
	if (shared.writable || shared.denied || !parameters_allow_writing())
		return 0;
	if (shared.connections) {
		nbdkit_error(
			"%s: other connections read it (expected none, to open it for writing)",
			parameters_file());
		nbdkit_set_error(EBUSY);
		return -1;
	}
	if (shared_close())
		return -1;
	int ret = open_disk(true);

	shared.denied = ret && is_denied(shared.failure);
	if (shared.denied)
		nbdkit_error("warning: %s: is served read-only", parameters_file());
	return shared.denied ? 0 : ret;
}

int shared_connect(bool readonly, bool *ret_may_write)
{
	pthread_mutex_lock(&shared.lock);
	int ret = readonly ? 0 : make_writable();

	if (!ret && !shared.disk)
		ret = open_disk(false);
	if (!ret) {
		shared.connections++;
		*ret_may_write = !readonly && shared.writable;
	}
	pthread_mutex_unlock(&shared.lock);
	return ret;
}

void shared_disconnect(void)
{
	pthread_mutex_lock(&shared.lock);
	shared.connections--;
	pthread_mutex_unlock(&shared.lock);
}

struct vhdx *shared_disk(void)
{
	return shared.disk;
}
