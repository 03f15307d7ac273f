/* SPDX-License-Identifier: MIT */
/* A stream as a sink: what is written from front to back, zeros too. */
#ifndef VHDX_OPS_STREAMSINK_H
#define VHDX_OPS_STREAMSINK_H

#include "ops/endpoint.h"

/* Sets the sink's functions. @fd stays the caller's; @size may be SIZE_UNKNOWN. */
void vhdx_stream_sink(struct sink *sink, int fd, uint64_t size);

#endif
