// SPDX-License-Identifier: GPL-2.0-or-later
//
// A model of braid.ko on one host: what kernel/config.c, sync.c, replica.c and migrate.c enforce,
// at the level of a few blocks whose content is a version number. Its disk has a volatile cache.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "membership/io.h"

namespace braid::sim {

using membership::Adopted;
using membership::Instance;
using membership::KernelView;
using membership::Lineage;
using membership::no_node;
using membership::NodeId;
using membership::Service;
using membership::Stage;
using membership::SyncState;

inline constexpr int blocks = 4;
using Blocks = std::set<int>;
using Nodes = std::set<NodeId>;

inline void add(Blocks& to, const Blocks& from) {
    to.insert(from.begin(), from.end());
}

inline Blocks all_blocks() {
    Blocks all;
    for (int block = 0; block < blocks; block++)
        all.insert(block);
    return all;
}

/// When a replica was last in sync.
struct Stamp {
    std::uint64_t epoch = 0;
    std::uint64_t id = 0;
    Instance instance = 0;
    bool operator==(const Stamp&) const = default;
};

struct Config {
    Adopted adopted{};
    Nodes diskful{};
    [[nodiscard]] bool in_sync(NodeId node) const { return adopted.in_sync.count(node) != 0; }
    [[nodiscard]] bool is(const Config& other) const {
        return adopted.lineage == other.adopted.lineage && adopted.epoch == other.adopted.epoch &&
               adopted.id == other.adopted.id;
    }
};

struct DirtyMap {
    Stamp base{};
    Blocks marked{};
};

/// What survives a loss of power, but for the cache.
struct Disk {
    bool present = true;
    bool volatile_cache = true;
    std::vector<int> durable = std::vector<int>(blocks, 0);
    std::map<int, int> cache{};
    std::optional<Config> config{};
    Stamp last{};
    std::map<NodeId, DirtyMap> dirty{};
    Blocks own_marks{};
    Blocks log{};
    bool in_use = false;
    bool suspect = false;
    bool inconsistent = false;
    membership::Bytes vote{};

    [[nodiscard]] int view(int block) const {
        const auto at = cache.find(block);
        return at == cache.end() ? durable[static_cast<std::size_t>(block)] : at->second;
    }
    void flush() {
        for (const auto& [block, version] : cache)
            durable[static_cast<std::size_t>(block)] = version;
        cache.clear();
    }
};

/// STATE of kernel/core/messages.h.
struct State {
    Lineage lineage{};
    std::uint64_t epoch = 0;
    std::uint64_t id = 0;
    NodeId writer = no_node;
    Instance instance = 0;
    Stamp last{};
    bool suspect = false;
    bool done = false;
    bool diskful = false;
};

enum class Type : std::uint8_t {
    state,
    ping,
    pong,
    write,
    flush,
    read,
    marks,
    dirty,
    settle,
    stable,
    token,
    reply
};

enum class Status : std::uint8_t { ok, other_epoch, no_disk, range };

struct Packet {
    Type type = Type::state;
    std::uint64_t tag = 0;
    std::uint64_t epoch = 0;
    std::uint64_t id = 0;
    int block = 0;
    int version = 0;
    bool resync = false;
    NodeId about = no_node;
    Instance instance = 0;
    std::int64_t time = 0;
    bool lease = false;
    std::uint64_t grant = 0;
    bool withdrawn = false;
    State state{};
    Status status = Status::ok;
    Blocks marked{};
    std::vector<int> versions{};
};

/// Bugs that only a kernel can have, for the mutants.
struct KernelBugs {
    bool adopts_late = false;    ///< takes data of an epoch that it has not adopted (R2)
    bool takes_stale = false;    ///< takes data of an older epoch (R2)
    bool ignores_lease = false;  ///< adopts a new writer at once, and reads without a lease (R7)
    bool forgets_own = false;    ///< a joiner's own marks are not copied (R6a)
    bool gives_up_join = false;  ///< a join that takes long is forgotten (R6b)
    bool keeps_base = false;     ///< a map goes on naming a disk while another is resynced (R6a)
    bool drops_at_once = false;  ///< a dropped member holds up nothing from its adoption on (R3a)
    bool links_dropped = false;  ///< one that still holds up writes becomes a target of them (R3a)
};

/// What the host around it gives.
class Host {
  public:
    Host() = default;
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;
    virtual ~Host() = default;
    virtual void transmit(NodeId to, std::uint64_t session, Packet packet) = 0;
    /// Runs `what` in so many ms unless the host dies before.
    virtual void later(std::int64_t ms, std::function<void()> what) = 0;
    /// CLOCK_BOOTTIME of this host.
    [[nodiscard]] virtual std::int64_t clock() const = 0;
    virtual std::uint64_t random() = 0;
    virtual void changed() = 0;
    virtual void acknowledged(const Config& config, int block, int version) = 0;
    virtual void returned(const Config& config, int block, int version) = 0;
    virtual void made_durable(const std::vector<int>& versions) = 0;
    /// It is about to serve for the first time in this configuration, with equal replicas.
    virtual void begins(const Config& config) = 0;
    virtual void note(const std::string& text) = 0;
};

// There is one for each node: its padding does not matter.
class Kernel {  // NOLINT(clang-analyzer-optin.performance.Padding)
  public:
    Kernel(Host& host, NodeId self, Disk& disk, const Nodes& peers, std::int64_t lease_ms,
           const KernelBugs& bugs);

