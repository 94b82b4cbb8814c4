// SPDX-License-Identifier: GPL-2.0
#include "migrate.h"
#include "event.h"
#include "peer.h"
#include "resource.h"
#include "stream.h"

#define ASK_AGAIN_MS	200
#define LOOK_AGAIN_MS	1000

/* What ends when the deadline has passed: on the source, and on the target. */
#define SOURCE	(BIT(BRAID_MIGRATION_GRANTED) | BIT(BRAID_MIGRATION_DRAINING))
#define TARGET	(BIT(BRAID_MIGRATION_PREPARED) | BIT(BRAID_MIGRATION_ASKED))

static void tell(struct braid_resource *res, u32 old, u32 stage, const char *cause)
{
	struct braid_migrate m;
	u64 epoch;
	u32 other;

	spin_lock(&res->state_lock);
	m = res->migration;
	rcu_read_lock();
	epoch = braid_config(res) ? braid_config(res)->epoch : 0;
	rcu_read_unlock();
	spin_unlock(&res->state_lock);
	other = m.from == res->node ? m.to : m.from;
	braid_info(res, "migration %u -> %u: %s -> %s (%s)\n", m.from, m.to,
		   braid_migration_names[old], braid_migration_names[stage], cause);
	braid_event_simple(res, BRAID_EVENT_KIND_MIGRATION, .node = &other, .epoch = epoch,
			   .old = braid_migration_names[old],
			   .new = braid_migration_names[stage], .cause = cause);
}

static void work_soon(struct braid_resource *res)
{
	spin_lock(&res->state_lock);
	/* Under the lock: none is queued after that the resource has died. */
	if (!READ_ONCE(res->dead))
		mod_delayed_work(res->wq, &res->migrate_work, 0);
	spin_unlock(&res->state_lock);
}

/* New I/O goes on, and what waited for the old one to end gives up. */
static void stop_draining(struct braid_resource *res)
{
	lockdep_assert_held(&res->state_lock);
	WRITE_ONCE(res->draining, false);
	res->drains++;
}

/* From one of the stages @from, if it is about @grant (0: any), to @to. Process context. */
static bool step(struct braid_resource *res, u32 from, u64 grant, u32 to, const char *cause)
{
	struct braid_migrate *m = &res->migration;
	bool fits;
	u32 old;

	spin_lock(&res->state_lock);
	old = m->stage;
	fits = from & BIT(old) && (!grant || m->grant == grant) && !READ_ONCE(res->dead);
	if (fits) {
		WRITE_ONCE(m->stage, to);
		if (to == BRAID_MIGRATION_DRAINING)
			WRITE_ONCE(res->draining, true);
		else if (old == BRAID_MIGRATION_DRAINING)
			stop_draining(res);
	}
	spin_unlock(&res->state_lock);
	if (!fits)
		return false;
	wake_up_all(&res->wait);
	braid_service_update(res);
	/* First the event: what follows has events of its own. */
	tell(res, old, to, cause);
	if (to == BRAID_MIGRATION_DRAINING)
		queue_work(res->wq, &res->demote_work);
	work_soon(res);
	return true;
}

/* ---- messages ---- */

static bool is_adopted(struct braid_resource *res, u64 epoch, u64 id)
{
	const struct braid_config *config;
	bool is;

	rcu_read_lock();
	config = braid_config(res);
	is = config && config->epoch == epoch && config->id == id;
	rcu_read_unlock();
	return is;
}

static void send(struct braid_resource *res, u32 node, u64 grant, u32 flags)
{
	struct braid_token token = { .grant = grant, .flags = flags };
	struct braid_peer *peer = braid_peer_find(res, node);
	const struct braid_config *config;

	if (!peer)
		return;
	rcu_read_lock();
	config = braid_config(res);
	token.epoch = config ? config->epoch : 0;
	token.id = config ? config->id : 0;
	rcu_read_unlock();
	braid_peer_message(peer, BRAID_MSG_TOKEN, &token);
	braid_peer_put(peer);
}

