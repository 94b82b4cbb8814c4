// SPDX-License-Identifier: GPL-2.0-or-later
#include "cluster.h"

#include <algorithm>
#include <limits>

namespace braid::sim {

using membership::Action;
using membership::Bytes;
using membership::Command;
using membership::Event;
using membership::Member;
using membership::Moment;
using membership::Role;
using membership::Value;
using membership::Verb;

namespace {

Config config_of(const Value& value) {
    Config config;
    config.adopted = {
        .lineage = value.lineage, .epoch = value.epoch, .id = value.id, .writer = value.writer};
    for (const membership::Seat& seat : value.seats) {
        if (seat.role == Role::diskful)
            config.diskful.insert(seat.node);
        if (seat.instance != 0)
            config.adopted.in_sync.emplace(seat.node, seat.instance);
    }
    return config;
}

}  // namespace

// ---- a host, with its satellite ----

class Cluster::Node final : public Host {
  public:
    Node(Cluster& cluster, NodeId id, Role role) : cluster_(cluster), id_(id), role_(role) {
        disk_.present = role == Role::diskful;
        disk_.volatile_cache = cluster.recipe_.volatile_caches;
        // In this order: they are drawn. NOLINTBEGIN(cppcoreguidelines-prefer-member-initializer)
        rate_ = 980 + static_cast<std::int64_t>(cluster.pick(41));
        skew_ = static_cast<std::int64_t>(cluster.pick(100000));
        // NOLINTEND(cppcoreguidelines-prefer-member-initializer)
    }

    void power(bool on) {
        if (on == on_)
            return;
        on_ = on;
        boot_++;
        if (on) {
            if (role_ != Role::witness)
                kernel_ = std::make_unique<Kernel>(*this, id_, disk_, peers(),
                                                   cluster_.recipe_.options.lease_ms,
                                                   cluster_.recipe_.bugs);
            daemon(true);
            return tick();
        }
        daemon(false);
        // Each cached block may have reached the disk before.
        for (const auto& [block, version] : disk_.cache)
            if (cluster_.pick(2) == 0)
                disk_.durable[static_cast<std::size_t>(block)] = version;
        disk_.cache.clear();
        cluster_.lost_caches(id_);
        kernel_.reset();
    }

    void daemon(bool on) {
        if (on == daemon_)
            return;
        daemon_ = on;
        run_++;
        views_ = false;
        ups_.clear();
        member_.reset();
        if (!on)
            return;
        member_ = std::make_unique<Member>(id_, role_ != Role::diskless, cluster_.recipe_.options,
                                           disk_.vote, moment());
        view_soon();
        timer_++;
    }

    void give(const Event& event) {
        if (!member_)
            return;
        for (Action& action : member_->handle(moment(), event)) {
            // Journal lines change nothing: one more of them leaves a schedule as it is.
            if (const auto* line = std::get_if<membership::Journal>(&action)) {
                act(*line);
                continue;
            }
            // In order, each a little later.
            busy_until_ =
                std::max(busy_until_, cluster_.now_) + static_cast<std::int64_t>(cluster_.pick(3));
            cluster_.at(busy_until_ - cluster_.now_,
                        [this, run = run_, action = std::move(action)] {
                            if (run == run_)
                                std::visit([this](const auto& a) { act(a); }, action);
                        });
        }
        watch_chosen();
    }

    /// As the satellite does after an event of the kernel.
    void view_soon() {
        if (views_ || !daemon_)
            return;
        views_ = true;
        cluster_.at(static_cast<std::int64_t>(1 + cluster_.pick(5)), [this, run = run_] {
            if (run != run_)
                return;
            views_ = false;
            give(kernel_ ? kernel_->view() : KernelView{});
        });
    }

