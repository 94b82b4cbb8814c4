// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel.h"

#include <algorithm>

namespace braid::sim {

namespace {

constexpr std::int64_t disk_ms = 3;
constexpr std::int64_t timeout_ms = 2000;

}  // namespace

Kernel::Kernel(Host& host, NodeId self, Disk& disk, const Nodes& peers, std::int64_t lease_ms,
               const KernelBugs& bugs)
    : host_(host), self_(self), disk_(disk), lease_ms_(lease_ms), bugs_(bugs) {
    for (const NodeId node : peers)
        peers_[node];
    instance_ = host.random() | 1;  // NOLINT(cppcoreguidelines-prefer-member-initializer)
    if (!disk.present)
        return;
    // replay_log() of kernel/disk.c
    if (disk.in_use) {
        add(disk.own_marks, disk.log);
        for (auto& [node, map] : disk.dirty)
            add(map.marked, disk.log);
        disk.suspect = disk.suspect || disk.volatile_cache;
    }
    disk.log.clear();
    disk.in_use = true;
    config_ = disk.config;
    last_ = disk.last;
    if (config_)
        grant_until_ = host.clock() + lease_ms;
}

// ---- what follows from the state ----

Nodes Kernel::required() const {
    Nodes nodes = linked_;
    for (const auto& [node, instance] : config_->adopted.in_sync)
        nodes.insert(node);
    return nodes;
}

Nodes Kernel::absent() const {
    Nodes nodes;
    for (const NodeId node : config_->diskful)
        if (!config_->in_sync(node) && linked_.count(node) == 0 && node != self_)
            nodes.insert(node);
    return nodes;
}

bool Kernel::self_in_sync() const {
    const auto at = config_->adopted.in_sync.find(self_);
    return disk_.present && at != config_->adopted.in_sync.end() && at->second == instance_;
}

bool Kernel::is_ready(NodeId node) const {
    const auto at = peers_.find(node);
    if (at == peers_.end() || !config_)
        return false;
    const Peer& peer = at->second;
    if (peer.session == 0 || peer.greeting || !peer.known)
        return false;
    if (peer.remote.epoch != config_->adopted.epoch || peer.remote.id != config_->adopted.id ||
        peer.remote.lineage != config_->adopted.lineage)
        return false;
    const auto listed = config_->adopted.in_sync.find(node);
    return listed == config_->adopted.in_sync.end() ||
           (peer.remote.diskful && peer.remote.instance == listed->second);
}

bool Kernel::lease_valid() const {
    if (bugs_.ignores_lease)
        return true;
    for (const auto& [node, instance] : config_->adopted.in_sync) {
        if (node == self_)
            continue;
        const auto peer = peers_.find(node);
        if (peer == peers_.end() || peer->second.lease_epoch != config_->adopted.epoch ||
            peer->second.lease_until <= host_.clock())
            return false;
    }
    return true;
}

Service Kernel::service() const {
    if (!config_)
        return Service::secondary;
    if (config_->adopted.writer != self_)
        return to_ == self_ && stage_ != Stage::none ? Service::incoming : Service::secondary;
    if (done_epoch_ == config_->adopted.epoch)
        return stage_ == Stage::handed_over ? Service::outgoing : Service::secondary;
    if (failing_)
        return Service::failed;
    if (serve_epoch_ != config_->adopted.epoch)
        return reconciling_ ? Service::reconciling : Service::preparing;
    if (draining_)
        return Service::draining;
    for (const NodeId node : required())
        if (node != self_ && !is_ready(node))
            return Service::held;
    return lease_valid() ? Service::serving : Service::held;
}

bool Kernel::serves() const {
    const Service now = service();
    return now == Service::serving || now == Service::held;
}

bool Kernel::is_writer() const {
    const Service now = service();
    return now == Service::reconciling || now == Service::draining || serves();
}

State Kernel::state() const {
    State state{.instance = instance_,
                .last = disk_.present && disk_.last == last_ ? last_ : Stamp{},
                .suspect = disk_.present && disk_.suspect,
                .diskful = disk_.present};
    if (config_) {
        state.lineage = config_->adopted.lineage;
        state.epoch = config_->adopted.epoch;
        state.id = config_->adopted.id;
        state.writer = config_->adopted.writer;
        state.done = done_epoch_ != 0 && done_epoch_ == state.epoch;
    }
    return state;
}

Instance Kernel::instance_of(NodeId node) const {
    if (node == self_)
        return disk_.present ? instance_ : 0;
    const Peer& peer = peers_.at(node);
    return peer.known && peer.remote.diskful ? peer.remote.instance : 0;
}

KernelView Kernel::view() const {
    KernelView view{.present = true,
                    .service = service(),
                    .diskful = disk_.present,
                    .suspect = disk_.present && disk_.suspect,
                    .instance = instance_,
                    .last_epoch = state().last.epoch,
                    .opens = open_ ? 1U : 0U,
                    .waiting_opens = waits_to_open_ ? 1U : 0U,
                    .stage = stage_,
                    .grant = grant_};
    if (config_) {
        view.adopted = config_->adopted;
        view.done = done_epoch_ == config_->adopted.epoch;
    }
    const auto sync_of = [this](NodeId node) {
        const auto at = syncs_.find(node);
        return at == syncs_.end() ? SyncState::none : at->second.state;
    };
    view.sync = sync_of(self_);
    for (const auto& [node, peer] : peers_) {
        membership::KernelPeer link{.connected = peer.session != 0 && !peer.greeting && peer.known,
                                    .sync = sync_of(node)};
        if (link.connected) {
            link.diskful = peer.remote.diskful;
            link.suspect = peer.remote.suspect;
            link.done = peer.remote.done;
            link.epoch = peer.remote.epoch;
            link.id = peer.remote.id;
            link.instance = peer.remote.instance;
        }
        const auto map = disk_.dirty.find(node);
        if (map != disk_.dirty.end())
            link.dirty = 4096 * map->second.marked.size();
        view.peers.emplace(node, link);
    }
    return view;
}

// ---- connections ----

std::uint64_t Kernel::session(NodeId node) const {
    return peers_.at(node).session;
}

void Kernel::connect(NodeId node, std::uint64_t session) {
    if (peers_[node].session != 0)
        disconnect(node);
    Peer& peer = peers_[node];
    peer.session = session;
    peer.heard = host_.clock();
    // R2a: earlier I/O of the peer ends first.
    peer.greeting = peer.io > 0;
    if (!peer.greeting)
        announce();
    push();
}

void Kernel::disconnect(NodeId node) {
    Peer& peer = peers_[node];
    if (peer.session == 0)
        return;
    peer.session = 0;
    peer.greeting = false;
    peer.known = false;
    const auto waiting = std::exchange(peer.waiting, {});
    for (const auto& [tag, done] : waiting)
        done(nullptr);
    check_syncs();
    push();
}

void Kernel::send(NodeId to, const Packet& packet) {
    const Peer& peer = peers_[to];
    if (peer.session != 0 && !peer.greeting)
        host_.transmit(to, peer.session, packet);
}

void Kernel::announce() {
    Packet packet{.type = Type::state};
    packet.state = state();
    for (const auto& [node, peer] : peers_)
        send(node, packet);
    host_.changed();
}

void Kernel::request(NodeId to, Packet packet, Done done) {
    Peer& peer = peers_[to];
    if (peer.session == 0 || peer.greeting || !config_)
        return done(nullptr);
    packet.tag = ++tags_;
    packet.epoch = config_->adopted.epoch;
    packet.id = config_->adopted.id;
    peer.waiting.emplace(packet.tag, std::move(done));
    host_.transmit(to, peer.session, std::move(packet));
}

void Kernel::answer(NodeId to, std::uint64_t session, const Packet& request, Packet reply) {
    reply.type = Type::reply;
    reply.tag = request.tag;
    if (peers_[to].session == session)
        host_.transmit(to, session, std::move(reply));
}

// One case for each kind of packet. NOLINTNEXTLINE(readability-function-size)
void Kernel::receive(NodeId from, std::uint64_t session, const Packet& packet) {
    Peer& peer = peers_[from];
    if (peer.session != session)
        return;
    peer.heard = host_.clock();
    switch (packet.type) {
        case Type::state:
            if (peer.known && peer.remote.instance != packet.state.instance)
                peer.lease_until = 0;
            peer.remote = packet.state;
            peer.known = true;
            if (stage_ == Stage::asked && from == from_ && packet.state.done && config_ &&
                packet.state.epoch == config_->adopted.epoch)
                to_stage(Stage::handed_over);
            check_syncs();
            host_.changed();
            return push();
        case Type::ping: {
            Packet pong = packet;
            pong.type = Type::pong;
            pong.lease = packet.lease && config_ && !adopting_ &&
                         config_->adopted.epoch == packet.epoch &&
                         config_->adopted.id == packet.id && config_->adopted.writer == from;
            if (pong.lease)
                grant_until_ = host_.clock() + lease_ms_;
            return send(from, pong);
        }
        case Type::pong:
            if (packet.lease && config_ && config_->adopted.epoch == packet.epoch &&
                config_->adopted.id == packet.id && config_->adopted.writer == self_) {
                peer.lease_epoch = packet.epoch;
                peer.lease_until = std::max(peer.lease_until, packet.time + lease_ms_ / 10 * 9);
            }
            return push();
        case Type::token:
            if (!config_ || packet.epoch != config_->adopted.epoch || packet.grant != grant_)
                return;
            if (packet.withdrawn && from == from_ &&
                (stage_ == Stage::prepared || stage_ == Stage::asked))
                return to_stage(Stage::none);
            if (!packet.withdrawn && from == to_ && stage_ == Stage::granted && serves() &&
                host_.clock() < deadline_) {
                draining_ = true;
                to_stage(Stage::draining);
                drain();
            }
            return;
        case Type::stable:
            if (config_ && packet.epoch == config_->adopted.epoch &&
                packet.id == config_->adopted.id && config_->adopted.writer == from)
                stable(packet.versions);
            return;
        case Type::reply: {
            const auto at = peer.waiting.find(packet.tag);
            if (at == peer.waiting.end())
                return;
            const Done done = std::move(at->second);
            peer.waiting.erase(at);
            return done(&packet);
        }
        default:
            return handle_request(from, session, packet);
    }
}

// ---- a peer's requests ----

void Kernel::begin_io(NodeId from) {
    peers_[from].io++;
    peer_io_++;
}

void Kernel::end_io(NodeId from) {
    Peer& peer = peers_[from];
    peer.io--;
    peer_io_--;
    if (peer.greeting && peer.io == 0) {
        peer.greeting = false;
        announce();
    }
    push();
}

void Kernel::handle_request(NodeId from, std::uint64_t session, const Packet& packet) {
    Packet reply{.status = Status::ok};
    const bool same = config_ && packet.epoch == config_->adopted.epoch &&
                      packet.id == config_->adopted.id && config_->adopted.writer == from &&
                      !adopting_;
    const bool newer = bugs_.adopts_late && config_ && packet.epoch > config_->adopted.epoch;
    const bool older = bugs_.takes_stale && config_ && packet.epoch < config_->adopted.epoch;
    if (!same && !newer && !older)
        reply.status = Status::other_epoch;
    else if (!disk_.present || (disk_.suspect && config_->in_sync(self_) && !packet.resync) ||
             (config_->in_sync(self_) && !self_in_sync()))
        reply.status = Status::no_disk;
    if (reply.status != Status::ok)
        return answer(from, session, packet, reply);
    switch (packet.type) {
        case Type::write: {
            Nodes missing;
            if (same)
                missing = absent();
            if (packet.resync && !config_->in_sync(self_))
                disk_.inconsistent = true;
            begin_io(from);
            return local_write(packet.block, packet.version, missing, packet.resync,
                               [this, from, session, packet, reply] {
                                   answer(from, session, packet, reply);
                                   end_io(from);
                               });
        }
        case Type::flush:
            begin_io(from);
            return host_.later(disk_ms, [this, from, session, packet, reply] {
                disk_.flush();
                answer(from, session, packet, reply);
                end_io(from);
            });
        case Type::read:
            reply.version = disk_.view(packet.block);
            return answer(from, session, packet, reply);
        case Type::marks:
            reply.marked = own_marks();
            return answer(from, session, packet, reply);
        case Type::dirty: {
            const auto map = disk_.dirty.find(packet.about);
            if (map == disk_.dirty.end() || peers_.count(packet.about) == 0 ||
                peers_[packet.about].remote.instance != packet.instance ||
                !(map->second.base == peers_[packet.about].remote.last) ||
                map->second.base == Stamp{})
                reply.status = Status::range;
            else
                reply.marked = map->second.marked;
            return answer(from, session, packet, reply);
        }
        case Type::settle:
            settle();
            return answer(from, session, packet, reply);
        default:
            return;
    }
}

Blocks Kernel::own_marks() const {
    Blocks marks = disk_.own_marks;
    if (bugs_.forgets_own && config_ && !config_->in_sync(self_))
        return {};
    add(marks, unstable_);
    return marks;
}

void Kernel::settle() {
    disk_.own_marks.clear();
    disk_.suspect = false;
    disk_.inconsistent = false;
    announce();
}

void Kernel::local_write(int block, int version, const Nodes& missing, bool /*resync*/,
                         std::function<void()> done) {
    disk_.log.insert(block);
    unstable_.insert(block);
    for (const NodeId node : missing)
        disk_.dirty[node].marked.insert(block);
    host_.later(disk_ms, [this, block, version, done = std::move(done)] {
        if (disk_.volatile_cache)
            disk_.cache[block] = version;
        else
            disk_.durable[static_cast<std::size_t>(block)] = version;
        done();
    });
}

/// Forgets what is unstable, unless it was written since.
void Kernel::stable(const std::vector<int>& versions) {
    for (int block = 0; block < blocks; block++) {
        const int version = versions[static_cast<std::size_t>(block)];
        if (version >= 0 && disk_.view(block) == version) {
            unstable_.erase(block);
            disk_.log.erase(block);
        }
    }
}

// ---- the application ----

void Kernel::open(bool on) {
    open_ = on;
    host_.changed();
}

void Kernel::open_when_writer() {
    waits_to_open_ = true;
    host_.changed();
}

void Kernel::refuse_opens() {
    waits_to_open_ = false;
    host_.changed();
}

void Kernel::app_write(int block, int version) {
    if (stage_ == Stage::prepared && to_ == self_)
        return to_stage(Stage::asked);
    if (service() != Service::serving || writes_.count(block) != 0 || locked_.count(block) != 0)
        return;
    writes_[block] = Write{.version = version};
    begun_[block] = version;
    push_write(block);
}

void Kernel::push_write(int block) {
    const auto at = writes_.find(block);
    if (at == writes_.end() || adopting_ || !config_)
        return;
    Write& write = at->second;
    const std::uint64_t epoch = config_->adopted.epoch;
    for (const NodeId node : required()) {
        if (write.acknowledged.count(node) != 0)
            continue;
        const std::pair<std::uint64_t, std::uint64_t> now{epoch,
                                                          node == self_ ? 1 : peers_[node].session};
        if (write.sent.count(node) != 0 && write.sent[node] == now)
            continue;
        const int version = write.version;
        if (node == self_ && disk_.present && write.sent.count(node) == 0) {
            write.sent[node] = now;
            own_io_++;
            local_write(block, version, absent(), false, [this, block, version] {
                own_io_--;
                const auto still = writes_.find(block);
                if (still != writes_.end() && still->second.version == version) {
                    still->second.acknowledged.insert(self_);
                    check_write(block);
                }
                push();
            });
        } else if (node != self_ && is_ready(node)) {
            write.sent[node] = now;
            request(node, {.type = Type::write, .block = block, .version = version},
                    [this, block, version, node, now](const Packet* reply) {
                        const auto still = writes_.find(block);
                        // Only for the configuration that it was last sent under (R2a).
                        if (reply == nullptr || still == writes_.end() || !config_ ||
                            config_->adopted.epoch != now.first ||
                            still->second.version != version || still->second.sent[node] != now)
                            return;
                        if (reply->status == Status::ok) {
                            still->second.acknowledged.insert(node);
                            check_write(block);
                        } else {
                            still->second.sent.erase(node);
                        }
                    });
        }
    }
    // A diskless writer marks for those that are away nowhere: its replicas do.
    check_write(block);
}

void Kernel::check_write(int block) {
    const auto at = writes_.find(block);
    if (at == writes_.end() || !config_ || adopting_ || failing_)
        return;
    Nodes needed = required();
    needed.insert(dropped_.begin(), dropped_.end());
    for (const NodeId node : needed)
        if (at->second.acknowledged.count(node) == 0)
            return;
    const int version = at->second.version;
    writes_.erase(at);
    host_.acknowledged(*config_, block, version);
    push();
}

void Kernel::app_read(int block) {
    if (service() != Service::serving || writes_.count(block) != 0 || locked_.count(block) != 0)
        return;
    if (self_in_sync())
        return host_.returned(*config_, block, disk_.view(block));
    const int source = source_for(self_);
    if (source < 0)
        return;
    request(
        static_cast<NodeId>(source), {.type = Type::read, .block = block},
        [this, block, epoch = config_->adopted.epoch, begun = begun_[block]](const Packet* reply) {
            // Validity is checked again when the read completes. One that a write has overtaken
            // may return either value, and tells nothing.
            if (reply != nullptr && reply->status == Status::ok && config_ &&
                config_->adopted.epoch == epoch && service() == Service::serving &&
                begun_[block] == begun)
                host_.returned(*config_, block, reply->version);
        });
}

void Kernel::app_flush() {
    if (!serves() || !writes_.empty() || flushing_ || !locked_.empty() || adopting_)
        return;
    flushing_ = true;
    std::vector<int> versions(blocks, -1);
    const Nodes targets = required();
    const std::uint64_t run = ++flush_run_;
    for (const NodeId node : targets)
        if (node != self_ && !is_ready(node)) {
            flushing_ = false;
            return;
        }
    // No write is under way: what each replica holds is what was acknowledged.
    if (self_in_sync()) {
        for (int block = 0; block < blocks; block++)
            versions[static_cast<std::size_t>(block)] = disk_.view(block);
    }
    auto left = std::make_shared<Nodes>(targets);
    const std::uint64_t epoch = config_->adopted.epoch;
    const auto one = [this, left, versions, targets, run, epoch](NodeId node, bool good) {
        if (run != flush_run_)
            return;
        if (!good) {
            flushing_ = false;
            return;
        }
        left->erase(node);
        if (!left->empty())
            return;
        flushing_ = false;
        if (config_ && config_->adopted.epoch == epoch && !adopting_)
            flush_done(versions, targets);
    };
    for (const NodeId node : targets) {
        if (node == self_)
            host_.later(disk_ms, [this, one] {
                disk_.flush();
                one(self_, true);
            });
        else
            request(node, {.type = Type::flush}, [one, node](const Packet* reply) {
                one(node, reply != nullptr && reply->status == Status::ok);
            });
    }
}

void Kernel::flush_done(std::vector<int> versions, const Nodes& waiting) {
    const Nodes now = required();
    if (!std::includes(waiting.begin(), waiting.end(), now.begin(), now.end()))
        return;
    if (!self_in_sync())
        return;  // which versions are stable is known only with a replica here
    host_.made_durable(versions);
    for (const auto& [block, write] : writes_)
        versions[static_cast<std::size_t>(block)] = -1;
    stable(versions);
    Packet packet{.type = Type::stable, .epoch = config_->adopted.epoch, .id = config_->adopted.id};
    packet.versions = versions;
    for (const NodeId node : waiting)
        if (node != self_)
            send(node, packet);
}

/// Once all that stay have adopted the configuration, as the instances that it lists.
void Kernel::release_dropped() {
    if (dropped_.empty())
        return;
    for (const NodeId node : required())
        if (node != self_ && !is_ready(node) && !bugs_.drops_at_once)
            return;
    dropped_.clear();
}

void Kernel::push() {
    if (next_ && adopting_)
        adopt();
    release_dropped();
    std::vector<int> pending;
    for (const auto& [block, write] : writes_)
        pending.push_back(block);
    for (const int block : pending)
        push_write(block);
    if (draining_)
        drain();
    if (reconciling_)
        reconcile(config_->adopted.epoch);
    const Service now = service();
    if (now != said_) {
        said_ = now;
        host_.changed();
    }
}

void Kernel::tick() {
    if (waits_to_open_ && serves()) {
        waits_to_open_ = false;
        open(true);
    }
    for (auto& [node, peer] : peers_) {
        if (peer.session == 0)
            continue;
        if (host_.clock() - peer.heard > timeout_ms) {
            host_.note("the kernel gives node " + std::to_string(node) + " up");
            disconnect(node);
            host_.changed();
            continue;
        }
        Packet ping{.type = Type::ping, .time = host_.clock()};
        if (config_) {
            ping.epoch = config_->adopted.epoch;
            ping.id = config_->adopted.id;
            ping.lease = config_->adopted.writer == self_ && config_->in_sync(node);
        }
        send(node, ping);
        if (stage_ == Stage::asked && node == from_ && config_)
            send(node, {.type = Type::token,
                        .epoch = config_->adopted.epoch,
                        .id = config_->adopted.id,
                        .grant = grant_});
    }
    if (stage_ != Stage::none && stage_ != Stage::handed_over && stage_ != Stage::swapped &&
        host_.clock() >= deadline_) {
        if (stage_ == Stage::draining)
            draining_ = false;
        to_stage(Stage::none);
    }
    if (bugs_.gives_up_join)
        for (auto& [node, sync] : syncs_)
            if (sync.state == SyncState::joining && host_.clock() - sync.joined_ms > 300)
                abort_sync(node);
    push();
}

}  // namespace braid::sim