/* The source is asked for the token: once for each grant, again for what was lost on the way. */
static void asked(struct braid_peer *peer, u64 grant)
{
	struct braid_resource *res = peer->res;
	struct braid_migrate m;

	spin_lock(&res->state_lock);
	m = res->migration;
	spin_unlock(&res->state_lock);
	if (m.from != res->node || m.to != peer->node || m.grant != grant)
		return;
	if (m.stage == BRAID_MIGRATION_NONE)
		work_soon(res);
	else if (m.stage == BRAID_MIGRATION_HANDED_OVER)
		braid_peer_announce(peer);
	else if (braid_is_serving(res) && ktime_get_boottime_ns() < m.deadline)
		step(res, BIT(BRAID_MIGRATION_GRANTED), grant, BRAID_MIGRATION_DRAINING,
		     "the target wants the token");
}

void braid_migrate_message(struct braid_peer *peer, const struct braid_token *token)
{
	struct braid_resource *res = peer->res;

	if (!is_adopted(res, token->epoch, token->id))
		return;
	if (!(token->flags & BRAID_TOKEN_WITHDRAWN))
		asked(peer, token->grant);
	else if (READ_ONCE(res->migration.from) == peer->node)
		step(res, TARGET, token->grant, BRAID_MIGRATION_NONE, "withdrawn by the source");
}

void braid_migrate_peer(struct braid_peer *peer)
{
	struct braid_resource *res = peer->res;
	struct braid_state remote;

	if (!(BIT(READ_ONCE(res->migration.stage)) & TARGET) ||
	    READ_ONCE(res->migration.from) != peer->node)
		return;
	spin_lock(&peer->lock);
	remote = peer->remote;
	spin_unlock(&peer->lock);
	if (remote.flags & BRAID_STATE_DONE && is_adopted(res, remote.epoch, remote.id))
		step(res, TARGET, 0, BRAID_MIGRATION_HANDED_OVER, "the source has stopped");
}

/* ---- the work ---- */

/* What waits for the source ends. A node that is not the writer sends nothing else. */
static void cancel_through(struct braid_resource *res, u32 from)
{
	struct braid_peer *peer = braid_peer_find(res, from);

	if (!peer)
		return;
	braid_peer_cancel(peer, BRAID_STATUS_IO);
	braid_peer_put(peer);
}

static void over(struct braid_resource *res, const struct braid_migrate *m)
{
	const struct braid_adopted *adopted;

	if (m->from == res->node) {
		send(res, m->to, m->grant, BRAID_TOKEN_WITHDRAWN);
		return;
	}
	/* Whoever saw the stage before has queued its request by then. */
	synchronize_rcu();
	mutex_lock(&res->lock);
	adopted = rcu_dereference_protected(res->config, lockdep_is_held(&res->lock));
	if (adopted && adopted->c.writer != res->node)
		cancel_through(res, m->from);
	mutex_unlock(&res->lock);
}

static void migrate_work(struct work_struct *work)
{
	struct braid_resource *res = container_of(to_delayed_work(work), struct braid_resource,
						  migrate_work);
	u64 now = ktime_get_boottime_ns();
	struct braid_migrate m;
	u32 left, ms;

	spin_lock(&res->state_lock);
	m = res->migration;
	spin_unlock(&res->state_lock);
	if (m.stage == BRAID_MIGRATION_NONE) {
		over(res, &m);
		return;
	}
	if (!(BIT(m.stage) & (SOURCE | TARGET)))
		return;
	if (now >= m.deadline) {
		step(res, BIT(m.stage), m.grant, BRAID_MIGRATION_NONE, "the deadline has passed");
		return;
	}
	ms = LOOK_AGAIN_MS;
	if (m.stage == BRAID_MIGRATION_ASKED) {
		send(res, m.from, m.grant, 0);
		ms = ASK_AGAIN_MS;
	}
	left = (u32)min_t(u64, div_u64(m.deadline - now, NSEC_PER_MSEC) + 1, ms);
	queue_delayed_work(res->wq, &res->migrate_work, msecs_to_jiffies(left));
}

