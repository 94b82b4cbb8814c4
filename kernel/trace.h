/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints, in /sys/kernel/tracing/events/braid. All events of a request have its id, which is
 * reused once it has completed. Types are those of core/messages.h, minors those of the devices.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM braid

#if !defined(_BRAID_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _BRAID_TRACE_H

#include "request.h"
#include "stream.h"
#include "volume.h"

#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(braid_request_class,
	TP_PROTO(const struct braid_request *req, u32 node, int status),
	TP_ARGS(req, node, status),
	TP_STRUCT__entry(
		__field(const void *, id)
		__field(u64, offset)
		__field(u64, generation)
		__field(u32, minor)
		__field(u32, bytes)
		__field(u32, node)
		__field(int, status)
		__field(u8, type)
	),
	TP_fast_assign(
		__entry->id = req;
		__entry->offset = req->offset;
		__entry->generation = req->generation;
		__entry->minor = req->volume->minor;
		__entry->bytes = req->bytes;
		__entry->node = node;
		__entry->status = status;
		__entry->type = req->type;
	),
	TP_printk("id=%p minor=%u type=%u offset=%llu bytes=%u generation=%llu node=%u status=%d",
		  __entry->id, __entry->minor, __entry->type, __entry->offset, __entry->bytes,
		  __entry->generation, __entry->node, __entry->status)
);

/* @node is where it happens; @status is 0, an errno, or of an answer an enum braid_status. */
#define BRAID_REQUEST_EVENT(name) \
	DEFINE_EVENT(braid_request_class, name, \
		     TP_PROTO(const struct braid_request *req, u32 node, int status), \
		     TP_ARGS(req, node, status))

BRAID_REQUEST_EVENT(braid_submit);
BRAID_REQUEST_EVENT(braid_local_done);
BRAID_REQUEST_EVENT(braid_sent);
BRAID_REQUEST_EVENT(braid_answered);
BRAID_REQUEST_EVENT(braid_complete);

TRACE_EVENT(braid_adopted,
	TP_PROTO(const struct braid_resource *res, const struct braid_config *config),
	TP_ARGS(res, config),
	TP_STRUCT__entry(
		__array(char, name, BRAID_NAME_MAX + 1)
		__field(u64, epoch)
		__field(u64, id)
		__field(u32, node)
		__field(u32, writer)
		__field(u32, in_sync)
	),
	TP_fast_assign(
		strscpy(__entry->name, res->name, sizeof(__entry->name));
		__entry->epoch = config->epoch;
		__entry->id = config->id;
		__entry->node = res->node;
		__entry->writer = config->writer;
		__entry->in_sync = config->in_sync;
	),
	TP_printk("resource=%s node=%u epoch=%llu id=%llx writer=%u in_sync=%x", __entry->name,
		  __entry->node, __entry->epoch, __entry->id, __entry->writer, __entry->in_sync)
);

TRACE_EVENT(braid_stream,
	TP_PROTO(const struct braid_stream *stream, bool up),
	TP_ARGS(stream, up),
	TP_STRUCT__entry(
		__array(char, name, BRAID_NAME_MAX + 1)
		__field(u64, session)
		__field(u32, node)
		__field(u32, peer)
		__field(u32, number)
		__field(bool, up)
	),
	TP_fast_assign(
		strscpy(__entry->name, stream->peer->res->name, sizeof(__entry->name));
		__entry->session = stream->session;
		__entry->node = stream->peer->res->node;
		__entry->peer = stream->peer->node;
		__entry->number = stream->number;
		__entry->up = up;
	),
	TP_printk("resource=%s node=%u peer=%u session=%llx stream=%u %s", __entry->name,
		  __entry->node, __entry->peer, __entry->session, __entry->number,
		  __entry->up ? "up" : "down")
);

TRACE_EVENT(braid_copied,
	TP_PROTO(const struct braid_volume *volume, u32 source, u32 targets, u64 offset, u32 bytes,
		 int error),
	TP_ARGS(volume, source, targets, offset, bytes, error),
	TP_STRUCT__entry(
		__field(u64, offset)
		__field(u32, bytes)
		__field(u32, minor)
		__field(u32, source)
		__field(u32, targets)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->offset = offset;
		__entry->bytes = bytes;
		__entry->minor = volume->minor;
		__entry->source = source;
		__entry->targets = targets;
		__entry->error = error;
	),
	TP_printk("minor=%u source=%u targets=%x offset=%llu bytes=%u error=%d", __entry->minor,
		  __entry->source, __entry->targets, __entry->offset, __entry->bytes,
		  __entry->error)
);

#endif /* _BRAID_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
