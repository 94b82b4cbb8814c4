// SPDX-License-Identifier: GPL-2.0-or-later
//
// Who starts the machine: the best node claims it, by becoming the writer, and then starts it.
#include <algorithm>

#include "machine/machine.h"
#include "machine/place.h"

namespace braid::machine {

namespace {

/// A daemon that has just begun hears what others have to say first.
constexpr std::int64_t settle_ms = 3000;
/// What is to be started is waited for so long before the second best does it, and so on.
constexpr std::int64_t stagger_ms = 2000;
constexpr std::int64_t calm_ms = 300;

}  // namespace

std::map<NodeId, Offer> Machine::all_offers() const {
    auto all = offers_;
    all[self_] = offer();
    return all;
}

/// A peer on which it is; the register keeps it from being on two.
NodeId Machine::runs_elsewhere() const {
    for (const auto& [node, offer] : offers_) {
        if (offer.runs) {
            return node;
        }
    }
    return no_node;
}

/// A writer whose host anybody sees may go on without its daemon, and the machine with it.
bool Machine::writer_may_run() const {
    if (view_.writer == no_node || view_.writer == self_) {
        return false;
    }
    const auto said = offers_.find(view_.writer);
    if (said != offers_.end()) {
        return said->second.runs;
    }
    return view_.sees.count(view_.writer) != 0 ||
           std::any_of(offers_.begin(), offers_.end(), [this](const auto& each) {
               return each.second.sees.count(view_.writer) != 0;
           });
}

/// This node's place among those that could; nothing if it is not one of them.
std::optional<std::size_t> Machine::turn() const {
    const auto order = best_first(all_offers(), policy_.memory, policy_.prefer, record_);
    const auto own = std::find(order.begin(), order.end(), self_);
    return own == order.end() ? std::nullopt
                              : std::optional(static_cast<std::size_t>(own - order.begin()));
}

void Machine::claim() {
    const bool told = start_command_ != 0;
    if (!told && !policy_.ha) {
        return;
    }
    const auto place = turn();
    if (!told && (!place || !view_.promotable || writer_may_run() || now_ - begun_ < settle_ms)) {
        turn_since_ = 0;
        return;
    }
    if (turn_since_ == 0) {
        turn_since_ = now_;
    }
    const std::int64_t wait = calm_ms + stagger_ms * static_cast<std::int64_t>(place.value_or(0));
    if (!told && now_ - turn_since_ < wait) {
        return;
    }
    if (again("promote", stagger_ms)) {
        journal(told ? "this host is to become Primary and start the machine"
                     : "the machine runs nowhere: this host is to become Primary and start it");
        busy_ = Operation::promote;
        act(Promote{});
    }
}

void Machine::launch() {
    // Only by what it says itself is a machine that was deposed known to be gone earlier.
    const auto said = offers_.find(deposed_);
    if (said != offers_.end() && !said->second.runs) {
        launch_after_ = std::min(launch_after_, now_);
    }
    if (now_ < launch_after_) {
        return;
    }
    if (view_.opens > 0) {
        why_ = "a device of the resource is open by another program: close it first";
        return start_command_ != 0 ? refuse_start(why_) : void();
    }
    if (!seen_.ok) {
        why_ = "libvirt does not answer";
        if (start_command_ != 0) {
            refuse_start(why_);
        }
        if (again("libvirt", 60000)) {
            journal("the machine cannot be started: libvirt does not answer", true);
        }
        return;
    }
    busy_ = Operation::launch;
    journal("the machine is started");
    act(Launch{});
}

void Machine::drive_start() {
    if (record_.wanted != Wanted::running || here() || stop_ || out_ || in_ || leave_ ||
        ended_since_ != 0 || busy_ != Operation::none || !view_.ready) {
        return;
    }
    look_for_hopeless();
    if (runs_elsewhere() != no_node) {
        turn_since_ = 0;
        return;
    }
    if (gave_up()) {
        return;
    }
    if (view_.holds && view_.serves) {
        launch();
    } else if (!view_.holds) {
        claim();
    }
}

/// All that could have gave it up: it stays off, and somebody has to be told.
void Machine::look_for_hopeless() {
    if (hopeless_ || !gave_up() || view_.holds || runs_elsewhere() != no_node) {
        return;
    }
    const auto order = best_first(all_offers(), policy_.memory, policy_.prefer, record_);
    const bool writer = view_.writer != no_node && view_.writer != self_;
    if (!order.empty() || writer) {
        return;
    }
    hopeless_ = true;
    journal(
        "the machine is off, and every host has given it up: find out why, then 'braidadm vm "
        "start'",
        true);
    act(GaveUp{});
}

}  // namespace braid::machine