/* ---- from userland ---- */

static int check(struct braid_resource *res, u64 epoch, u32 to, u64 grant)
{
	const struct braid_config *config = braid_config(res);
	const struct braid_migrate *m = &res->migration;

	lockdep_assert_held(&res->state_lock);
	if (!config || config->epoch != epoch)
		return -ESTALE;
	if (config->writer >= BRAID_MAX_NODES || to == config->writer ||
	    !(config->members >> to & 1))
		return -ENXIO;
	if (config->writer != res->node && to != res->node)
		return -EPERM;
	if (m->grant == grant)
		return BIT(m->stage) & (SOURCE | TARGET) && m->to == to ? -EALREADY : -EKEYREVOKED;
	if (m->stage != BRAID_MIGRATION_NONE)
		return -EBUSY;
	if (config->writer == res->node && (!braid_is_serving(res) || res->suspended))
		return -EAGAIN;
	if (!rcu_access_pointer(res->peers[to == res->node ? config->writer : to]))
		return -ENOENT;
	return 0;
}

int braid_migrate_begin(struct braid_resource *res, u64 epoch, u32 to, u64 grant, u32 ms)
{
	struct braid_migrate *m = &res->migration;
	int err;

	lockdep_assert_held(&res->lock);
	spin_lock(&res->state_lock);
	rcu_read_lock();
	err = check(res, epoch, to, grant);
	if (!err) {
		m->from = braid_config(res)->writer;
		m->to = to;
		m->grant = grant;
		m->deadline = ktime_get_boottime_ns() + (u64)ms * NSEC_PER_MSEC;
		WRITE_ONCE(m->stage, to == res->node ? BRAID_MIGRATION_PREPARED :
						       BRAID_MIGRATION_GRANTED);
	}
	rcu_read_unlock();
	spin_unlock(&res->state_lock);
	if (err)
		return err == -EALREADY ? 0 : err;
	tell(res, BRAID_MIGRATION_NONE, to == res->node ? BRAID_MIGRATION_PREPARED :
							  BRAID_MIGRATION_GRANTED, "requested");
	braid_service_update(res);
	work_soon(res);
	return 0;
}

int braid_migrate_ask(struct braid_resource *res, u64 grant)
{
	const struct braid_migrate *m = &res->migration;
	bool known;

	if (step(res, BIT(BRAID_MIGRATION_PREPARED), grant, BRAID_MIGRATION_ASKED, "requested"))
		return 0;
	spin_lock(&res->state_lock);
	known = m->grant == grant && m->to == res->node && m->stage != BRAID_MIGRATION_NONE;
	spin_unlock(&res->state_lock);
	return known ? 0 : -ENOENT;
}

int braid_migrate_end(struct braid_resource *res, u64 grant)
{
	const struct braid_migrate *m = &res->migration;
	bool known, source;
	u32 stages;

	spin_lock(&res->state_lock);
	known = m->grant == grant;
	source = m->from == res->node;
	spin_unlock(&res->state_lock);
	if (!known)
		return -ENOENT;
	stages = source ? SOURCE : TARGET | BIT(BRAID_MIGRATION_HANDED_OVER);
	if (step(res, stages, grant, BRAID_MIGRATION_NONE, "withdrawn"))
		return 0;
	return READ_ONCE(m->stage) == BRAID_MIGRATION_NONE ? 0 : -EPERM;
}

/* ---- from the rest of the module ---- */

void braid_migrate_demoted(struct braid_resource *res)
{
	if (READ_ONCE(res->migration.from) == res->node)
		step(res, SOURCE | BIT(BRAID_MIGRATION_HANDED_OVER), 0, BRAID_MIGRATION_NONE,
		     "demoted by force");
}

