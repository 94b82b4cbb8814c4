// SPDX-License-Identifier: GPL-2.0-or-later
//
// The model of kernel/config.c, sync.c, copy.c and migrate.c.
#include <algorithm>
#include <limits>

#include "kernel.h"

namespace braid::sim {

namespace {

constexpr std::int64_t disk_ms = 3;
constexpr std::uint64_t no_fork = std::numeric_limits<std::uint64_t>::max();

/// leave_lineage()
void leave_lineage(Stamp& last, std::uint64_t common) {
    if (last.epoch > common)
        last = {};
}

}  // namespace

// ---- adoption ----

std::string Kernel::configure(const Config& config, std::optional<std::uint64_t> common) {
    const Config* last = next_ ? &*next_ : config_ ? &*config_ : nullptr;
    if (last == nullptr || last->adopted.lineage != config.adopted.lineage) {
        if (!common)
            return "configure: EKEYREJECTED";
    } else if (last->is(config)) {
        return "";
    } else if (config.adopted.epoch <= last->adopted.epoch) {
        return "configure: ESTALE";
    } else {
        common = no_fork;
    }
    // joins_unannounced()
    if (config_ && config.adopted.writer == self_ && serves())
        for (const auto& [node, instance] : config.adopted.in_sync) {
            const auto old = config_->adopted.in_sync.find(node);
            const bool was = old != config_->adopted.in_sync.end() && old->second == instance;
            const Sync& sync = syncs_[node];
            if (!was && !(sync.state == SyncState::joining && sync.instance == instance))
                return "configure: EAGAIN, a join that was not announced";
        }
    common_ = next_ ? std::min(common_, *common) : *common;
    next_ = config;
    adopting_ = true;
    push();
    return "";
}

bool Kernel::confirmed(const Config& old) const {
    const auto at = peers_.find(old.adopted.writer);
    if (at == peers_.end() || !at->second.known || at->second.session == 0)
        return false;
    const State& remote = at->second.remote;
    if (remote.lineage != old.adopted.lineage)
        return false;
    return remote.epoch == old.adopted.epoch
               ? remote.done
               : remote.epoch > old.adopted.epoch && remote.writer != old.adopted.writer;
}

void Kernel::fold(const Nodes& lost, bool own) {
    Blocks marks = unstable_;
    for (const auto& [block, write] : writes_)
        marks.insert(block);
    if (!disk_.present)
        return;
    for (const NodeId node : lost) {
        add(disk_.dirty[node].marked, marks);
        // What a crash or a change of the writer left is not in the unstable map any more.
        add(disk_.dirty[node].marked, disk_.own_marks);
    }
    if (own)
        add(disk_.own_marks, marks);
}

void Kernel::fail_io() {
    // Nothing was acknowledged; it stays marked where it may be (R5b).
    Nodes others = config_ ? absent() : Nodes{};
    fold(others, true);
    writes_.clear();
    flush_run_++;
    flushing_ = false;
}

void Kernel::adopt_disk(const Config& old, const Config& next, bool had) {
    if (!disk_.present)
        return;
    const bool was_here = had && old.in_sync(self_) && disk_.last.epoch == old.adopted.epoch &&
                          disk_.last.id == old.adopted.id;
    Nodes lost;
    for (const NodeId node : next.diskful) {
        if (node == self_)
            continue;
        const bool was = had ? old.in_sync(node) : true;
        if (!next.in_sync(node)) {
            if (!was)
                continue;
            DirtyMap& map = disk_.dirty[node];
            map.marked.clear();
            map.base = {};
            if (had && old.in_sync(node) && was_here)
                map.base = {old.adopted.epoch, old.adopted.id, old.adopted.in_sync.at(node)};
            lost.insert(node);
        } else if (next.in_sync(self_) && !(was_here && old.in_sync(node))) {
            disk_.dirty.erase(node);
        }
    }
    fold(lost, false);
    disk_.config = next;
    leave_lineage(disk_.last, common_);
    const auto self = next.adopted.in_sync.find(self_);
    if (self != next.adopted.in_sync.end() && self->second == instance_)
        disk_.last = {next.adopted.epoch, next.adopted.id, instance_};
}

/// after_adoption(): a writer that goes on waits for those that it drops (release_dropped()).
void Kernel::drop(const Config& old, const Config& next) {
    if (old.adopted.writer != self_ || next.adopted.writer != self_)
        dropped_.clear();
    else
        for (const auto& [node, instance] : old.adopted.in_sync)
            if (linked_.count(node) == 0)
                dropped_.insert(node);
    for (const auto& [node, instance] : next.adopted.in_sync) {
        linked_.erase(node);
        dropped_.erase(node);
    }
}

void Kernel::adopt() {
    if (peer_io_ > 0)
        return;
    const bool had = config_.has_value();
    const Config old = had ? *config_ : Config{};
    const Config next = *next_;
    const bool other_writer = had && old.adopted.writer != next.adopted.writer;
    if (other_writer && old.adopted.writer != self_ && !bugs_.ignores_lease &&
        host_.clock() < grant_until_ && !confirmed(old))
        return;
    const bool deposed = had && old.adopted.writer == self_ && next.adopted.writer != self_;
    if (deposed) {
        serve_epoch_ = 0;
        if (done_epoch_ != old.adopted.epoch)
            fail_io();
        if (own_io_ > 0)
            return;
    }
    // continues()
    Instance writer = 0;
    bool known = false;
    if (next.adopted.writer == self_) {
        writer = 1;
        known = serve_epoch_ != 0 || writer_instance_ == 1;
    } else if (const auto peer = peers_.find(next.adopted.writer); peer != peers_.end()) {
        known = peer->second.known;
        writer = peer->second.remote.instance;
    }
    const bool goes_on = had && !other_writer && known && writer_instance_ == writer;
    adopt_disk(old, next, had);
    if (!goes_on) {
        fold({}, true);
        unstable_.clear();
    }
    writer_instance_ = writer;
    if (next.adopted.writer == self_ && serve_epoch_ != 0)
        serve_epoch_ = next.adopted.epoch;
    if (deposed)
        failing_ = false;
    if (reconciling_)
        reconcile_end(reconcile_run_, false);
    next_.reset();
    adopting_ = false;

    drop(old, next);
    config_ = next;
    leave_lineage(last_, common_);
    const auto self = next.adopted.in_sync.find(self_);
    if (self != next.adopted.in_sync.end() && self->second == instance_)
        last_ = {next.adopted.epoch, next.adopted.id, instance_};
    flush_run_++;
    flushing_ = false;
    migrate_adopt(next);
    host_.note("the kernel adopts epoch " + std::to_string(next.adopted.epoch));
    push();
    // Who looks in between sees the new configuration with a join still under way.
    host_.later(disk_ms, [this] {
        check_syncs();
        announce();
        push();
    });
}

// ---- serving ----

std::string Kernel::serve(std::uint64_t epoch, NodeId reference) {
    if (!config_ || config_->adopted.epoch != epoch || adopting_)
        return "serve: ESTALE";
    if (config_->adopted.writer != self_ || done_epoch_ == epoch)
        return "serve: EPERM";
    if (!config_->in_sync(reference))
        return "serve: ENXIO";
    if (reconciling_ || failing_ || draining_)
        return "serve: EBUSY";
    if (serve_epoch_ == epoch)
        return "";
    reconciling_ = true;
    reference_ = reference;
    reconcile_run_++;
    push();
    return "";
}

void Kernel::run_each(const Nodes& nodes, Packet packet, std::function<void(bool)> done) {
    auto left = std::make_shared<std::size_t>(nodes.size());
    auto good = std::make_shared<bool>(true);
    const auto one = [left, good, done = std::move(done)](bool ok) {
        *good = *good && ok;
        if (--*left == 0)
            done(*good);
    };
    packet.resync = true;
    for (const NodeId node : nodes) {
        if (node != self_) {
            request(node, packet, [one](const Packet* reply) {
                one(reply != nullptr && reply->status == Status::ok);
            });
        } else if (packet.type == Type::write) {
            own_io_++;
            local_write(packet.block, packet.version, absent(), true, [this, one] {
                own_io_--;
                one(true);
                push();
            });
        } else {
            host_.later(disk_ms, [this, one, type = packet.type] {
                if (type == Type::flush)
                    disk_.flush();
                else
                    settle();
                one(true);
            });
        }
    }
}

/// Begins once the members are ready; braid_reconcile().
void Kernel::reconcile(std::uint64_t /*epoch*/) {
    if (!reconciling_ || !locked_.empty() || adopting_)
        return;
    for (const NodeId node : required())
        if (node != self_ && !is_ready(node))
            return;
    locked_ = all_blocks();
    Nodes members;
    for (const auto& [node, instance] : config_->adopted.in_sync)
        members.insert(node);
    collect(reconcile_run_, members, {});
}

void Kernel::collect(std::uint64_t run, Nodes left, Blocks found) {
    if (run != reconcile_run_)
        return;
    if (left.count(self_) != 0) {
        add(found, own_marks());
        left.erase(self_);
    }
    if (left.empty())
        return copy_all(run, found);
    const NodeId node = *left.begin();
    left.erase(left.begin());
    request(node, {.type = Type::marks, .resync = true},
            [this, run, left, found](const Packet* reply) {
                if (reply == nullptr || reply->status != Status::ok)
                    return reconcile_end(run, false);
                Blocks more = found;
                add(more, reply->marked);
                collect(run, left, more);
            });
}

void Kernel::copy_all(std::uint64_t run, Blocks left) {
    if (run != reconcile_run_)
        return;
    Nodes others;
    for (const auto& [node, instance] : config_->adopted.in_sync)
        if (node != reference_)
            others.insert(node);
    if (left.empty() || others.empty())
        return close_reconcile(run);
    const int block = *left.begin();
    left.erase(left.begin());
    const auto copy = [this, run, left, others, block](int version) {
        run_each(others, {.type = Type::write, .block = block, .version = version},
                 [this, run, left](bool good) {
                     if (good)
                         copy_all(run, left);
                     else
                         reconcile_end(run, false);
                 });
    };
    if (reference_ == self_)
        return copy(disk_.view(block));
    request(reference_, {.type = Type::read, .block = block, .resync = true},
            [this, run, copy](const Packet* reply) {
                if (reply == nullptr || reply->status != Status::ok)
                    reconcile_end(run, false);
                else if (run == reconcile_run_)
                    copy(reply->version);
            });
}

void Kernel::close_reconcile(std::uint64_t run) {
    Nodes members;
    for (const auto& [node, instance] : config_->adopted.in_sync)
        members.insert(node);
    run_each(members, {.type = Type::flush}, [this, run, members](bool good) {
        if (!good || run != reconcile_run_)
            return reconcile_end(run, false);
        run_each(members, {.type = Type::settle},
                 [this, run](bool settled) { reconcile_end(run, settled); });
    });
}

void Kernel::reconcile_end(std::uint64_t run, bool good) {
    if (run != reconcile_run_ || !reconciling_)
        return;
    reconcile_run_++;
    reconciling_ = false;
    locked_.clear();
    if (good) {
        serve_epoch_ = config_->adopted.epoch;
        host_.begins(*config_);
        host_.note("the kernel serves epoch " + std::to_string(serve_epoch_));
        if (stage_ == Stage::swapped)
            to_stage(Stage::none);
    }
    announce();
}

std::string Kernel::demote(bool force) {
    if (force && from_ == self_ && stage_ != Stage::none)
        to_stage(Stage::none);
    if (!config_ || config_->adopted.writer != self_ || done_epoch_ == config_->adopted.epoch)
        return "";
    if (stage_ == Stage::draining || (!force && open_))
        return "demote: EBUSY";
    draining_ = true;
    if (force) {
        failing_ = true;
        fail_io();
        if (reconciling_)
            reconcile_end(reconcile_run_, false);
    }
    push();
    return "";
}

void Kernel::drain() {
    if (!draining_ || !writes_.empty() || own_io_ > 0 || flushing_ || !config_ || reconciling_ ||
        adopting_)
        return;
    done_epoch_ = config_->adopted.epoch;
    serve_epoch_ = 0;
    draining_ = false;
    failing_ = false;
    if (stage_ == Stage::granted || stage_ == Stage::draining)
        to_stage(Stage::handed_over);
    host_.note("the kernel has stopped in epoch " + std::to_string(done_epoch_));
    check_syncs();
    announce();
}

// ---- resync ----

int Kernel::source_for(NodeId except) const {
    if (except != self_ && self_in_sync())
        return static_cast<int>(self_);
    for (const auto& [node, instance] : config_->adopted.in_sync)
        if (node != except && node != self_ && is_ready(node))
            return static_cast<int>(node);
    return -1;
}

/// Why a resync may not begin, or nothing.
std::string Kernel::may_sync(NodeId node) {
    if (!serves())
        return "sync-start: EPERM";
    if (config_->in_sync(node))
        return "sync-start: EALREADY";
    if (config_->diskful.count(node) == 0 || (node != self_ && !is_ready(node)) ||
        instance_of(node) == 0)
        return "sync-start: ENOTCONN";
    if (dropped_.count(node) != 0 && !bugs_.links_dropped)
        return "sync-start: EINPROGRESS";
    return syncs_[node].state == SyncState::none ? "" : "sync-start: EBUSY";
}

std::string Kernel::sync_start(NodeId node) {
    if (std::string refusal = may_sync(node); !refusal.empty())
        return refusal;
    Sync& sync = syncs_[node];
    sync.state = SyncState::busy;
    sync.instance = instance_of(node);
    sync.run++;
    sync.left.clear();
    if (node == self_)
        disk_.inconsistent = true;
    linked_.insert(node);
    dropped_.erase(node);
    host_.changed();
    const std::uint64_t run = sync.run;
    // complete_map()
    const auto with_marks = [this, node, run](const Blocks& dirty) {
        if (node == self_) {
            syncs_[node].left = dirty;
            add(syncs_[node].left, own_marks());
            return sync_copy(node, run);
        }
        request(node, {.type = Type::marks, .resync = true},
                [this, node, run, dirty](const Packet* reply) {
                    if (reply == nullptr || reply->status != Status::ok)
                        return sync_end(node, run, false);
                    if (run != syncs_[node].run)
                        return;
                    syncs_[node].left = dirty;
                    add(syncs_[node].left, reply->marked);
                    sync_copy(node, run);
                });
    };
    if (self_in_sync() && node != self_) {
        DirtyMap& map = disk_.dirty[node];
        const Stamp last = peers_[node].remote.last;
        const bool same = map.base == last && !(last == Stamp{});
        if (!same && !bugs_.keeps_base)
            map.base = {};
        with_marks(same ? map.marked : all_blocks());
        return "";
    }
    const int source = source_for(node);
    if (source < 0) {
        sync_end(node, run, false);
        return "";
    }
    request(static_cast<NodeId>(source),
            {.type = Type::dirty, .about = node, .instance = syncs_[node].instance},
            [with_marks](const Packet* reply) {
                const bool good = reply != nullptr && reply->status == Status::ok;
                with_marks(good ? reply->marked : all_blocks());
            });
    return "";
}

/// One block after another; each is locked like a write (S1).
void Kernel::sync_copy(NodeId node, std::uint64_t run) {
    Sync& sync = syncs_[node];
    if (run != sync.run || sync.state != SyncState::busy)
        return;
    const auto after = [this, node, run](bool good) {
        if (good)
            sync_copy(node, run);
        else
            sync_end(node, run, false);
    };
    if (sync.left.empty()) {
        if (!writes_.empty() && config_)
            return host_.later(1, [this, node, run] { sync_copy(node, run); });
        return run_each({node}, {.type = Type::flush}, [this, node, run](bool flushed) {
            if (!flushed || run != syncs_[node].run)
                return sync_end(node, run, false);
            run_each({node}, {.type = Type::settle}, [this, node, run](bool settled) {
                if (settled && run == syncs_[node].run)
                    disk_.dirty[node].marked.clear();
                sync_end(node, run, settled);
            });
        });
    }
    const int block = *sync.left.begin();
    const int source = source_for(node);
    if (adopting_ || writes_.count(block) != 0 || locked_.count(block) != 0)
        return host_.later(1, [this, node, run] { sync_copy(node, run); });
    if (source < 0)
        return sync_end(node, run, false);
    locked_.insert(block);
    const auto write = [this, node, run, block, after](int version) {
        run_each({node}, {.type = Type::write, .block = block, .version = version},
                 [this, node, run, block, after](bool good) {
                     locked_.erase(block);
                     if (good && run == syncs_[node].run)
                         syncs_[node].left.erase(block);
                     after(good);
                     push();
                 });
    };
    if (static_cast<NodeId>(source) == self_)
        return write(disk_.view(block));
    request(static_cast<NodeId>(source), {.type = Type::read, .block = block, .resync = true},
            [this, block, write, after](const Packet* reply) {
                if (reply != nullptr && reply->status == Status::ok)
                    return write(reply->version);
                locked_.erase(block);
                after(false);
            });
}

void Kernel::sync_end(NodeId node, std::uint64_t run, bool good) {
    Sync& sync = syncs_[node];
    if (run != sync.run || sync.state != SyncState::busy)
        return;
    if (!good)
        return abort_sync(node);
    sync.state = SyncState::done;
    host_.changed();
}

std::string Kernel::sync_join(NodeId node) {
    Sync& sync = syncs_[node];
    if (sync.state != SyncState::done && sync.state != SyncState::joining)
        return "sync-join: EAGAIN";
    sync.join_epoch = config_->adopted.epoch;
    sync.state = SyncState::joining;
    sync.joined_ms = host_.clock();
    host_.changed();
    return "";
}

/// unlink_target(): what it may have lost is marked, and nobody waits for it.
void Kernel::abort_sync(NodeId node) {
    Sync& sync = syncs_[node];
    sync.state = SyncState::none;
    sync.run++;
    linked_.erase(node);
    if (node != self_ || !(config_ && config_->in_sync(node)))
        fold({node}, false);
    host_.changed();
    std::vector<int> pending;
    for (const auto& [block, write] : writes_)
        pending.push_back(block);
    for (const int block : pending)
        check_write(block);
}

void Kernel::check_syncs() {
    std::vector<NodeId> over;
    for (auto& [node, sync] : syncs_) {
        if (sync.state == SyncState::none)
            continue;
        if (config_ && config_->in_sync(node)) {
            sync.state = SyncState::none;
            sync.run++;
            continue;
        }
        const bool later = config_ && config_->adopted.epoch > sync.join_epoch;
        const bool same =
            is_writer() &&
            (sync.state == SyncState::joining ? !later : instance_of(node) == sync.instance);
        if (!same)
            over.push_back(node);
    }
    for (const NodeId node : over)
        abort_sync(node);
}

// ---- migration ----

void Kernel::to_stage(Stage stage) {
    if (stage_ == stage)
        return;
    const Stage old = stage_;
    stage_ = stage;
    host_.note("migration stage " + std::to_string(static_cast<int>(stage)));
    if (stage == Stage::none && from_ == self_ && config_ &&
        (old == Stage::granted || old == Stage::draining))
        send(to_, {.type = Type::token,
                   .epoch = config_->adopted.epoch,
                   .id = config_->adopted.id,
                   .grant = grant_,
                   .withdrawn = true});
    host_.changed();
}

std::string Kernel::migrate(std::uint64_t epoch, NodeId target, std::uint64_t grant,
                            std::int64_t ms) {
    if (!config_ || config_->adopted.epoch != epoch)
        return "migrate: ESTALE";
    if (config_->adopted.writer != self_ && target != self_)
        return "migrate: EPERM";
    if (grant_ == grant)
        return stage_ == Stage::none ? "migrate: EKEYREVOKED" : "";
    if (stage_ != Stage::none)
        return "migrate: EBUSY";
    if (config_->adopted.writer == self_ && !serves())
        return "migrate: EAGAIN";
    from_ = config_->adopted.writer;
    to_ = target;
    grant_ = grant;
    deadline_ = host_.clock() + ms;
    to_stage(target == self_ ? Stage::prepared : Stage::granted);
    return "";
}

std::string Kernel::migrate_end(std::uint64_t grant) {
    if (grant_ != grant)
        return "migrate-end: ENOENT";
    if (stage_ == Stage::handed_over && from_ == self_)
        return "migrate-end: EPERM";
    if (stage_ == Stage::draining)
        draining_ = false;
    to_stage(Stage::none);
    return "";
}

void Kernel::migrate_adopt(const Config& next) {
    if (stage_ == Stage::draining)
        draining_ = false;
    if (stage_ != Stage::none)
        to_stage(to_ == self_ && next.adopted.writer == self_ ? Stage::swapped : Stage::none);
}

}  // namespace braid::sim