    // Host
    void transmit(NodeId to, std::uint64_t session, Packet packet) override {
        const auto delay = static_cast<std::int64_t>(1 + cluster_.pick(4));
        std::int64_t& last = arrival_[to];
        last = std::max(last, cluster_.now_ + delay);  // a stream keeps its order
        cluster_.at(last - cluster_.now_,
                    [this, to, session, packet = std::move(packet), boot = boot_] {
                        Node& other = *cluster_.nodes_[to];
                        // What is lost on the way is sent again by TCP, or the connection ends.
                        if (other.kernel_ && !cluster_.is_cut(id_, to))
                            other.kernel_->receive(id_, session, packet);
                        else if (boot == boot_ && kernel_ && kernel_->session(to) == session)
                            stalled_[to] = session;
                    });
    }
    void later(std::int64_t ms, std::function<void()> what) override {
        cluster_.at(ms + static_cast<std::int64_t>(cluster_.pick(4)),
                    [this, boot = boot_, what = std::move(what)] {
                        if (boot == boot_)
                            what();
                    });
    }
    [[nodiscard]] std::int64_t clock() const override {
        return skew_ + cluster_.now_ * rate_ / 1000;
    }
    std::uint64_t random() override { return cluster_.random(); }
    void changed() override { view_soon(); }
    void acknowledged(const Config& config, int block, int version) override {
        cluster_.on_acknowledged(id_, config, block, version);
    }
    void returned(const Config& config, int block, int version) override {
        cluster_.on_returned(id_, config, block, version);
    }
    void made_durable(const std::vector<int>& versions) override {
        for (std::size_t block = 0; block < versions.size(); block++)
            cluster_.durable_[block] = std::max(cluster_.durable_[block], versions[block]);
    }
    void begins(const Config& config) override { cluster_.on_begins(config); }
    void note(const std::string& text) override { cluster_.note(id_, text); }

    // Only the cluster uses them. NOLINTBEGIN(readability-identifier-naming)
    Cluster& cluster_;
    NodeId id_;
    Role role_;
    Disk disk_;
    bool on_ = false;
    bool daemon_ = false;
    std::unique_ptr<Kernel> kernel_;
    std::unique_ptr<Member> member_;
    std::set<NodeId> ups_;
    std::map<NodeId, std::uint64_t> stalled_;
    std::int64_t wall_jump_ = 0;
    std::optional<membership::Reply> reply_;
    bool votes_fail_ = false;
    // NOLINTEND(readability-identifier-naming)

  private:
    [[nodiscard]] Nodes peers() const {
        Nodes nodes;
        for (NodeId node = 0; node < cluster_.recipe_.roles.size(); node++)
            if (node != id_ && cluster_.recipe_.roles[node] != Role::witness)
                nodes.insert(node);
        return nodes;
    }

    [[nodiscard]] Moment moment() {
        return {.now_ms = clock(),
                .wall_ms = 1700000000000 + cluster_.now_ + wall_jump_,
                .random = cluster_.random()};
    }

    void tick() {
        later(100, [this] {
            if (kernel_)
                kernel_->tick();
            tick();
        });
    }

    /// All that members hold to be chosen is one line of values.
    void watch_chosen() {
        if (!member_ || !member_->known())
            return;
        const Value& value = *member_->known();
        const auto [at, is_new] =
            cluster_.chosen_.emplace(std::pair(value.lineage, value.epoch), value.id);
        if (at->second != value.id)
            cluster_.violate("two values were chosen for epoch " + std::to_string(value.epoch));
    }

    void refused(const std::string& error) {
        if (!error.empty())
            give(membership::KernelRefused{.what = error, .open = error == "demote: EBUSY"});
    }