void braid_migrate_wanted(struct braid_resource *res)
{
	if (READ_ONCE(res->migration.stage) == BRAID_MIGRATION_PREPARED)
		step(res, BIT(BRAID_MIGRATION_PREPARED), 0, BRAID_MIGRATION_ASKED,
		     "a write waits");
}

void braid_migrate_served(struct braid_resource *res)
{
	step(res, BIT(BRAID_MIGRATION_SWAPPED), 0, BRAID_MIGRATION_NONE, "it serves");
}

bool braid_migrate_may_open(struct braid_resource *res)
{
	u32 stage = READ_ONCE(res->migration.stage);

	return stage != BRAID_MIGRATION_NONE && READ_ONCE(res->migration.to) == res->node;
}

u32 braid_migrate_source(struct braid_resource *res, u64 *epoch)
{
	const struct braid_config *config = braid_config(res);

	*epoch = 0;
	if (!config || config->writer >= BRAID_MAX_NODES || config->writer == res->node ||
	    !braid_migrate_may_open(res))
		return 0;
	*epoch = config->epoch;
	return rcu_access_pointer(res->peers[config->writer]) ? BIT(config->writer) : 0;
}

u32 braid_migrate_adopt(struct braid_resource *res, const struct braid_config *next)
{
	struct braid_migrate *m = &res->migration;
	u32 old = m->stage;

	lockdep_assert_held(&res->state_lock);
	if (old == BRAID_MIGRATION_DRAINING)
		stop_draining(res);
	if (old != BRAID_MIGRATION_NONE)
		WRITE_ONCE(m->stage, m->to == res->node && next->writer == res->node ?
			   BRAID_MIGRATION_SWAPPED : BRAID_MIGRATION_NONE);
	return old;
}

void braid_migrate_adopted(struct braid_resource *res, u32 old)
{
	const struct braid_migrate *m = &res->migration;

	if (old == BRAID_MIGRATION_NONE)
		return;
	wake_up_all(&res->wait);
	if (m->to == res->node)
		cancel_through(res, m->from);
	if (READ_ONCE(m->stage) != old)
		tell(res, old, READ_ONCE(m->stage), "a newer configuration");
}

bool braid_migrate_hand_over(struct braid_resource *res, u32 *old)
{
	struct braid_migrate *m = &res->migration;

	lockdep_assert_held(&res->state_lock);
	*old = m->stage;
	/* The work that looks at the deadline gives up the draining. */
	if (m->stage == BRAID_MIGRATION_DRAINING && ktime_get_boottime_ns() >= m->deadline)
		return false;
	if (BIT(m->stage) & SOURCE)
		WRITE_ONCE(m->stage, BRAID_MIGRATION_HANDED_OVER);
	return true;
}

void braid_migrate_handed_over(struct braid_resource *res, u32 old)
{
	if (BIT(old) & SOURCE)
		tell(res, old, BRAID_MIGRATION_HANDED_OVER, "I/O has ended and is stable");
}

bool braid_migrate_takes(struct braid_peer *peer, const struct braid_data *data)
{
	struct braid_resource *res = peer->res;
	const struct braid_migrate *m = &res->migration;
	bool takes;

	if (!(BIT(READ_ONCE(m->stage)) & SOURCE))
		return false;
	spin_lock(&res->state_lock);
	takes = BIT(m->stage) & SOURCE && m->to == peer->node;
	spin_unlock(&res->state_lock);
	return takes && is_adopted(res, data->epoch, data->id);
}

void braid_migrate_init(struct braid_resource *res)
{
	INIT_DELAYED_WORK(&res->migrate_work, migrate_work);
	res->drains = 1;
}

void braid_migrate_exit(struct braid_resource *res)
{
	spin_lock(&res->state_lock);
	WRITE_ONCE(res->migration.stage, BRAID_MIGRATION_NONE);
	spin_unlock(&res->state_lock);
	cancel_delayed_work_sync(&res->migrate_work);
}
