// SPDX-License-Identifier: GPL-2.0-or-later
//
// Decides what becomes of a resource's virtual machine on this node. Pure: README.md.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "machine/message.h"
#include "membership/io.h"

namespace braid::machine {

/// Times in ms.
struct Policy {
    bool ha = true;
    std::uint32_t restarts = 3;
    std::int64_t window_ms = 600000;
    std::int64_t stop_ms = 120000;
    std::int64_t fence_ms = 2000;
    std::int64_t lease_ms = 3000;
    std::uint64_t memory = 0;
    std::vector<NodeId> prefer{};
    std::map<NodeId, std::string> names{};

    bool operator==(const Policy&) const = default;
};

// ---- events ----

/// What membership and kernel say of the resource. Taken anew whenever something changes, and at
/// each look that is asked for.
struct View {
    bool ready = false;
    /// Of the last value that is known to be chosen.
    std::uint64_t epoch = 0;
    NodeId writer = no_node;
    NodeId grant_to = no_node;
    std::uint64_t grant = 0;
    /// The kernel is the writer of its adopted configuration, and has not stopped for good.
    bool holds = false;
    /// And its service lets I/O through, be it after a while.
    bool serves = false;
    /// How long it may read: the shortest lease of the others in sync; -1: it needs none.
    std::int64_t lease_left_ms = 0;
    membership::Stage stage = membership::Stage::none;
    /// This node could become the writer now.
    bool promotable = false;
    bool data = false;
    bool drained = false;
    std::uint32_t opens = 0;
    /// Nodes whose daemon or kernel this one is connected to.
    std::set<NodeId> sees{};

    bool operator==(const View&) const = default;
};

enum class Power : std::uint8_t { off, paused, running };

/// What libvirt says: nothing (`ok` is false), or how the machine is.
struct Seen {
    bool ok = false;
    Power power = Power::off;
    std::uint64_t memory = 0;

    bool operator==(const Seen&) const = default;
};

/// Its process was found; or has ended.
struct ProcessIs {
    bool alive = false;
};

/// libvirt's reason, as in sys::DomainEnd.
struct Ended {
    std::string why{};
};

enum class Operation : std::uint8_t {
    none,
    promote,
    demote,
    launch,
    shutdown,
    resume,
    grant,
    move
};

/// What an action asked for is over.
struct Done {
    Operation operation = Operation::none;
    bool ok = true;
    std::string text{};
};

struct Heard {
    NodeId from = 0;
    Message message{};
};

/// Its daemon is there, perhaps anew.
struct PeerFound {
    NodeId node = 0;
};

struct PeerLost {
    NodeId node = 0;
};

enum class Order : std::uint8_t { define, start, stop, kill, migrate, cancel, undefine };

struct Command {
    std::uint64_t number = 0;
    Order order = Order::start;
    /// Of a migration; no_node: the best one.
    NodeId node = no_node;
};

struct Tick {};

using Event =
    std::variant<View, Seen, ProcessIs, Ended, Done, Heard, PeerFound, PeerLost, Command, Tick>;

// ---- actions ----

struct Promote {};
struct Demote {
    bool force = false;
};
struct Launch {};
struct Shutdown {};
/// By its process, without asking libvirt; or by libvirt where the process is not known.
struct Kill {};
struct Resume {};
/// Has membership grant a migration.
struct Grant {
    NodeId to = no_node;
};
struct WithdrawGrant {};
/// Has libvirt move it.
struct Move {
    NodeId to = no_node;
};
struct AbortMove {};
/// As the target: asks the source's kernel for the token of this grant.
struct AskToken {
    std::uint64_t grant = 0;
};
/// Has View and ProcessIs told anew.
struct Look {};
struct Store {
    Record record{};
};
struct Tell {
    NodeId to = no_node;
    Message message{};
};
struct Reply {
    std::uint64_t number = 0;
    bool ok = true;
    std::string text{};
};
struct Journal {
    bool warning = false;
    std::string text{};
};
/// Nobody starts it any more: people have to know.
struct GaveUp {};
/// There is one timer; a Tick follows.
struct SetTimer {
    std::int64_t after_ms = 0;
};

using Action =
    std::variant<Promote, Demote, Launch, Shutdown, Kill, Resume, Grant, WithdrawGrant, Move,
                 AbortMove, AskToken, Look, Store, Tell, Reply, Journal, GaveUp, SetTimer>;

/// For people.
struct Status {
    Wanted wanted = Wanted::undefined;
    bool able = false;
    bool here = false;
    Power power = Power::off;
    /// Where it runs; no_node: nowhere that is known.
    NodeId where = no_node;
    /// What goes on, in a word; and what failed last.
    std::string doing{};
    std::string why{};
    std::size_t restarts = 0;
    bool gave_up = false;
    NodeId migrates_to = no_node;
};

class Machine {
  public:
    /// `volumes`: whether this node has them, so that the machine could run here.
    Machine(NodeId self, bool volumes, Policy policy, const Record& record, std::int64_t now_ms);