    void act(const membership::Configure& a) {
        if (kernel_)
            refused(kernel_->configure(config_of(a.value), a.common));
    }
    void act(const membership::Serve& a) {
        if (kernel_)
            refused(kernel_->serve(a.epoch, a.reference));
    }
    void act(const membership::Demote& a) {
        if (kernel_)
            refused(kernel_->demote(a.force));
    }
    void act(const membership::SyncStart& a) {
        if (kernel_)
            refused(kernel_->sync_start(a.node));
    }
    void act(const membership::SyncJoin& a) {
        if (kernel_)
            refused(kernel_->sync_join(a.node));
    }
    void act(const membership::Migrate& a) {
        if (kernel_)
            refused(kernel_->migrate(a.epoch, a.target, a.grant, a.deadline_ms));
    }
    void act(const membership::MigrateEnd& a) {
        if (kernel_)
            refused(kernel_->migrate_end(a.grant));
    }
    void act(const membership::Send& a) {
        if (ups_.count(a.to) == 0)
            return;
        const unsigned loss = cluster_.recipe_.loss;
        unsigned copies = cluster_.pick(100) < loss ? 0 : 1;
        copies += cluster_.pick(100) < loss ? 1 : 0;
        for (; copies > 0; copies--) {
            std::int64_t delay = 1 + static_cast<std::int64_t>(cluster_.pick(5));
            if (cluster_.pick(100) < loss)
                delay += static_cast<std::int64_t>(cluster_.pick(1500));
            cluster_.at(delay, [this, to = a.to, bytes = a.bytes] {
                Node& other = *cluster_.nodes_[to];
                if (other.daemon_ && !cluster_.is_cut(id_, to))
                    other.give(membership::PeerBytes{.node = id_, .bytes = bytes});
            });
        }
    }
    void act(const membership::StoreVote& a) {
        later(1, [this, bytes = a.bytes, run = run_] {
            if (!votes_fail_)
                disk_.vote = bytes;
            if (run == run_)
                give(membership::VoteStored{.ok = !votes_fail_});
        });
    }
    void act(const membership::SetTimer& a) {
        const std::uint64_t timer = ++timer_;
        cluster_.at(a.after_ms, [this, timer, run = run_] {
            if (timer == timer_ && run == run_)
                give(membership::TimerExpired{});
        });
    }
    void act(const membership::RefuseOpens& /*a*/) {
        if (kernel_)
            kernel_->refuse_opens();
    }
    void act(const membership::Fence& a) { cluster_.fences_.push_back(a.node); }
    void act(const membership::Reply& a) {
        note("reply: cause " + std::to_string(static_cast<int>(a.cause)) + " " + a.text);
        reply_ = a;
    }
    void act(const membership::Journal& a) { note(a.text); }

