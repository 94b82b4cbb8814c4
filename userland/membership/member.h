// SPDX-License-Identifier: GPL-2.0-or-later
//
// A member of a resource: decides, with the other members, what its kernel is told. See README.md.
#pragma once

#include <set>

#include "membership/acceptor.h"
#include "membership/fork.h"
#include "membership/io.h"
#include "membership/proposer.h"

namespace braid::membership {

struct Explanation;

class Member {
  public:
    /// `stored` is the vote as it was stored last, empty if there is none. Without `voter` the node
    /// is diskless, and has none. What the first events are is open: kernel, peers, a timer.
    Member(NodeId self, bool voter, const Options& options, const Bytes& stored,
           const Moment& moment);

    /// What is to be done now, in this order. Never fails: what cannot be is journaled.
    [[nodiscard]] std::vector<Action> handle(const Moment& moment, const Event& event);

    /// Why things are as they are: explain.h.
    [[nodiscard]] Explanation explain() const;

    /// The last value that is known to be chosen.
    [[nodiscard]] const std::optional<Value>& known() const { return known_; }

  private:
    enum class Want : std::uint8_t { nothing, caretaker, primary };

    struct Peer {
        bool up = false;
        std::optional<Report> report{};
    };

    /// Number of the command that a program gives by opening a device.
    static constexpr std::uint64_t opener = ~std::uint64_t{0};

    struct Pending {
        Command command;
        std::int64_t since_ms = 0;
        /// Of a migration: it was granted.
        bool begun = false;
    };

    struct Fork {
        Value value;
        Kinship kinship;
    };

    // member.cpp: events, what is learned, what is told
    void on(const KernelView& view);
    void on(const KernelRefused& refused);
    void on(const PeerUp& peer);
    void on(const PeerDown& peer);
    void on(const PeerBytes& peer);
    void on(const VoteStored& vote);
    void on(const TimerExpired& timer);
    void on(const Drained& drained);
    void on(const Fenced& fenced);
    void on(const Command& command);
    void on_message(NodeId from, const Message& message);
    void on_report(NodeId from, const Report& said);
    void step();
    void meet(NodeId from, const Value& value);
    void learn(const Value& chosen);
    void follow(const Value& chosen);
    void tell_kernel();
    void report_changes();
    void arm_timer();
    void flush();
    [[nodiscard]] Report report() const;
    [[nodiscard]] bool unstored() const { return known_ && begun_ == known_->lineage; }
    void send(NodeId to, const Message& message);
    void tell_all(const Message& message);
    void journal(std::string text, bool warning = false);
    /// For messages.
    [[nodiscard]] std::string name(NodeId node) const;
    void act(Action action) { actions_.push_back(std::move(action)); }
    [[nodiscard]] std::uint64_t draw();
    /// Whether something that is told or asked again may be now: at most once per retry_ms.
    [[nodiscard]] bool again(const std::string& what);
    [[nodiscard]] bool unsettled();

    // round.cpp: the register
    void drive_register();
    void went(Proposer::Step step);
    void propose();
    void back_off();
    [[nodiscard]] std::optional<Value> basis() const;
    [[nodiscard]] bool behind() const;
    [[nodiscard]] std::optional<Value> decide(const Value& value);
    [[nodiscard]] bool takes_back(const Value& value, const Seat& seat) const;
    [[nodiscard]] bool decide_restored(Value& next) const;
    void decide_office(Value& next);
    void decide_replicas(Value& next);
    void decide_grant(Value& next, const Value& value);
    void decide_seats(Value& next);
    void decide_voters(Value& next, const Value& value);
    [[nodiscard]] bool coordinates(const Value& value) const;

    // office.cpp: promotion, demotion, serving
    [[nodiscard]] bool is_active() const;
    [[nodiscard]] bool serves() const;
    [[nodiscard]] bool adopted(const Value& value) const;
    [[nodiscard]] bool holds(const Value& value) const;
    [[nodiscard]] std::map<NodeId, Replica> replicas() const;
    [[nodiscard]] bool reached(NodeId node) const;
    [[nodiscard]] bool writer_is_active(const Value& value) const;
    bool writer_begins(const Value& value);
    void drive_office();
    void drive_serve();
    void drive_caretaker();
    void watch_adoption();
    void watch_loss();
    [[nodiscard]] bool replicas_differ() const;
    [[nodiscard]] bool needs_caretaker() const;
    [[nodiscard]] bool peer_wants() const;
    [[nodiscard]] Cause may_force() const;
    void force(const std::string& why);
    void maybe_fence();

