/* SPDX-License-Identifier: MIT */
/* Takes a socket's name or port for a moment, as a server will. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "listening.h"
#include "report.h"

/* 0 or an errno. */
static int try_bind(int family, const struct sockaddr *address, socklen_t length)
{
	int on = 1, result = 0;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	/* As servers do: a port whose last connections are still fading is free. */
	if (family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, address, length))
		result = errno;
	close(fd);
	return result;
}

int listening_try_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);
	int errnum = length < sizeof(address.sun_path) ? 0 : ENAMETOOLONG;

	if (!errnum) {
		memcpy(address.sun_path, path, length + 1);
		errnum = try_bind(AF_UNIX, (const struct sockaddr *)&address, sizeof(address));
	}
	if (errnum)
		return report_errno(path, "the socket cannot be made", errnum);
	unlink(path);
	return STATUS_DONE;
}

/* Returns whether the address is one of its family. */
static bool try_ipv4(const char *address, in_port_t port, int *ret_errnum)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = port};

	if (inet_pton(AF_INET, address, &at.sin_addr) != 1)
		return false;
	*ret_errnum = try_bind(AF_INET, (const struct sockaddr *)&at, sizeof(at));
	return true;
}

static bool try_ipv6(const char *address, in_port_t port, int *ret_errnum)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = port};

	if (inet_pton(AF_INET6, address, &at.sin6_addr) != 1)
		return false;
	*ret_errnum = try_bind(AF_INET6, (const struct sockaddr *)&at, sizeof(at));
	return true;
}

/* Names of others are left to the server: a static program cannot look them up. One address is enough. */
int listening_try_tcp(const char *address, unsigned port)
{
	bool is_local = !strcmp(address, "localhost");
	int errnum = 0, errnum6 = 0;
	bool is_ipv4 = try_ipv4(is_local ? "127.0.0.1" : address, htons((in_port_t)port), &errnum);
	bool is_ipv6 = try_ipv6(is_local ? "::1" : address, htons((in_port_t)port), &errnum6);

	if ((!is_ipv4 || errnum) && (!is_ipv6 || errnum6) && (is_ipv4 || is_ipv6))
		return report_error(NULL, "cannot listen at %s, port %u: %s", address, port,
				    strerror(is_ipv4 ? errnum : errnum6));
	return STATUS_DONE;
}
