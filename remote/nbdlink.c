/* SPDX-License-Identifier: MIT */
/*
 * One connection to an NBD server. Of the threads that wait for replies one polls the socket for all:
 * so no thread is needed that does nothing else, and a reply wakes only the thread that it is for.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "nbdlink.h"

#define IDLE_MILLISECONDS 100 /* until a signal is noticed */
#define MORE_SECONDS	  2   /* for a further connection, which can be done without */
/* A flush may take so many times as long as anything else: the server writes out all that it held back. */
#define FLUSH_PATIENCE 10

struct nbdlink {
	/* Of everything here, and of the handle: nothing in it blocks, except what only poll waits for. */
	pthread_mutex_t lock;
	struct nbdlink_request *sleeping; /* whose threads sleep */
	struct nbd_handle *handle;	  /* NULL once it was given up */
	int (*stopped)(void);
	int64_t patience;	   /* in nanoseconds */
	int64_t heard;		   /* when the server last gave a sign of life, or was asked */
	int64_t greeting;	   /* so long took the handshake */
	unsigned flushes;	   /* in flight */
	int wake;		   /* an eventfd that ends a poll */
	bool polled;		   /* a thread polls, without the lock */
	pthread_cond_t poll_ended; /* for who gives the link up */
	int failure;
};

static unsigned timeout_of(const struct remote_options *options)
{
	return options->timeout_s ? options->timeout_s : REMOTE_TIMEOUT;
}

/* ---- Replies, with the lock held ---- */

/* A server may claim success and leave out what it was asked for. */
static int result_of(const struct nbdlink_request *request, int error)
{
	if (!error && request->operation == NBDLINK_READ &&
	    (request->received != request->length || request->reached != request->length))
		return -EPROTO;
	return error == ENOTCONN ? -ECONNRESET : -error;
}

static void complete(struct nbdlink_request *request, int result)
{
	request->result = result;
	request->done = true;
	request->link->flushes -= request->operation == NBDLINK_FLUSH;
	if (request->sleeper)
		pthread_cond_signal(request->sleeper);
}

static int take_result(void *opaque, int *error)
{
	struct nbdlink_request *request = opaque;

	complete(request, result_of(request, *error));
	return 1; /* libnbd may forget it */
}

/*
 * Chunks may come in any order, and those of a liar overlap. What one skips is cleared, for only the length of all
 * of them is known in the end, and what the memory held before must not pass for contents.
 */
static int take_chunk(void *opaque, const void *bytes, size_t count, uint64_t offset,
		      unsigned status, int *error)
{
	struct nbdlink_request *request = opaque;

	(void)bytes;
	(void)error;
	if (status == LIBNBD_READ_ERROR)
		return 0;
	uint64_t start = offset - request->offset;

	if (start > request->reached)
		memset((char *)request->buf + request->reached, 0, start - request->reached);
	if (start + count > request->reached)
		request->reached = start + count;
	request->received += count;
	return 0;
}

static int take_status(void *opaque, const char *context, uint64_t offset, uint32_t *entries,
		       size_t nentries, int *error)
{
	struct nbdlink_request *request = opaque;

	if (!strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) && offset == request->offset &&
	    !*error)
		request->status(request->opaque, entries, nentries);
	return 0;
}

static void wake_all(struct nbdlink *link)
{
	for (struct nbdlink_request *at = link->sleeping; at; at = at->next)
		pthread_cond_signal(at->sleeper);
}

static void end_poll(struct nbdlink *link)
{
	eventfd_write(link->wake, 1);
}

static void fail(struct nbdlink *link, int errnum)
{
	if (!link->failure)
		link->failure = errnum;
	end_poll(link);
	wake_all(link);
}

/* ---- Polling ---- */