    // duty.cpp: what the writer does for replicas and migrations
    [[nodiscard]] bool lost(const Seat& seat) const;
    [[nodiscard]] SyncState sync_of(NodeId node) const;
    void drive_syncs();
    void drive_migration();

    // command.cpp
    void drive_commands();
    void answer(const Command& command, Reply reply);
    void drive_openers();
    [[nodiscard]] std::optional<Reply> progress(Pending& pending);
    [[nodiscard]] std::optional<Reply> begin_command(const Command& command);
    [[nodiscard]] std::optional<Reply> progress_initialise() const;
    [[nodiscard]] std::optional<Reply> progress_promote(Pending& pending);
    [[nodiscard]] std::optional<Reply> progress_demote(const Pending& pending);
    [[nodiscard]] std::optional<Reply> progress_migrate(const Pending& pending);
    [[nodiscard]] std::optional<Reply> initialise(const Command& command);
    [[nodiscard]] Cause check_edit(const Command& command) const;
    [[nodiscard]] bool edited(const Command& command, const Value& value) const;
    [[nodiscard]] Plan obstacle() const;
    [[nodiscard]] bool shown_for_lineage(NodeId node, const Value& value) const;
    [[nodiscard]] Reply refusal(Cause cause, std::vector<NodeId> nodes = {}) const;

    NodeId self_;
    Options options_;
    std::optional<Acceptor> acceptor_;
    Proposer proposer_;
    std::optional<Value> known_;
    KernelView kernel_;
    bool kernel_seen_ = false;
    std::map<NodeId, Peer> peers_;
    std::map<NodeId, Fork> forks_;
    std::vector<Pending> commands_;

    Want want_ = Want::nothing;
    /// Whether want_ was taken over from what the kernel was doing when this program started.
    bool took_over_ = false;
    /// Primary until its devices are closed: some program opened one, nobody said so.
    bool automatic_ = false;
    /// Those that the kernel's last view shows.
    bool refused_openers_ = false;
    bool force_demote_ = false;
    /// Epoch in which this node was last promoted, since this program runs.
    std::uint64_t elected_ = 0;
    /// A lineage that was begun here and whose first vote is not durable: nobody is told of it.
    std::optional<Lineage> begun_;
    /// Why the last attempt to promote did not succeed.
    Plan refused_;
    /// The epoch of another node that was elected and has yet to begin; since when that is seen.
    std::uint64_t begins_epoch_ = 0;
    std::int64_t begins_since_ = 0;
    /// Members that did not adopt in time, and the epoch.
    std::map<NodeId, std::uint64_t> late_;
    /// Since when a caretaker is needed; when the own kernel adopted known_; when only suspect
    /// replicas were reached. 0: not.
    std::int64_t needed_since_ = 0;
    std::int64_t adopted_since_ = 0;
    std::int64_t suspect_since_ = 0;
    std::uint64_t adopted_epoch_ = 0;
    /// Instances of the replicas whose join was announced to the kernel.
    struct Joining {
        Instance instance = 0;
        /// In which it was announced: the kernel ends it once it has adopted a later one.
        std::uint64_t epoch = 0;
    };
    std::map<NodeId, Joining> joining_;
    NodeId fencing_ = no_node;
    bool fence_failed_ = false;
    bool withdraw_ = false;
    std::int64_t handed_since_ = 0;
    std::string kernel_refusal_;

    /// The round: since when, and not before.
    std::int64_t round_since_ = 0;
    std::int64_t round_after_ = 0;
    std::uint32_t conflicts_ = 0;
    std::map<std::string, std::int64_t> told_;

    std::uint64_t run_ = 0;
    std::uint64_t sequence_ = 0;
    Moment moment_;
    std::optional<Report> reported_;
    std::vector<Action> actions_;
};

}  // namespace braid::membership