    // netlink; an empty string is success
    std::string configure(const Config& config, std::optional<std::uint64_t> common);
    std::string serve(std::uint64_t epoch, NodeId reference);
    std::string demote(bool force);
    std::string sync_start(NodeId node);
    std::string sync_join(NodeId node);
    std::string migrate(std::uint64_t epoch, NodeId target, std::uint64_t grant, std::int64_t ms);
    std::string migrate_end(std::uint64_t grant);
    void refuse_opens();
    [[nodiscard]] KernelView view() const;

    // the application
    void open(bool on);
    [[nodiscard]] bool is_open() const { return open_; }
    /// For writing, once this node is the writer.
    void open_when_writer();
    [[nodiscard]] bool waits_to_open() const { return waits_to_open_; }
    void app_write(int block, int version);
    void app_read(int block);
    void app_flush();
    [[nodiscard]] bool idle() const { return writes_.empty() && !flushing_; }

    // the network
    void connect(NodeId node, std::uint64_t session);
    void disconnect(NodeId node);
    [[nodiscard]] std::uint64_t session(NodeId node) const;
    void receive(NodeId from, std::uint64_t session, const Packet& packet);

    /// Each 100 ms: pings, silence, what waits for time.
    void tick();

    [[nodiscard]] const std::optional<Config>& config() const { return config_; }
    [[nodiscard]] Service service() const;
    [[nodiscard]] bool is_ready(NodeId node) const;
    [[nodiscard]] bool adopting() const { return adopting_; }
    [[nodiscard]] bool busy_disk() const { return peer_io_ > 0; }

  private:
    using Done = std::function<void(const Packet*)>;

    struct Peer {
        std::uint64_t session = 0;
        bool greeting = false;
        bool known = false;
        State remote{};
        std::int64_t heard = 0;
        std::int64_t lease_until = 0;
        std::uint64_t lease_epoch = 0;
        int io = 0;
        std::map<std::uint64_t, Done> waiting{};
    };

    struct Write {
        int version = 0;
        Nodes acknowledged{};
        std::map<NodeId, std::pair<std::uint64_t, std::uint64_t>> sent{};  ///< epoch, session
    };

    struct Sync {
        SyncState state = SyncState::none;
        Instance instance = 0;
        std::uint64_t join_epoch = 0;
        std::uint64_t run = 0;
        Blocks left{};
        std::int64_t joined_ms = 0;
    };