static short events_of(unsigned direction)
{
	return (short)((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
		       (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
}

/* What libnbd wants may have changed since the poll began. An end of the connection shows as readable. */
static bool notify(struct nbdlink *link, short events)
{
	short wanted = events_of(nbd.aio_get_direction(link->handle));
	bool ended = events & (POLLHUP | POLLERR | POLLNVAL);

	if (wanted & POLLIN && (events & POLLIN || ended))
		return !nbd.aio_notify_read(link->handle);
	if (wanted & POLLOUT && (events & POLLOUT || ended))
		return !nbd.aio_notify_write(link->handle);
	return !ended;
}

static bool is_lost(const struct nbdlink *link)
{
	return nbd.aio_is_dead(link->handle) || nbd.aio_is_closed(link->handle);
}

static bool is_silent(const struct nbdlink *link)
{
	int64_t patience = link->patience * (link->flushes ? FLUSH_PATIENCE : 1);

	return clock_now() - link->heard > patience;
}

/* Waits for one event, without the lock, and deals with it. */
static void poll_once(struct nbdlink *link)
{
	struct pollfd fds[] = {
		{.fd = nbd.aio_get_fd(link->handle),
		 .events = events_of(nbd.aio_get_direction(link->handle))},
		{.fd = link->wake, .events = POLLIN},
	};
	eventfd_t count;

	link->polled = true;
	pthread_mutex_unlock(&link->lock);
	int ready = poll(fds, ARRAY_SIZE(fds), IDLE_MILLISECONDS);

	pthread_mutex_lock(&link->lock);
	link->polled = false;
	if (link->failure)
		pthread_cond_broadcast(&link->poll_ended);
	if (ready > 0 && fds[1].revents)
		eventfd_read(link->wake, &count);
	if (ready > 0 && fds[0].revents)
		link->heard = clock_now();
	if (ready > 0 && !link->failure && (!notify(link, fds[0].revents) || is_lost(link)))
		fail(link, -ECONNRESET);
	/* After an interrupted poll an answer may be there. */
	if (!ready && is_silent(link))
		fail(link, -ETIMEDOUT);
}

/* ---- Opening ---- */

/* libnbd's text begins with the name of its function. */
static const char *error_text(void)
{
	const char *text = nbd.get_error();
	const char *colon = text ? strstr(text, ": ") : NULL;

	if (colon && !strncmp(text, "nbd_", 4))
		text = colon + 2;
	return text ? text : "no reason is known";
}

/*
 * Files that an address names, of keys and certificates, are the user's own. Buffers need not be cleared
 * first, for take_chunk sees to what the server leaves out.
 */
static bool begin_connecting(struct nbd_handle *handle, const char *uri)
{
	return !nbd.set_uri_allow_local_file(handle, true) &&
	       !nbd.set_pread_initialize(handle, false) &&
	       !nbd.add_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION) &&
	       !nbd.aio_connect_uri(handle, uri);
}

/* Returns 0, or a negative errno: of -ECONNREFUSED libnbd knows the reason. */
static int connect_until(struct nbdlink *link, const char *uri, int64_t end)
{
	if (!begin_connecting(link->handle, uri))
		return -ECONNREFUSED;
	while (nbd.aio_is_connecting(link->handle)) {
		struct pollfd fd = {
			.fd = nbd.aio_get_fd(link->handle),
			.events = events_of(nbd.aio_get_direction(link->handle)),
		};

		if (link->stopped && link->stopped())
			return -ECANCELED;
		if (clock_now() >= end)
			return -ETIMEDOUT;
		if (fd.fd < 0 || (poll(&fd, 1, IDLE_MILLISECONDS) > 0 && !notify(link, fd.revents)))
			return -ECONNREFUSED;
	}
	return nbd.aio_is_ready(link->handle) ? 0 : -ECONNREFUSED;
}

static struct nbdlink *new_link(const struct remote_options *options)
{
	struct nbdlink *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	pthread_mutex_init(&link->lock, NULL);
	pthread_cond_init(&link->poll_ended, NULL);
	link->stopped = options->stopped;
	link->patience = timeout_of(options) * NS_A_SECOND;
	link->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	link->handle = nbd.create();
	if (link->wake >= 0 && link->handle)
		return link;
	nbdlink_close(link);
	return NULL;
}

static int fail_opening(int ret, const struct remote_options *options,
			struct remote_error *ret_error)
{
	switch (ret) {
	case -ETIMEDOUT:
		return remote_fail(ret_error, ETIMEDOUT,
				   "cannot be connected to: the server did not answer within %u s",
				   timeout_of(options));
	case -ECANCELED:
		return remote_fail(ret_error, ECANCELED, "stopped as asked");
	default:
		return remote_fail(ret_error, ECONNREFUSED, "cannot be connected to: %s",
				   error_text());
	}
}

int nbdlink_open(const char *uri, const struct remote_options *options, struct nbdlink **ret_link,
		 struct remote_error *ret_error)
{
	const char *missing = nbd_calls_load();

	if (missing)
		return remote_fail(ret_error, ENOTSUP, "cannot be connected to: %s", missing);
	struct nbdlink *link = new_link(options);

	if (!link)
		return remote_fail(ret_error, ENOMEM, "cannot be connected to: no memory");
	int64_t start = clock_now();
	int ret = connect_until(link, uri, start + link->patience);

	if (ret) {
		ret = fail_opening(ret, options, ret_error);
		nbdlink_close(link);
		return ret;
	}
	link->greeting = clock_now() - start;
	*ret_link = link;
	return 0;
}

/* Servers with a limit to their connections let more of them wait, in silence. */
struct nbdlink *nbdlink_open_more(const struct nbdlink *first, const char *uri,
				  const struct remote_options *options)
{
	struct nbdlink *link = new_link(options);
	int64_t end = clock_now() + MORE_SECONDS * NS_A_SECOND + 2 * first->greeting;

	if (link && !connect_until(link, uri, end))
		return link;
	nbdlink_close(link);
	return NULL;
}

struct nbd_handle *nbdlink_handle(struct nbdlink *link)
{
	return link->handle;
}

/* ---- Requests ---- */

/* After this libnbd touches no request and no buffer any more. */
static void give_up(struct nbdlink *link)
{
	while (link->polled)
		pthread_cond_wait(&link->poll_ended, &link->lock);
	nbd.close(link->handle);
	link->handle = NULL;
}

static int64_t issue(struct nbd_handle *handle, struct nbdlink_request *request)
{
	nbd_completion_callback completion = {.callback = take_result, .user_data = request};
	nbd_chunk_callback chunks = {.callback = take_chunk, .user_data = request};
	nbd_extent_callback extents = {.callback = take_status, .user_data = request};

	uint32_t fua = request->durable ? LIBNBD_CMD_FLAG_FUA : 0;

	switch (request->operation) {
	case NBDLINK_READ:
		return nbd.aio_pread_structured(handle, request->buf, (size_t)request->length,
						request->offset, chunks, completion, 0);
	case NBDLINK_WRITE:
		return nbd.aio_pwrite(handle, request->buf, (size_t)request->length,
				      request->offset, completion, fua);
	case NBDLINK_PUNCH:
		return nbd.aio_zero(handle, request->length, request->offset, completion, fua);
	case NBDLINK_ZERO:
		return nbd.aio_zero(handle, request->length, request->offset, completion,
				    LIBNBD_CMD_FLAG_NO_HOLE | fua);
	case NBDLINK_FLUSH:
		return nbd.aio_flush(handle, completion, 0);
	case NBDLINK_STATUS:
	default:
		return nbd.aio_block_status(handle, request->length, request->offset, extents,
					    completion, 0);
	}
}

void nbdlink_submit(struct nbdlink *link, struct nbdlink_request *request)
{
	LOCK_SCOPED(&link->lock);
	request->link = link;
	request->done = false;
	request->received = 0;
	request->reached = 0;
	request->sleeper = NULL;
	if (link->failure)
		return;
	link->heard = clock_now();
	link->flushes += request->operation == NBDLINK_FLUSH;
	bool issued = issue(link->handle, request) >= 0;

	if (!issued && !request->done && !is_lost(link))
		complete(request, nbd.get_errno() ? -nbd.get_errno() : -EIO);
	if (is_lost(link))
		fail(link, -ECONNRESET);
	else if (link->polled && nbd.aio_get_direction(link->handle) & LIBNBD_AIO_DIRECTION_WRITE)
		end_poll(link);
}

/* Until the request is done, or this thread is to poll. */
static void sleep_on(struct nbdlink *link, struct nbdlink_request *request)
{
	pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
	struct nbdlink_request **at = &link->sleeping;

	request->sleeper = &woken;
	request->next = link->sleeping;
	link->sleeping = request;
	pthread_cond_wait(&woken, &link->lock);
	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
	request->sleeper = NULL;
	pthread_cond_destroy(&woken);
}

int nbdlink_wait(struct nbdlink_request *request)
{
	struct nbdlink *link = request->link;

	LOCK_SCOPED(&link->lock);
	while (!request->done && !link->failure) {
		if (link->stopped && link->stopped())
			fail(link, -ECANCELED);
		else if (link->polled)
			sleep_on(link, request);
		else
			poll_once(link);
	}
	if (!request->done && link->handle)
		give_up(link);
	/* Who leaves hands the polling on. */
	if (!link->polled && link->sleeping)
		pthread_cond_signal(link->sleeping->sleeper);
	return request->done ? request->result : link->failure;
}

int nbdlink_failure(struct nbdlink *link)
{
	LOCK_SCOPED(&link->lock);
	return link->failure;
}

void nbdlink_close(struct nbdlink *link)
{
	if (!link)
		return;
	/* Says goodbye, without waiting for an answer. */
	if (link->handle && nbd.aio_is_ready(link->handle))
		nbd.aio_disconnect(link->handle, 0);
	nbd.close(link->handle);
	if (link->wake >= 0)
		close(link->wake);
	pthread_cond_destroy(&link->poll_ended);
	pthread_mutex_destroy(&link->lock);
	free(link);
}