    std::int64_t rate_ = 1000;
    std::int64_t skew_ = 0;
    std::uint64_t boot_ = 0;
    std::uint64_t run_ = 0;
    std::uint64_t timer_ = 0;
    bool views_ = false;
    std::int64_t busy_until_ = 0;
    std::map<NodeId, std::int64_t> arrival_;
};

// ---- the cluster ----

Cluster::Cluster(const Recipe& recipe) : recipe_(recipe), random_(recipe.seed) {
    for (NodeId node = 0; node < recipe.roles.size(); node++)
        nodes_.push_back(std::make_unique<Node>(*this, node, recipe.roles[node]));
    for (auto& node : nodes_)
        node->power(true);
    connect_all();
    apply_load();
}

Cluster::~Cluster() = default;

void Cluster::at(std::int64_t ms, std::function<void()> what) {
    queue_.emplace(std::pair(now_ + std::max<std::int64_t>(ms, 0), order_++), std::move(what));
}

void Cluster::run(std::int64_t ms) {
    const std::int64_t end = now_ + ms;
    while (!queue_.empty() && queue_.begin()->first.first <= end && violation_.empty()) {
        now_ = queue_.begin()->first.first;
        const auto what = std::move(queue_.begin()->second);
        queue_.erase(queue_.begin());
        what();
    }
    now_ = std::max(now_, end);
}

bool Cluster::run_until(std::int64_t ms, const std::function<bool()>& condition) {
    for (const std::int64_t end = now_ + ms; now_ < end && violation_.empty();) {
        if (condition())
            return true;
        run(20);
    }
    return condition();
}

void Cluster::note(NodeId node, const std::string& text) {
    if (recipe_.tracing)
        trace_.push_back(std::to_string(now_) + " " + std::to_string(node) + ": " + text);
}

void Cluster::violate(const std::string& what) {
    if (violation_.empty())
        violation_ = what;
    note(no_node, "VIOLATION: " + what);
}

bool Cluster::is_cut(NodeId from, NodeId to) const {
    return cuts_.count({from, to}) != 0;
}

/// What satellites do: notice who comes and goes, and give kernels connections.
void Cluster::connect_all() {
    for (auto& a : nodes_) {
        for (auto& b : nodes_) {
            if (a == b)
                continue;
            const bool reach =
                a->daemon_ && b->daemon_ && !is_cut(a->id_, b->id_) && !is_cut(b->id_, a->id_);
            if (a->daemon_ && reach != (a->ups_.count(b->id_) != 0) && pick(3) == 0) {
                if (reach) {
                    a->ups_.insert(b->id_);
                    a->give(membership::PeerUp{b->id_});
                } else {
                    a->ups_.erase(b->id_);
                    a->give(membership::PeerDown{b->id_});
                }
            }
            if (!reach || a->id_ > b->id_ || !a->kernel_ || !b->kernel_)
                continue;
            const std::uint64_t one = a->kernel_->session(b->id_);
            const std::uint64_t two = b->kernel_->session(a->id_);
            const bool stalled = (one != 0 && a->stalled_[b->id_] == one) ||
                                 (two != 0 && b->stalled_[a->id_] == two);
            if ((one != 0 && one == two && !stalled) || pick(3) != 0)
                continue;
            const std::uint64_t session = ++sessions_;
            a->kernel_->connect(b->id_, session);
            b->kernel_->connect(a->id_, session);
        }
    }
    at(100, [this] { connect_all(); });
}

void Cluster::apply_load() {
    for (auto& node : nodes_) {
        if (!applications_ || !node->kernel_ || !node->kernel_->is_open())
            continue;
        const int block = static_cast<int>(pick(blocks));
        const std::uint64_t what = pick(20);
        if (what < 8)
            node->kernel_->app_write(block, ++versions_);
        else if (what < 16)
            node->kernel_->app_read(block);
        else if (what < 18)
            node->kernel_->app_flush();
    }
    check_equal();
    at(static_cast<std::int64_t>(3 + pick(10)), [this] { apply_load(); });
}

// ---- the checker ----

void Cluster::on_begins(const Config& config) {
    std::vector<int>& found = began_[{config.adopted.lineage, config.adopted.epoch}];
    found.assign(blocks, std::numeric_limits<int>::max());
    for (const auto& [node, instance] : config.adopted.in_sync)
        for (int block = 0; block < blocks; block++)
            found[static_cast<std::size_t>(block)] =
                std::min(found[static_cast<std::size_t>(block)], nodes_[node]->disk_.view(block));
}

/// Whether the next writer began with this version, so that it counts as written before. What the
/// members of the old configuration completed before they left it may become known later only.
bool Cluster::is_early(const Config& config, int block, int version) const {
    const auto next = began_.upper_bound({config.adopted.lineage, config.adopted.epoch});
    return next != began_.end() && next->first.first == config.adopted.lineage &&
           next->second[static_cast<std::size_t>(block)] >= version;
}

void Cluster::on_acknowledged(NodeId node, const Config& config, int block, int version) {
    acknowledged_++;
    seen(config, block, version);
    std::uint64_t& last = written_in_[config.adopted.lineage];
    if (config.adopted.epoch < last && !is_early(config, block, version))
        violate("P4: node " + std::to_string(node) + " acknowledged a write of epoch " +
                std::to_string(config.adopted.epoch) + ", after one of epoch " +
                std::to_string(last));
    if (written_in_.size() > 1 && !recipe_.may_fork)
        violate("P4: writes were acknowledged in two lineages");
    last = std::max(last, config.adopted.epoch);
    note(node, "acknowledged block " + std::to_string(block) + " = " + std::to_string(version));
}

/// What an application knows of has to survive, unless the answer that told it was on its way when
/// the caches were lost.
void Cluster::seen(const Config& config, int block, int version) {
    const bool held = std::ranges::any_of(config.adopted.in_sync, [&](const auto& member) {
        const Disk& disk = nodes_[member.first]->disk_;
        return disk.present && disk.view(block) >= version;
    });
    int& floor = floor_[static_cast<std::size_t>(block)];
    if (held || now_ - relaxed_ > answer_ms)
        floor = std::max(floor, version);
}

void Cluster::on_returned(NodeId node, const Config& config, int block, int version) {
    const int floor = floor_[static_cast<std::size_t>(block)];
    if (version < floor && !recipe_.may_fork)
        violate("P1/P2/P5: node " + std::to_string(node) + " read block " + std::to_string(block) +
                " = " + std::to_string(version) + ", after " + std::to_string(floor));
    seen(config, block, version);
}

const Value* Cluster::latest() const {
    const Value* found = nullptr;
    for (const auto& node : nodes_)
        if (node->member_ && node->member_->known() &&
            (found == nullptr || node->member_->known()->epoch > found->epoch))
            found = &*node->member_->known();
    return found;
}

/// P1 and P5 hold unless every replica in sync lost its cache before another was made equal again.
void Cluster::lost_caches(NodeId node) {
    // Who knows of the latest value may be off; what was adopted is on its disk.
    const Value* value = latest();
    std::vector<NodeId> in_sync = value == nullptr ? std::vector<NodeId>{} : value->in_sync_nodes();
    std::uint64_t epoch = value == nullptr ? 0 : value->epoch;
    for (const auto& other : nodes_) {
        const std::optional<Config>& config = other->disk_.config;
        if (!config || config->adopted.epoch <= epoch)
            continue;
        epoch = config->adopted.epoch;
        in_sync.clear();
        for (const auto& [member, instance] : config->adopted.in_sync)
            in_sync.push_back(member);
    }
    if (epoch == 0) {
        for (const auto& other : nodes_)
            if (other->on_ && other->disk_.present && other->id_ != node)
                return;
        return relax();
    }
    for (const NodeId other : in_sync) {
        const Node& replica = *nodes_[other];
        if (!replica.disk_.volatile_cache ||
            (other != node && replica.on_ && !replica.disk_.suspect && !is_swapped(other)))
            return;
    }
    relax();
}

/// Whether the disk that was in sync is out of this host. Once the one in its place has joined it
/// is like any other, also after it was attached anew.
bool Cluster::is_swapped(NodeId node) {
    if (node != swapped_node || !swapped_)
        return false;
    const Value* value = latest();
    const membership::Seat* seat = value == nullptr ? nullptr : value->seat(node);
    const auto& kernel = nodes_[node]->kernel_;
    swapped_ = seat == nullptr || !kernel || seat->instance != kernel->view().instance;
    return swapped_;
}

void Cluster::relax() {
    note(no_node, "what was not flushed may be lost now");
    floor_ = durable_;
    relaxed_ = now_;
}

/// P3, whenever a writer is idle.
void Cluster::check_equal() {
    for (const auto& node : nodes_) {
        if (!node->kernel_ || node->kernel_->service() != Service::serving ||
            !node->kernel_->idle() || node->kernel_->adopting())
            continue;
        auto in_sync = node->kernel_->config()->adopted.in_sync;
        // One that was started anew says so, by its instance.
        std::erase_if(in_sync, [&](const auto& member) {
            const auto& kernel = nodes_[member.first]->kernel_;
            return !kernel || kernel->view().instance != member.second;
        });
        for (const auto& [first, one] : in_sync)
            for (const auto& [second, two] : in_sync)
                for (int block = 0; block < blocks; block++)
                    if (nodes_[first]->disk_.view(block) != nodes_[second]->disk_.view(block))
                        return violate("P3: block " + std::to_string(block) + " is " +
                                       std::to_string(nodes_[first]->disk_.view(block)) +
                                       " on node " + std::to_string(first) + " and " +
                                       std::to_string(nodes_[second]->disk_.view(block)) +
                                       " on node " + std::to_string(second));
    }
}

// ---- misfortunes ----

void Cluster::initialise(NodeId node, bool equal) {
    run(1500);
    Command command{.number = ++commands_, .verb = Verb::initialise, .equal = equal};
    for (NodeId other = 0; other < nodes_.size(); other++)
        command.seats.push_back({.node = other, .role = recipe_.roles[other]});
    nodes_[node]->give(command);
}

void Cluster::command(NodeId node, Command command) {
    command.number = ++commands_;
    nodes_[node]->reply_.reset();
    note(node, "command " + std::to_string(static_cast<int>(command.verb)));
    nodes_[node]->give(command);
}

void Cluster::drain(NodeId node, bool on) {
    note(node, on ? "drain" : "undrain");
    nodes_[node]->give(membership::Drained{on});
}

void Cluster::power(NodeId node, bool on) {
    note(node, on ? "power on" : "power off");
    nodes_[node]->power(on);
}

void Cluster::daemon(NodeId node, bool on) {
    if (!nodes_[node]->on_)
        return;
    note(node, on ? "daemon on" : "daemon off");
    nodes_[node]->daemon(on);
}

void Cluster::all_power_off() {
    note(no_node, "all power is lost");
    for (auto& node : nodes_)
        if (node->on_)
            node->power(false);
}

void Cluster::cut(NodeId from, NodeId to, bool on) {
    note(from, std::string(on ? "cut" : "heal") + " towards " + std::to_string(to));
    if (on)
        cuts_.insert({from, to});
    else
        cuts_.erase({from, to});
}

void Cluster::cut_both(NodeId a, NodeId b, bool on) {
    cut(a, b, on);
    cut(b, a, on);
}

void Cluster::heal() {
    cuts_.clear();
    for (auto& node : nodes_) {
        if (!node->on_)
            node->power(true);
        node->daemon(true);
    }
}

void Cluster::jump_wall(NodeId node, std::int64_t ms) {
    nodes_[node]->wall_jump_ += ms;
}

Disk Cluster::replace_disk(NodeId node) {
    Disk fresh;
    fresh.volatile_cache = recipe_.volatile_caches;
    return std::exchange(nodes_[node]->disk_, fresh);
}

void Cluster::put_disk(NodeId node, const Disk& disk) {
    nodes_[node]->disk_ = disk;
}

void Cluster::swap_disk() {
    swapped_ = true;
    power(swapped_node, false);
    Disk other = replace_disk(swapped_node);
    if (shelf_)
        put_disk(swapped_node, *shelf_);
    shelf_ = std::move(other);
    power(swapped_node, true);
}

void Cluster::lose_votes(NodeId node) {
    nodes_[node]->disk_.vote.clear();
}

void Cluster::disk_fails_votes(NodeId node, bool on) {
    nodes_[node]->votes_fail_ = on;
}

void Cluster::random_command(NodeId node) {
    Node& host = *nodes_[node];
    if (!host.daemon_ || !host.kernel_)
        return;
    const std::uint64_t what = pick(10);
    if (what < 6) {
        host.kernel_->open(true);
        command(node, {.verb = Verb::promote});
    } else if (what < 8) {
        host.kernel_->open(false);
        command(node, {.verb = Verb::demote, .force = pick(4) == 0});
    } else {
        const auto to = static_cast<NodeId>(pick(nodes_.size()));
        if (to == node || !nodes_[to]->kernel_)
            return;
        nodes_[to]->kernel_->open(true);
        command(node, {.verb = Verb::migrate, .node = to, .deadline_ms = 5000});
    }
}

void Cluster::mishap() {
    const auto node = static_cast<NodeId>(pick(nodes_.size()));
    const auto other = static_cast<NodeId>(pick(nodes_.size()));
    const std::uint64_t what = pick(100);
    is_swapped(swapped_node);
    if (what < 2 && nodes_.size() > 2)
        swap_disk();
    else if (what < 14)
        power(node, false);
    else if (what < 34)
        power(node, true);
    else if (what < 40)
        daemon(node, false);
    else if (what < 48)
        daemon(node, true);
    else if (what < 54 && node != other)
        cut_both(node, other, true);
    else if (what < 60 && node != other)
        cut(node, other, true);
    else if (what < 70)
        cuts_.clear();
    else if (what < 72)
        all_power_off();
    else if (what < 76)
        jump_wall(node, static_cast<std::int64_t>(pick(600000)) - 300000);
    else if (what < 80)
        heal();
    else
        random_command(node);
}

// ---- what is seen ----

bool Cluster::up(NodeId node) const {
    return nodes_[node]->daemon_;
}
const Member& Cluster::member(NodeId node) const {
    return *nodes_[node]->member_;
}
const Kernel& Cluster::kernel(NodeId node) const {
    return *nodes_[node]->kernel_;
}
Disk& Cluster::disk(NodeId node) {
    return nodes_[node]->disk_;
}
std::optional<membership::Reply> Cluster::reply(NodeId node) const {
    return nodes_[node]->reply_;
}

NodeId Cluster::serving() const {
    for (const auto& node : nodes_)
        if (node->kernel_ && node->kernel_->service() == Service::serving)
            return node->id_;
    return no_node;
}

bool Cluster::can_promote(NodeId node) const {
    return nodes_[node]->kernel_ != nullptr;
}

void Cluster::open(NodeId node) {
    nodes_[node]->kernel_->open(true);
}

void Cluster::open_when_writer(NodeId node) {
    nodes_[node]->kernel_->open_when_writer();
}

void Cluster::close(NodeId node) {
    nodes_[node]->kernel_->open(false);
}

bool Cluster::all_in_sync() const {
    const Value* value = latest();
    if (value == nullptr)
        return false;
    for (const auto& node : nodes_) {
        const membership::Seat* seat = value->seat(node->id_);
        if (seat == nullptr || (seat->role != Role::diskless && seat->voter == 0))
            return false;
        if (seat->role == Role::diskful &&
            (!node->kernel_ || seat->instance != node->kernel_->view().instance))
            return false;
    }
    return true;
}

void Cluster::fenced(NodeId by, NodeId node, bool ok) {
    std::erase(fences_, node);
    nodes_[by]->give(membership::Fenced{.node = node, .ok = ok});
}

std::string Cluster::describe() const {
    std::string text = violation_ + "\n";
    for (const auto& node : nodes_) {
        text += "node " + std::to_string(node->id_) + ":";
        if (!node->on_)
            text += " off";
        if (node->kernel_) {
            const KernelView view = node->kernel_->view();
            text += " service " + std::to_string(static_cast<int>(view.service)) +
                    " kernel epoch " + std::to_string(view.adopted ? view.adopted->epoch : 0) +
                    (view.suspect ? " suspect" : "") + (view.done ? " done" : "") + " links";
            for (const auto& [peer, link] : view.peers)
                if (link.connected)
                    text += " " + std::to_string(peer) + "(" + std::to_string(link.epoch) + "," +
                            std::to_string(static_cast<int>(link.sync)) + ")";
        }
        if (node->member_) {
            const auto why = node->member_->explain();
            text += " | epoch " + std::to_string(why.epoch) + " writer " +
                    std::to_string(why.writer) + " promotion: " + why.promotion_text +
                    " held: " + why.held_text + " in sync";
            for (const auto& member : why.members)
                text += " " + std::to_string(member.seat.node) +
                        (member.seat.instance != 0 ? "+" : "-") +
                        (member.seat.voter != 0 ? "v" : "");
        }
        text += "\n";
    }
    // The end of the trace, if there is one.
    for (std::size_t i = trace_.size() > 6000 ? trace_.size() - 6000 : 0; i < trace_.size(); i++)
        text += trace_[i] + "\n";
    return text;
}

}  // namespace braid::sim
