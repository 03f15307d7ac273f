/* SPDX-License-Identifier: MIT */
/*
 * libnbd's functions, loaded when they are needed: with all that it brings along, a program that has nothing to
 * do with NBD would spend more time on being loaded than on its work.
 */
#ifndef REMOTE_NBDCALLS_H
#define REMOTE_NBDCALLS_H

#include <libnbd.h>

#define NBD_CALLS(call) \
	call(add_meta_context) call(aio_block_status) call(aio_connect_uri) call( \
		aio_disconnect) call(aio_flush) call(aio_get_direction) call(aio_get_fd) \
		call(aio_is_closed) call(aio_is_dead) call(aio_is_connecting) call( \
			aio_is_ready) call(aio_notify_read) call(aio_notify_write) \
			call(aio_pread_structured) call(aio_pwrite) call(aio_zero) call(can_flush) \
				call(can_fua) call(can_meta_context) call(can_multi_conn) call( \
					can_zero) call(close) call(create) call(get_block_size) \
					call(get_errno) call(get_error) call(get_size) \
						call(is_read_only) call(set_pread_initialize) \
							call(set_uri_allow_local_file)

#define NBD_CALL_MEMBER(name) __typeof__(nbd_##name) *name;

/* nbd.create() is nbd_create(), and so on. */
struct nbd_calls {
	NBD_CALLS(NBD_CALL_MEMBER)
};

extern struct nbd_calls nbd;

/* Before the first call, by one thread. NULL, or why libnbd cannot be had. */
const char *nbd_calls_load(void);

#endif
