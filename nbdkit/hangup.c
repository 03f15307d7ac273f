/* SPDX-License-Identifier: MIT */
/*
 * A thread that, woken by a signal, shuts the connections' sockets for reading. Requests that came before
 * are still answered; then nbdkit sees the end of each stream, as if the client had closed it. Those who do
 * not take their answers are cut off after a while.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hangup.h"

/*
 * A busy connection ends soon by itself: each of nbdkit's threads takes one request more, to refuse it. It
 * must not be cut off, for a client that goes with answers on their way to it makes some versions of nbdkit
 * abort. What is left after this time is idle.
 */
#define GRACE_MS 1000
/* A connection may be accepted just when the signal comes, so they are looked for again and again. */
#define LOOK_AGAIN_MS 100
/* So long clients may take to read their answers, of which one that reads nothing waits for more for ever. */
#define ANSWERS_MS 5000

#define STOP_SERVING 's'
#define STOP_THREAD  't'

static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

#define NSIGNALS (sizeof(signals) / sizeof(signals[0]))

/* nbdkit tells plugins nothing of its sockets: its connections have the address that it listens on. */
#define LISTENERS_MAX 16

struct place {
	sa_family_t family;
	uint32_t port; /* as it is in the address; 0 with a path */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static struct place listeners[LISTENERS_MAX];
static unsigned nlisteners;
static struct sigaction nbdkits[NSIGNALS];
static int wake[2];
static pthread_t thread;
static bool started;
static int (*make_durable)(void);

/* ---- Connections ---- */

static bool has_option(int fd, int option, int wanted)
{
	int value;
	socklen_t length = sizeof(value);

	return !getsockopt(fd, SOL_SOCKET, option, &value, &length) && value == wanted;
}

static void each_socket(void (*visit)(int fd, int how), int how)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;

	if (!folder)
		return;
	while ((entry = readdir(folder)) != NULL) {
		int fd = atoi(entry->d_name);

		/* The standard streams may be others' sockets. */
		if (fd > STDERR_FILENO && has_option(fd, SO_TYPE, SOCK_STREAM))
			visit(fd, how);
	}
	closedir(folder);
}

/* By protocol, what tells listeners of one process apart: the path, or the port. */
static struct place place_of(int fd)
{
	struct place place = {0};
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_vm vm;
	} address = {0};
	socklen_t length = sizeof(address);

	if (getsockname(fd, &address.any, &length))
		return place;
	place.family = address.any.sa_family;
	if (place.family == AF_UNIX)
		memcpy(place.path, address.un.sun_path, sizeof(place.path));
	else if (place.family == AF_INET)
		place.port = address.in.sin_port;
	else if (place.family == AF_INET6)
		place.port = address.in6.sin6_port;
	else if (place.family == AF_VSOCK)
		place.port = address.vm.svm_port;
	return place;
}

static void note_listener(int fd, int how)
{
	(void)how;
	if (has_option(fd, SO_ACCEPTCONN, 1) && nlisteners < LISTENERS_MAX)
		listeners[nlisteners++] = place_of(fd);
}

/* Other sockets are those by which the disk itself is read. */
static void shut_connection(int fd, int how)
{
	struct place place = place_of(fd);

	if (!has_option(fd, SO_ACCEPTCONN, 0))
		return;
	for (unsigned i = 0; i < nlisteners; i++)
		if (place.family == listeners[i].family && place.port == listeners[i].port &&
		    !memcmp(place.path, listeners[i].path, sizeof(place.path)))
			shutdown(fd, how);
}

static void shut_connections(int how)
{
	each_socket(shut_connection, how);
}

/* ---- The thread ---- */

/* Whether the thread shall end, when it was woken within the time (-1: at any time). */
static bool is_over(int timeout_ms)
{
	struct pollfd pipe = {.fd = wake[0], .events = POLLIN};
	char why = STOP_SERVING;

	return poll(&pipe, 1, timeout_ms) > 0 && read(wake[0], &why, 1) == 1 && why == STOP_THREAD;
}

static void *hang_up(void *opaque)
{
	bool over = is_over(-1) || is_over(GRACE_MS);

	for (int waited_ms = 0; !over; waited_ms += LOOK_AGAIN_MS) {
		/* nbdkit aborts when several answers to a connection that was cut are still to be sent. */
		if (waited_ms == ANSWERS_MS)
			make_durable();
		shut_connections(waited_ms < ANSWERS_MS ? SHUT_RD : SHUT_RDWR);
		over = is_over(LOOK_AGAIN_MS);
	}
	return opaque;
}

static void write_wake(char why)
{
	int saved = errno;
	ssize_t done = write(wake[1], &why, 1);

	(void)done; /* when the pipe is full, it is awake */
	errno = saved;
}

/* ---- Signals ---- */

static void on_signal(int number, siginfo_t *info, void *context)
{
	for (size_t i = 0; i < NSIGNALS; i++) {
		if (signals[i] != number)
			continue;
		if (nbdkits[i].sa_flags & SA_SIGINFO)
			nbdkits[i].sa_sigaction(number, info, context);
		else
			nbdkits[i].sa_handler(number);
	}
	write_wake(STOP_SERVING);
}

static bool is_handled(const struct sigaction *action)
{
	return action->sa_flags & SA_SIGINFO ||
	       (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

/* nbdkit's own handlers go on doing what they do. */
static void hook_signals(void)
{
	for (size_t i = 0; i < NSIGNALS; i++) {
		sigaction(signals[i], NULL, &nbdkits[i]);
		if (!is_handled(&nbdkits[i]))
			continue;
		struct sigaction action = nbdkits[i];

		action.sa_flags |= SA_SIGINFO;
		action.sa_sigaction = on_signal;
		sigaction(signals[i], &action, NULL);
	}
}

static void unhook_signals(void)
{
	for (size_t i = 0; i < NSIGNALS; i++)
		sigaction(signals[i], &nbdkits[i], NULL);
}

static int start_thread(void)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int ret = pthread_create(&thread, NULL, hang_up, NULL);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -ret;
}

int hangup_start(int (*flush)(void))
{
	make_durable = flush;
	each_socket(note_listener, 0);
	if (pipe2(wake, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	int ret = start_thread();

	if (ret) {
		close(wake[0]);
		close(wake[1]);
		return ret;
	}
	hook_signals();
	started = true;
	return 0;
}

void hangup_stop(void)
{
	if (!started)
		return;
	started = false;
	unhook_signals();
	write_wake(STOP_THREAD);
	pthread_join(thread, NULL);
	close(wake[0]);
	close(wake[1]);
}