    /// What is to be done now, in this order.
    [[nodiscard]] std::vector<Action> handle(std::int64_t now_ms, const Event& event);

    /// Another configuration; all else goes on.
    void configure(Policy policy) { policy_ = std::move(policy); }

    [[nodiscard]] Status status() const;

  private:
    enum class Phase : std::uint8_t { asking, granting, moving, ending, releasing };

    struct Out {
        NodeId to = no_node;
        std::uint64_t number = 0;
        std::uint64_t command = 0;
        Phase phase = Phase::asking;
        std::int64_t since_ms = 0;
    };
    struct In {
        NodeId from = no_node;
        std::uint64_t number = 0;
        bool granted = false;
        bool go = false;
        std::int64_t since_ms = 0;
    };
    struct Stop {
        std::uint64_t command = 0;
        bool kill = false;
        std::int64_t since_ms = 0;
    };

    // machine.cpp
    void on(const View& view);
    void on(const Seen& seen);
    void on(const ProcessIs& process);
    void on(const Ended& ended);
    void on(const Done& done);
    void on(const Heard& heard);
    void on(const PeerFound& found);
    void on(const PeerLost& lost);
    void on(const Command& command);
    void on(const Tick& tick);
    void step();
    void tell_offer();
    void arm();
    void changed_here(bool was);
    void guard();
    void kill(const std::string& why);
    void drive_stop();
    void drive_end();
    void after_crash(const std::string& why);
    void want(Wanted wanted);
    void refuse_start(const std::string& why);
    void adopt(const Record& record);
    void release();
    void answer(std::uint64_t& number, bool ok, const std::string& text);
    void journal(const std::string& text, bool warning = false);
    [[nodiscard]] bool again(const std::string& what, std::int64_t ms);
    [[nodiscard]] std::string name(NodeId node) const;
    [[nodiscard]] bool here() const { return alive_ || seen_.power != Power::off; }
    [[nodiscard]] bool may_run() const;
    [[nodiscard]] Offer offer() const;
    [[nodiscard]] bool gave_up() const { return gave_up_ != 0 && gave_up_ == record_.stamp; }

    // start.cpp
    void drive_start();
    void claim();
    void launch();
    [[nodiscard]] std::optional<std::size_t> turn() const;
    [[nodiscard]] bool writer_may_run() const;
    [[nodiscard]] NodeId runs_elsewhere() const;
    void look_for_hopeless();
    [[nodiscard]] std::map<NodeId, Offer> all_offers() const;

    // migration.cpp
    void begin_migration(const Command& command);
    void cancel_migration(const Command& command);
    void on_ready(NodeId from, const Ready& ready);
    void on_receive(NodeId from, const Receive& receive);
    void moved(const Done& done);
    void drive_out();
    void drive_in();
    void fail_out(const std::string& why);
    void act(Action action) { actions_.push_back(std::move(action)); }

    NodeId self_;
    bool volumes_;
    Policy policy_;
    Record record_;
    std::int64_t now_ = 0;
    std::int64_t begun_ = 0;
    View view_{};
    Seen seen_{};
    bool alive_ = false;
    std::map<NodeId, Offer> offers_{};
    std::optional<Offer> told_{};

    Operation busy_ = Operation::none;
    std::optional<Stop> stop_{};
    std::optional<Out> out_{};
    std::optional<In> in_{};
    std::uint64_t start_command_ = 0;
    /// Until when this node's leases let it read, as far as was looked.
    std::int64_t authority_until_ = 0;
    /// Of the last view. Clean: no machine can be left of another writer. From when on one may
    /// start here, in this node's office.
    NodeId last_writer_ = no_node;
    std::uint64_t last_epoch_ = 0;
    bool clean_ = false;
    NodeId deposed_ = no_node;
    std::int64_t launch_after_ = 0;
    std::int64_t turn_since_ = 0;
    /// It ended, and why is being waited for; or 0.
    std::int64_t ended_since_ = 0;
    std::string ended_why_{};
    bool killed_ = false;
    /// It is not to be in office any more once the machine is off.
    bool leave_ = false;
    std::deque<std::int64_t> crashes_{};
    std::uint64_t gave_up_ = 0;
    bool hopeless_ = false;
    std::string why_{};
    std::uint64_t next_number_ = 0;
    std::map<std::string, std::int64_t> said_{};
    std::vector<Action> actions_{};
};

}  // namespace braid::machine
