// SPDX-License-Identifier: GPL-2.0-or-later
//
// A cluster in one process, deterministic from a seed: on each host the real membership code, a
// modelled kernel and satellite; a network that loses, doubles, delays and cuts; crashes of
// daemons, hosts and of everything; and a checker of the promises that looks at every step.
#pragma once

#include <memory>
#include <random>

#include "kernel.h"
#include "membership/explain.h"
#include "membership/member.h"

namespace braid::sim {

struct Recipe {
    std::uint64_t seed = 1;
    /// By node id.
    std::vector<membership::Role> roles{};
    bool volatile_caches = true;
    /// Loss, doubling and reordering of what members say, in percent.
    unsigned loss = 3;
    KernelBugs bugs{};
    membership::Options options{};
    bool tracing = false;
    /// Forced promotions are part of it: lineages may part.
    bool may_fork = false;
};

class Cluster {
  public:
    explicit Cluster(const Recipe& recipe);
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;
    ~Cluster();

    // what happens to it
    void run(std::int64_t ms);
    /// Until a condition holds or so many ms have passed.
    bool run_until(std::int64_t ms, const std::function<bool()>& condition);
    void initialise(NodeId node, bool equal);
    void command(NodeId node, membership::Command command);
    /// Forgotten when the daemon ends: what keeps it is outside of membership/.
    void drain(NodeId node, bool on);
    void power(NodeId node, bool on);
    void daemon(NodeId node, bool on);
    void all_power_off();
    /// Packets from one node to another vanish.
    void cut(NodeId from, NodeId to, bool on);
    void cut_both(NodeId a, NodeId b, bool on);
    void heal();
    void jump_wall(NodeId node, std::int64_t ms);
    /// By a blank one, while the node is off; the old one, for put_disk().
    Disk replace_disk(NodeId node);
    void put_disk(NodeId node, const Disk& disk);
    /// Of one and the same host: by a blank one, then by the one of before, and so on.
    void swap_disk();
    /// One random misfortune, or a command.
    void mishap();
    /// An application on each host that has the device open, every few ms.
    void applications(bool on) { applications_ = on; }
    void lose_votes(NodeId node);
    void disk_fails_votes(NodeId node, bool on);

    // what is seen
    [[nodiscard]] const std::string& violation() const { return violation_; }
    void violate(const std::string& what);
    [[nodiscard]] bool up(NodeId node) const;
    [[nodiscard]] const membership::Member& member(NodeId node) const;
    [[nodiscard]] const Kernel& kernel(NodeId node) const;
    [[nodiscard]] Disk& disk(NodeId node);
    [[nodiscard]] NodeId serving() const;
    /// It has a kernel, and no other node is the writer that is asked for.
    [[nodiscard]] bool can_promote(NodeId node) const;
    void open(NodeId node);
    void open_when_writer(NodeId node);
    void close(NodeId node);
    [[nodiscard]] bool all_in_sync() const;
    [[nodiscard]] std::size_t size() const { return nodes_.size(); }
    [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
    [[nodiscard]] std::optional<membership::Reply> reply(NodeId node) const;
    [[nodiscard]] std::string describe() const;
    [[nodiscard]] std::vector<NodeId> fence_requests() const { return fences_; }
    void fenced(NodeId by, NodeId node, bool ok);
    [[nodiscard]] const std::vector<std::string>& trace() const { return trace_; }
    bool is_swapped(NodeId node);
    void relax();
    std::uint64_t random() { return random_(); }
    std::uint64_t pick(std::uint64_t n) { return random_() % n; }

  private:
    class Node;
    friend class Node;

    void at(std::int64_t ms, std::function<void()> what);
    void note(NodeId node, const std::string& text);
    void connect_all();
    void apply_load();
    void check_equal();
    void lost_caches(NodeId node);
    void on_begins(const Config& config);
    [[nodiscard]] bool is_early(const Config& config, int block, int version) const;
    void on_acknowledged(NodeId node, const Config& config, int block, int version);
    void on_returned(NodeId node, const Config& config, int block, int version);
    void random_command(NodeId node);
    void seen(const Config& config, int block, int version);
    [[nodiscard]] bool is_cut(NodeId from, NodeId to) const;
    [[nodiscard]] const membership::Value* latest() const;

    Recipe recipe_;
    std::mt19937_64 random_;
    std::int64_t now_ = 1000;
    std::uint64_t order_ = 0;
    std::map<std::pair<std::int64_t, std::uint64_t>, std::function<void()>> queue_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::set<std::pair<NodeId, NodeId>> cuts_;
    static constexpr NodeId swapped_node = 1;
    /// No answer is longer on its way.
    static constexpr std::int64_t answer_ms = 10;
    std::optional<Disk> shelf_{};
    bool swapped_ = false;
    std::uint64_t sessions_ = 0;
    std::uint64_t commands_ = 0;
    bool applications_ = true;
    int versions_ = 0;
    std::uint64_t acknowledged_ = 0;
    std::vector<NodeId> fences_;

    // the checker
    std::vector<int> floor_ = std::vector<int>(blocks, 0);
    /// When what is only in caches was last allowed to be lost.
    std::int64_t relaxed_ = -answer_ms - 1;
    std::vector<int> durable_ = std::vector<int>(blocks, 0);
    std::map<Lineage, std::uint64_t> written_in_;
    /// What the replicas in sync held when a writer began to serve, by its configuration.
    std::map<std::pair<Lineage, std::uint64_t>, std::vector<int>> began_;
    std::map<std::pair<Lineage, std::uint64_t>, std::uint64_t> chosen_;
    std::string violation_;
    std::vector<std::string> trace_;
};

}  // namespace braid::sim
