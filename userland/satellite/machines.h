// SPDX-License-Identifier: GPL-2.0-or-later
//
// The virtual machines of a node's resources: tells each what happens, and does what it says
// (../machine). libvirt is asked through braid-vmd; a machine's process is held and killed here.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/model.h"
#include "machine/machine.h"
#include "membership/member.h"
#include "satellite/vmd_link.h"
#include "sys/kernel_state.h"
#include "sys/qemu_process.h"

namespace braid::satellite {

/// What a machine is told of its resource. `age_ms`: since `seen` was taken. Of peers in `up` the
/// daemon is connected.
[[nodiscard]] machine::View machine_view(const membership::Member* member,
                                         const sys::ResourceView& seen, std::int64_t age_ms,
                                         bool drained, const std::set<membership::NodeId>& up);

[[nodiscard]] machine::Policy machine_policy(const std::string& host,
                                             const config::NodeResource& resource);

/// What braid-vmd is told to make a domain of.
[[nodiscard]] nlohmann::json machine_spec(const config::NodeResource& resource);

class Machines {
  public:
    using Answered = std::function<void(bool ok, const std::string& text)>;

    struct Environment {
        sys::EventLoop& loop;
        std::function<std::int64_t()> now_ms;
        std::function<void(bool warning, const std::string& resource, const std::string& text)>
            journal;
        /// A command of the membership; `done` is called once.
        std::function<void(const std::string& resource, const membership::Command& command,
                           Answered done)>
            command;
        /// The module is looked at anew, and look() called.
        std::function<void(const std::string& resource)> look;
        std::function<machine::View(const std::string& resource)> view;
        std::function<void(const std::string& resource, std::uint64_t grant)> ask_token;
        std::function<void(const std::string& resource, membership::NodeId to,
                           const std::string& text)>
            tell;
        std::function<void(const std::string& resource)> gave_up;
    };
    struct Settings {
        std::string host{};
        std::string state{};   ///< directory of what people want
        std::string vmd{};     ///< the program
        std::string socket{};  ///< for it
        std::string run = sys::qemu_run_directory;
    };

    Machines(Environment environment, Settings settings)
        : env_(std::move(environment)), settings_(std::move(settings)) {}
    ~Machines();
    Machines(const Machines&) = delete;
    Machines& operator=(const Machines&) = delete;

    void configure(const std::vector<config::NodeResource>& resources);
    /// Something about the resource may have changed.
    void look(const std::string& resource);
    void peer_found(const std::string& resource, membership::NodeId node);
    void peer_lost(const std::string& resource, membership::NodeId node);
    void peer_said(const std::string& resource, membership::NodeId node, std::string_view text);
    /// `done` is called once, perhaps at once.
    void command(const std::string& resource, machine::Order order, membership::NodeId node,
                 Answered done);
    [[nodiscard]] bool has(const std::string& resource) const { return all_.contains(resource); }
    /// For braidadm; null where there is no machine.
    [[nodiscard]] nlohmann::json show(const std::string& resource) const;

  private:
    struct Entry {
        Entry(sys::EventLoop& loop, config::NodeResource resource, machine::Machine made)
            : configured(std::move(resource)), machine(std::move(made)), timer(loop) {}

        config::NodeResource configured;
        machine::Machine machine;
        sys::Timer timer;
        sys::Fd process{};
        std::deque<machine::Event> events{};
        bool working = false;
        bool moving = false;
        machine::Seen seen{};
        std::int64_t asked_progress = 0;
        std::uint64_t done = 0;
        std::uint64_t total = 0;
        std::map<std::uint64_t, Answered> waiting{};
    };

    [[nodiscard]] Entry* find(const std::string& name);
    void give(const std::string& name, machine::Event event);
    void work(const std::string& name, Entry& entry);
    void look_at_process(const std::string& name, Entry& entry);
    void forget_process(Entry& entry);
    void tick(const std::string& name);
    void said(const nlohmann::json& message);
    void vmd_down(const std::string& why);
    void ask_vmd(const std::string& name, nlohmann::json request, machine::Operation operation);
    [[nodiscard]] std::string record_file(const std::string& name) const;
    [[nodiscard]] machine::Record stored(const std::string& name);
    [[nodiscard]] std::string uri_of(const Entry& entry, membership::NodeId to) const;
    void member_command(const std::string& name, membership::Verb verb, bool force,
                        membership::NodeId node, machine::Operation operation);

    void act(const std::string& name, Entry& entry, const machine::Promote& action);
    void act(const std::string& name, Entry& entry, const machine::Demote& action);
    void act(const std::string& name, Entry& entry, const machine::Launch& action);
    void act(const std::string& name, Entry& entry, const machine::Shutdown& action);
    void act(const std::string& name, Entry& entry, const machine::Kill& action);
    void act(const std::string& name, Entry& entry, const machine::Resume& action);
    void act(const std::string& name, Entry& entry, const machine::Grant& action);
    void act(const std::string& name, Entry& entry, const machine::WithdrawGrant& action);
    void act(const std::string& name, Entry& entry, const machine::Move& action);
    void act(const std::string& name, Entry& entry, const machine::AbortMove& action);
    void act(const std::string& name, Entry& entry, const machine::AskToken& action);
    void act(const std::string& name, Entry& entry, const machine::Look& action);
    void act(const std::string& name, Entry& entry, const machine::Store& action);
    void act(const std::string& name, Entry& entry, const machine::Tell& action);
    void act(const std::string& name, Entry& entry, const machine::Reply& action);
    void act(const std::string& name, Entry& entry, const machine::Journal& action);
    void act(const std::string& name, Entry& entry, const machine::GaveUp& action);
    void act(const std::string& name, Entry& entry, const machine::SetTimer& action);

    Environment env_;
    Settings settings_;
    std::map<std::string, std::unique_ptr<Entry>> all_;
    std::unique_ptr<VmdLink> vmd_;
    std::string vmd_why_;
    std::uint64_t next_command_ = 0;
};

}  // namespace braid::satellite
