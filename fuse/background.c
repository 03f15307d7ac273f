/* SPDX-License-Identifier: MIT */
/* Going to the background when all went well: a pipe tells the process that was started. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "background.h"

static int ready = -1; /* the pipe's end for writing */

/* What was printed came from the other process, so nothing of this one may be printed any more. */
static void await(int told, pid_t child)
{
	int status;
	char byte;
	ssize_t got;

	do
		got = read(told, &byte, 1);
	while (got < 0 && errno == EINTR);
	if (got == 1)
		_exit(EXIT_SUCCESS);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

int background_begin(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid_t child = fork();

	if (child > 0) {
		close(ends[1]);
		await(ends[0], child);
	}
	int ret = child ? -errno : 0;

	close(ends[0]);
	if (ret)
		close(ends[1]);
	else
		ready = ends[1];
	return ret;
}

int background_ready(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || setsid() < 0 || chdir("/"))
		return -errno;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (dup2(null, fd) < 0)
			return -errno;
	if (null > STDERR_FILENO)
		close(null);
	/* Whoever waited may have been killed meanwhile. */
	ssize_t done = write(ready, "", 1);

	(void)done;
	close(ready);
	return 0;
}
