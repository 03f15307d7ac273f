/* SPDX-License-Identifier: MIT */
/*
 * A file in memory stands for standard error. A pipe would not do: with auto_unmount, fusermount3 stays, and
 * would write into one that nobody reads.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture.h"

void capture_begin(struct capture *capture)
{
	capture->real = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	capture->taken = memfd_create("standard error", MFD_CLOEXEC);
	if (capture->real >= 0 && capture->taken >= 0)
		dup2(capture->taken, STDERR_FILENO);
}

const char *capture_end(struct capture *capture, char *buffer, size_t size)
{
	static const char program[] = "fusermount3: ";
	ssize_t length = -1;

	if (capture->real >= 0) {
		dup2(capture->real, STDERR_FILENO);
		close(capture->real);
	}
	if (capture->taken >= 0) {
		length = pread(capture->taken, buffer, size - 1, 0);
		close(capture->taken);
	}
	buffer[length > 0 ? length : 0] = 0;
	buffer[strcspn(buffer, "\n")] = 0;
	return strncmp(buffer, program, sizeof(program) - 1) ? buffer
							     : buffer + sizeof(program) - 1;
}