    [[nodiscard]] Nodes required() const;
    [[nodiscard]] Nodes absent() const;
    [[nodiscard]] bool self_in_sync() const;
    [[nodiscard]] bool lease_valid() const;
    [[nodiscard]] bool is_writer() const;
    [[nodiscard]] bool serves() const;
    [[nodiscard]] State state() const;
    [[nodiscard]] Instance instance_of(NodeId node) const;
    void announce();
    void send(NodeId to, const Packet& packet);
    void request(NodeId to, Packet packet, Done done);
    void answer(NodeId to, std::uint64_t session, const Packet& request, Packet reply);
    void handle_request(NodeId from, std::uint64_t session, const Packet& packet);
    void local_write(int block, int version, const Nodes& missing, bool resync,
                     std::function<void()> done);
    void begin_io(NodeId from);
    void end_io(NodeId from);
    void push();
    void push_write(int block);
    void check_write(int block);
    void release_dropped();
    void flush_done(std::vector<int> versions, const Nodes& waiting);
    void stable(const std::vector<int>& versions);
    void adopt();
    void drop(const Config& old, const Config& next);
    void adopt_disk(const Config& old, const Config& next, bool had);
    [[nodiscard]] bool confirmed(const Config& old) const;
    void fold(const Nodes& lost, bool own);
    void fail_io();
    void check_syncs();
    void abort_sync(NodeId node);
    std::string may_sync(NodeId node);
    void sync_copy(NodeId node, std::uint64_t run);
    void sync_end(NodeId node, std::uint64_t run, bool good);
    [[nodiscard]] Blocks own_marks() const;
    [[nodiscard]] int source_for(NodeId except) const;
    void settle();
    void reconcile(std::uint64_t epoch);
    void reconcile_end(std::uint64_t run, bool good);
    void collect(std::uint64_t run, Nodes left, Blocks found);
    void copy_all(std::uint64_t run, Blocks left);
    void close_reconcile(std::uint64_t run);
    void run_each(const Nodes& nodes, Packet packet, std::function<void(bool)> done);
    void drain();
    void migrate_adopt(const Config& next);
    void to_stage(Stage stage);

    Host& host_;
    NodeId self_;
    Disk& disk_;
    std::int64_t lease_ms_;
    const KernelBugs& bugs_;
    std::map<NodeId, Peer> peers_;
    std::optional<Config> config_;
    /// When this node was last in sync; a disk with another stamp is another one.
    Stamp last_{};
    /// Of `next_`: see struct braid_adopted.
    std::uint64_t common_ = 0;
    std::optional<Config> next_;
    bool adopting_ = false;
    int peer_io_ = 0;
    int own_io_ = 0;
    Instance instance_ = 0;
    Instance writer_instance_ = 0;
    Nodes linked_;
    /// In sync until this writer adopted the configuration; what waits for them does so for now.
    Nodes dropped_;
    std::uint64_t serve_epoch_ = 0;
    std::uint64_t done_epoch_ = 0;
    bool reconciling_ = false;
    std::uint64_t reconcile_run_ = 0;
    NodeId reference_ = no_node;
    bool draining_ = false;
    bool failing_ = false;
    bool flushing_ = false;
    std::uint64_t flush_run_ = 0;
    bool open_ = false;
    bool waits_to_open_ = false;
    std::int64_t grant_until_ = 0;
    Blocks unstable_;
    std::map<int, Write> writes_;
    /// Version of the last write that was begun.
    std::map<int, int> begun_;
    Blocks locked_;
    std::map<NodeId, Sync> syncs_;
    Stage stage_ = Stage::none;
    NodeId from_ = no_node;
    NodeId to_ = no_node;
    std::uint64_t grant_ = 0;
    std::int64_t deadline_ = 0;
    std::uint64_t tags_ = 0;
    Service said_ = Service::secondary;
};

}  // namespace braid::sim
