/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM fastos

#if !defined(FOS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define FOS_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(chan_create,
	TP_PROTO(u64 id, u32 depth, u64 area_bytes),
	TP_ARGS(id, depth, area_bytes),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, depth)
		__field(u64, area_bytes)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->depth = depth;
		__entry->area_bytes = area_bytes;
	),
	TP_printk("id=%llu depth=%u area=%llu",
		  __entry->id, __entry->depth, __entry->area_bytes)
);

DECLARE_EVENT_CLASS(chan_side,
	TP_PROTO(u64 id, u32 side),
	TP_ARGS(id, side),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, side)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->side = side;
	),
	TP_printk("id=%llu side=%u", __entry->id, __entry->side)
);

DEFINE_EVENT(chan_side, chan_attach,
	TP_PROTO(u64 id, u32 side), TP_ARGS(id, side));
DEFINE_EVENT(chan_side, chan_dead,
	TP_PROTO(u64 id, u32 side), TP_ARGS(id, side));

DECLARE_EVENT_CLASS(chan_value,
	TP_PROTO(u64 id, u32 side, s64 value),
	TP_ARGS(id, side, value),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, side)
		__field(s64, value)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->side = side;
		__entry->value = value;
	),
	TP_printk("id=%llu side=%u value=%lld",
		  __entry->id, __entry->side, __entry->value)
);

/* side is the one rung, value what for (FOS_WANT_*) */
DEFINE_EVENT(chan_value, chan_bell,
	TP_PROTO(u64 id, u32 side, s64 value), TP_ARGS(id, side, value));
/* value is what for (FOS_WANT_*) */
DEFINE_EVENT(chan_value, chan_sleep,
	TP_PROTO(u64 id, u32 side, s64 value), TP_ARGS(id, side, value));
/* value is what the wait returns */
DEFINE_EVENT(chan_value, chan_woken,
	TP_PROTO(u64 id, u32 side, s64 value), TP_ARGS(id, side, value));
/* value is the claim word afterwards */
DEFINE_EVENT(chan_value, chan_withdraw,
	TP_PROTO(u64 id, u32 side, s64 value), TP_ARGS(id, side, value));

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
