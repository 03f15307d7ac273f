/* SPDX-License-Identifier: MIT */
/* Where a server is to listen, tried before one is run that would say less of it. */
#ifndef CLI_LISTENING_H
#define CLI_LISTENING_H

/* Each reports an error and returns a status. Nothing listens afterwards. */
int listening_try_unix(const char *path);
int listening_try_tcp(const char *address, unsigned port);

#endif
