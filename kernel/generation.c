// SPDX-License-Identifier: GPL-2.0
/* Generations of writes, and when all of one are stable (F1). */
#include "request.h"
#include "dirty.h"
#include "disk.h"
#include "peer.h"
#include "volume.h"

u64 braid_generation_get(struct braid_volume *volume)
{
	unsigned long irq;
	u64 generation;
	bool first;

	spin_lock_irqsave(&volume->generation_lock, irq);
	generation = volume->generation;
	volume->generation_writes[generation & 1]++;
	first = !volume->written;
	volume->written = true;
	spin_unlock_irqrestore(&volume->generation_lock, irq);
	if (first)
		queue_delayed_work(volume->res->wq, &volume->close_work, HZ);
	return generation;
}

void braid_generation_put(struct braid_volume *volume, u64 generation)
{
	unsigned long irq;
	bool ended;

	spin_lock_irqsave(&volume->generation_lock, irq);
	ended = !--volume->generation_writes[generation & 1] && volume->closing == generation;
	spin_unlock_irqrestore(&volume->generation_lock, irq);
	if (ended)
		queue_work(volume->res->wq, &volume->stable_work);
}

void braid_generation_close(struct braid_volume *volume)
{
	bool ended = false;
	unsigned long irq;

	if (!braid_is_writer(volume->res))
		return;
	spin_lock_irqsave(&volume->generation_lock, irq);
	if (!volume->closing && volume->written && !volume->wedged) {
		volume->closing = volume->generation++;
		volume->written = volume->generation_writes[volume->generation & 1];
		ended = !volume->generation_writes[volume->closing & 1];
	}
	spin_unlock_irqrestore(&volume->generation_lock, irq);
	if (ended)
		queue_work(volume->res->wq, &volume->stable_work);
}

static bool drained(struct braid_volume *volume, u64 target, u64 drains)
{
	if (READ_ONCE(volume->stable) >= target || READ_ONCE(volume->wedged) ||
	    READ_ONCE(volume->res->failing) || !braid_is_writer(volume->res) ||
	    (drains && READ_ONCE(volume->res->drains) != drains))
		return true;
	braid_generation_close(volume);
	return false;
}

void braid_generation_drain(struct braid_volume *volume, u64 drains)
{
	u64 target;

	spin_lock_irq(&volume->generation_lock);
	target = volume->written ? volume->generation : volume->closing;
	spin_unlock_irq(&volume->generation_lock);
	wait_event(volume->res->wait, drained(volume, target, drains));
}

void braid_close_work(struct work_struct *work)
{
	struct braid_volume *volume = container_of(to_delayed_work(work), struct braid_volume,
						   close_work);

	braid_generation_close(volume);
	/* Closed already, but the next one was begun meanwhile: it needs its turn, too. */
	if (READ_ONCE(volume->written) && braid_is_writer(volume->res))
		queue_delayed_work(volume->res->wq, &volume->close_work, HZ);
}

void braid_generation_reset(struct braid_volume *volume)
{
	spin_lock_irq(&volume->generation_lock);
	volume->generation = 1;
	volume->stable = 0;
	volume->closing = 0;
	volume->told = 0;
	volume->written = false;
	volume->wedged = false;
	spin_unlock_irq(&volume->generation_lock);
}

void braid_generation_settled(struct braid_volume *volume)
{
	spin_lock_irq(&volume->generation_lock);
	volume->stable = volume->generation++;
	volume->closing = 0;
	volume->written = false;
	volume->wedged = false;
	spin_unlock_irq(&volume->generation_lock);
	queue_work(volume->res->wq, &volume->stable_work);
}

/* Dirty bits on disk, so that regions may leave the log; then whoever waits for one. */
static void persist_and_retry(struct braid_volume *volume)
{
	struct braid_disk *disk = braid_disk_get(volume);

	if (disk) {
		if (braid_regions_persist_begin(volume)) {
			int err = braid_dirty_persist_all(disk);

			braid_regions_persist_end(volume, !err);
			if (err)
				braid_disk_fail(disk, "metadata cannot be written");
		}
		braid_disk_put(disk);
	}
	braid_regions_stable(volume);
}

static void tell_stable(struct braid_volume *volume, u64 stable)
{
	struct braid_resource *res = volume->res;
	const struct braid_config *config;
	u32 node, mask;

	rcu_read_lock();
	config = braid_config(res);
	mask = config ? braid_required(res, config) & ~BIT(res->node) : 0;
	rcu_read_unlock();
	for (node = 0; node < BRAID_MAX_NODES; node++)
		if (mask >> node & 1)
			braid_peer_stable(res, node, volume, stable);
}

/* A flush that began when no write of the closed generation was under way has ended everywhere. */
void braid_generation_flushed(struct braid_volume *volume, u64 closing, bool ok)
{
	unsigned long irq;

	spin_lock_irqsave(&volume->generation_lock, irq);
	if (volume->closing == closing) {
		if (ok && !volume->wedged)
			volume->stable = closing;
		volume->closing = 0;
	}
	spin_unlock_irqrestore(&volume->generation_lock, irq);
	wake_up_all(&volume->res->wait);
}

/* All writes of the closed generation have ended: flush everywhere, then it is stable. */
static void make_stable(struct braid_volume *volume, u64 closing)
{
	struct braid_request *req = braid_request_internal(volume, BRAID_MSG_FLUSH, 0, 0);
	int err = braid_request_execute(req);

	braid_request_free(req);
	braid_generation_flushed(volume, closing, !err);
}

/*
 * A flush of the application makes the generation stable that it finds complete. What it closes
 * with that is for its end to open again; 0 is nothing.
 */
u64 braid_generation_close_now(struct braid_volume *volume)
{
	u64 closing = 0;

	spin_lock_irq(&volume->generation_lock);
	if (!volume->closing && volume->written && !volume->wedged &&
	    !volume->generation_writes[volume->generation & 1]) {
		closing = volume->generation++;
		volume->closing = closing;
		volume->written = volume->generation_writes[volume->generation & 1];
		volume->flushing = closing;
	}
	spin_unlock_irq(&volume->generation_lock);
	return closing;
}

void braid_stable_work(struct work_struct *work)
{
	struct braid_volume *volume = container_of(work, struct braid_volume, stable_work);
	u64 closing, stable;
	bool ended, tell;

	spin_lock_irq(&volume->generation_lock);
	closing = volume->closing;
	ended = closing && closing != volume->flushing && !volume->generation_writes[closing & 1];
	spin_unlock_irq(&volume->generation_lock);
	if (ended && braid_is_writer(volume->res))
		make_stable(volume, closing);
	spin_lock_irq(&volume->generation_lock);
	stable = volume->stable;
	tell = volume->told < stable;
	volume->told = stable;
	spin_unlock_irq(&volume->generation_lock);
	if (tell && braid_is_writer(volume->res))
		tell_stable(volume, stable);
	persist_and_retry(volume);
	if (braid_regions_pressed(volume))
		braid_generation_close(volume);
}

void braid_generation_stable(struct braid_volume *volume, u64 stable)
{
	bool grown;

	spin_lock_irq(&volume->generation_lock);
	grown = stable > volume->stable;
	if (grown)
		volume->stable = stable;
	spin_unlock_irq(&volume->generation_lock);
	if (grown)
		queue_work(volume->res->wq, &volume->stable_work);
}
