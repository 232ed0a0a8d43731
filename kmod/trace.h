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

TRACE_EVENT(region_create,
	TP_PROTO(u64 id, u64 bytes),
	TP_ARGS(id, bytes),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, bytes)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->bytes = bytes;
	),
	TP_printk("id=%llu bytes=%llu", __entry->id, __entry->bytes)
);

TRACE_EVENT(tlb_batch,
	TP_PROTO(u64 id, u32 ranges, u64 pages, u32 rounds, u64 ns),
	TP_ARGS(id, ranges, pages, rounds, ns),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, ranges)
		__field(u64, pages)
		__field(u32, rounds)
		__field(u64, ns)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->ranges = ranges;
		__entry->pages = pages;
		__entry->rounds = rounds;
		__entry->ns = ns;
	),
	TP_printk("id=%llu ranges=%u pages=%llu rounds=%u ns=%llu",
		  __entry->id, __entry->ranges, __entry->pages,
		  __entry->rounds, __entry->ns)
);

/* How an address space was told; how: FOS_TLB_* in tlb_batch.h */
TRACE_EVENT(tlb_space,
	TP_PROTO(u64 id, u32 how, u64 pages),
	TP_ARGS(id, how, pages),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, how)
		__field(u64, pages)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->how = how;
		__entry->pages = pages;
	),
	TP_printk("id=%llu how=%u pages=%llu",
		  __entry->id, __entry->how, __entry->pages)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
