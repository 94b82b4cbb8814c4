/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BRAID_STATS_H
#define _BRAID_STATS_H

#include <linux/atomic.h>
#include <linux/ktime.h>
#include <linux/log2.h>

enum braid_stage {
	BRAID_STAGE_SUBMIT,
	BRAID_STAGE_LOCAL,
	BRAID_STAGE_NETWORK,
	BRAID_STAGE_REMOTE,
	BRAID_STAGE_COMPLETE,
	BRAID_STAGES,
};

#define BRAID_BUCKETS 32

struct braid_stats {
	atomic64_t reads, writes, flushes;
	atomic64_t read_bytes, written_bytes;
	atomic64_t remote_reads, repaired;
	atomic64_t metadata_writes, log_writes;
	atomic64_t conflicts;
	atomic64_t peer_writes, peer_reads;
	atomic64_t latency[BRAID_STAGES][BRAID_BUCKETS];
};

static inline void braid_stats_latency(struct braid_stats *stats, enum braid_stage stage, u64 ns)
{
	u32 bucket = ns ? ilog2(ns) : 0;

	atomic64_inc(&stats->latency[stage][min_t(u32, bucket, BRAID_BUCKETS - 1)]);
}

#endif /* _BRAID_STATS_H */
