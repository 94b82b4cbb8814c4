// SPDX-License-Identifier: GPL-2.0-or-later
//
// Events; the rule by which it may run, and what happens when it ends.
#include "machine/machine.h"

#include <algorithm>
#include <array>
#include <utility>

namespace braid::machine {

namespace {

constexpr std::int64_t retry_ms = 500;
/// How long libvirt's reason for an end is waited for.
constexpr std::int64_t reason_ms = 2000;
/// The guest is asked again.
constexpr std::int64_t shutdown_again_ms = 10000;
/// After it ended, until this host is Secondary.
constexpr std::int64_t give_back_ms = 10000;

}  // namespace

Machine::Machine(NodeId self, bool volumes, Policy policy, const Record& record,
                 std::int64_t now_ms)
    : self_(self),
      volumes_(volumes),
      policy_(std::move(policy)),
      record_(record),
      now_(now_ms),
      begun_(now_ms),
      // One that runs since before this program is given the time to find out.
      authority_until_(now_ms + policy_.lease_ms),
      next_number_(static_cast<std::uint64_t>(now_ms)) {}

std::vector<Action> Machine::handle(std::int64_t now_ms, const Event& event) {
    now_ = now_ms;
    std::visit([this](const auto& each) { on(each); }, event);
    step();
    return std::exchange(actions_, {});
}

void Machine::step() {
    if (volumes_) {
        drive_in();
        guard();
        drive_out();
        drive_stop();
        drive_end();
        drive_start();
    }
    tell_offer();
    arm();
}

// ---- events ----

void Machine::on(const View& view) {
    if (view.ready && view.epoch != last_epoch_) {
        // No other can have been the writer in between if the epochs follow one another.
        const bool first = last_epoch_ == 0;
        const bool follows = first ? !view.holds : view.epoch == last_epoch_ + 1;
        if (view.writer != self_) {
            clean_ = view.writer == no_node;
            deposed_ = view.writer;
        } else {
            clean_ = follows && (first || clean_ || last_writer_ == self_);
        }
        last_epoch_ = view.epoch;
        last_writer_ = view.writer;
    }
    if (view.holds && view.serves && !(view_.holds && view_.serves)) {
        // Who was deposed kills its machine by itself, in so much time at the most.
        launch_after_ = clean_ ? now_ : now_ + policy_.fence_ms + retry_ms;
    }
    view_ = view;
    // No lease at all is not one that ends now.
    if (view.holds && view.lease_left_ms != 0) {
        const bool alone = view.lease_left_ms < 0;
        authority_until_ =
            std::max(authority_until_, now_ + (alone ? policy_.lease_ms : view.lease_left_ms));
    }
}

void Machine::changed_here(bool was) {
    if (was && !here()) {
        ended_since_ = now_;
    } else if (!was && here()) {
        ended_since_ = 0;
        ended_why_.clear();
    }
}

void Machine::on(const Seen& seen) {
    const bool was = here();
    // While libvirt does not answer, its last word stands only as long as the process does.
    const Power last = seen_.power;
    seen_ = seen;
    if (!seen.ok) {
        seen_.power = alive_ ? last : Power::off;
    }
    changed_here(was);
}

void Machine::on(const ProcessIs& process) {
    const bool was = here();
    alive_ = process.alive;
    if (!alive_) {
        seen_.power = Power::off;
    }
    changed_here(was);
}

void Machine::on(const Ended& ended) {
    ended_why_ = ended.why;
}

void Machine::on(const Done& done) {
    if (busy_ == done.operation) {
        busy_ = Operation::none;
    }
    switch (done.operation) {
        case Operation::launch:
            if (done.ok) {
                why_.clear();
                seen_.power = Power::running;
                changed_here(false);
                answer(start_command_, true, "");
                act(Look{});
            } else if (start_command_ != 0) {
                refuse_start(done.text);
            } else if (!here()) {
                after_crash("it cannot be started: " + done.text);
            }
            return;
        case Operation::promote:
            if (!done.ok) {
                why_ = done.text;
                turn_since_ = 0;
                if (start_command_ != 0) {
                    refuse_start(done.text);
                }
            }
            return;
        case Operation::resume:
            if (!done.ok) {
                kill("it cannot go on after its migration: " + done.text);
            }
            return;
        case Operation::grant:
        case Operation::move:
            return moved(done);
        default:
            if (!done.ok) {
                why_ = done.text;
            }
            return;
    }
}

void Machine::on(const Heard& heard) {
    if (const auto* offer = std::get_if<Offer>(&heard.message)) {
        offers_[heard.from] = *offer;
        adopt(offer->record);
        // Whose record is older is told of this one.
        if (record_.newer(offer->record) && told_) {
            act(Tell{heard.from, *told_});
        }
    } else if (const auto* receive = std::get_if<Receive>(&heard.message)) {
        on_receive(heard.from, *receive);
    } else if (const auto* ready = std::get_if<Ready>(&heard.message)) {
        on_ready(heard.from, *ready);
    } else if (const auto* go = std::get_if<Go>(&heard.message)) {
        if (in_ && in_->from == heard.from && in_->number == go->number) {
            in_->go = true;
        }
    } else if (const auto* cancel = std::get_if<Cancel>(&heard.message)) {
        if (in_ && in_->from == heard.from && in_->number == cancel->number) {
            in_.reset();
        }
    }
}

void Machine::on(const PeerFound& found) {
    if (told_) {
        act(Tell{found.node, *told_});
    }
}

void Machine::on(const PeerLost& lost) {
    offers_.erase(lost.node);
}

void Machine::on(const Tick& /*tick*/) {}

void Machine::on(const Command& command) {
    std::uint64_t number = command.number;
    if (!volumes_) {
        return answer(number, false, "this host has only a vote: no machine can run here");
    }
    switch (command.order) {
        case Order::define:
            if (record_.wanted == Wanted::undefined) {
                want(Wanted::stopped);
            }
            return answer(number, true, "");
        case Order::undefine:
            if (here() || runs_elsewhere() != no_node || record_.wanted == Wanted::running) {
                return answer(number, false, "the machine is not stopped: 'braidadm vm stop'");
            }
            want(Wanted::undefined);
            return answer(number, true, "");
        case Order::start: {
            const NodeId other = runs_elsewhere();
            if (here() || other != no_node) {
                return answer(number, here(), here() ? "" : "it runs on " + name(other));
            }
            if (stop_ || start_command_ != 0) {
                return answer(number, false, "another command is at work");
            }
            want(Wanted::running);
            crashes_.clear();
            leave_ = false;
            start_command_ = command.number;
            return;
        }
        case Order::stop:
        case Order::kill:
            if (!here() && runs_elsewhere() != no_node) {
                return answer(number, false,
                              "it runs on " + name(runs_elsewhere()) + ": do it there");
            }
            if (stop_ && command.order == Order::stop) {
                return answer(number, false, "another command is at work");
            }
            if (stop_) {
                answer(stop_->command, false, "it is killed");
            }
            answer(start_command_, false, "it is stopped");
            stop_ = Stop{command.number, command.order == Order::kill, now_};
            return;
        case Order::migrate:
            return begin_migration(command);
        case Order::cancel:
            return cancel_migration(command);
    }
}

/// What a person was told to be refused does not happen later by itself.
void Machine::refuse_start(const std::string& why) {
    why_ = why;
    answer(start_command_, false, why);
    want(Wanted::stopped);
    leave_ = view_.holds;
}

// ---- small things ----

void Machine::answer(std::uint64_t& number, bool ok, const std::string& text) {
    if (number != 0) {
        act(Reply{number, ok, text});
        number = 0;
    }
}

void Machine::journal(const std::string& text, bool warning) {
    act(Journal{warning, text});
}

bool Machine::again(const std::string& what, std::int64_t ms) {
    const auto [said, first] = said_.emplace(what, now_);
    if (!first && now_ - said->second < ms) {
        return false;
    }
    said->second = now_;
    return true;
}

std::string Machine::name(NodeId node) const {
    const auto found = policy_.names.find(node);
    return found == policy_.names.end() ? "node " + std::to_string(node) : found->second;
}

void Machine::want(Wanted wanted) {
    record_ = {wanted, record_.stamp + 1, self_};
    hopeless_ = false;
    act(Store{record_});
}

void Machine::adopt(const Record& record) {
    if (!record.newer(record_)) {
        return;
    }
    record_ = record;
    crashes_.clear();
    hopeless_ = false;
    act(Store{record_});
}

Offer Machine::offer() const {
    Offer offer{.record = record_,
                .able = volumes_ && view_.ready && seen_.ok && !view_.drained,
                .runs = here() || busy_ == Operation::launch,
                .data = view_.data,
                .gave_up = gave_up_,
                .memory = seen_.memory,
                .sees = view_.sees};
    offer.sees.insert(self_);
    return offer;
}

void Machine::tell_offer() {
    const Offer now = offer();
    if (told_ == now) {
        return;
    }
    told_ = now;
    for (const auto& [node, name] : policy_.names) {
        if (node != self_) {
            act(Tell{node, now});
        }
    }
}

/// Nothing runs by the clock where nothing is wanted and nothing is here.
void Machine::arm() {
    const bool pending = stop_ || out_ || in_ || ended_since_ != 0 || start_command_ != 0 ||
                         busy_ != Operation::none || leave_ ||
                         (record_.wanted == Wanted::running && policy_.ha && !here() &&
                          runs_elsewhere() == no_node && !hopeless_);
    if (pending) {
        act(SetTimer{std::min<std::int64_t>(200, policy_.lease_ms / 3)});
    } else if (here()) {
        act(SetTimer{std::min<std::int64_t>(1000, policy_.lease_ms / 3)});
    }
}

Status Machine::status() const {
    Status status{.wanted = record_.wanted,
                  .able = offer().able,
                  .here = here(),
                  .power = seen_.power == Power::off && alive_ ? Power::running : seen_.power,
                  .where = here() ? self_ : runs_elsewhere(),
                  .why = why_,
                  .restarts = crashes_.size(),
                  .gave_up = gave_up()};
    if (out_) {
        constexpr std::array phases{"asks the target", "has it granted", "copies memory",
                                    "ends here", "hands over"};
        status.doing = phases.at(static_cast<std::size_t>(out_->phase));
        status.migrates_to = out_->to;
    } else if (in_) {
        status.doing = "receives";
    } else if (stop_) {
        status.doing = stop_->kill ? "is killed" : "stops";
    } else if (busy_ == Operation::promote) {
        status.doing = "becomes Primary";
    } else if (busy_ == Operation::launch) {
        status.doing = "starts";
    } else if (view_.serves && !here() && now_ < launch_after_) {
        status.doing = "waits until the machine of " +
                       (deposed_ == no_node ? "another host" : name(deposed_)) + " has ended";
    }
    return status;
}

// ---- the rule: README.md ----

bool Machine::may_run() const {
    // What a migration brings stays paused until this node has the devices.
    if (in_ && seen_.power != Power::running) {
        return true;
    }
    if (!view_.ready) {
        return now_ < authority_until_ + policy_.fence_ms;
    }
    return view_.holds && view_.serves && now_ < authority_until_ + policy_.fence_ms;
}

void Machine::kill(const std::string& why) {
    if (!killed_) {
        journal("the machine is killed: " + why, true);
    }
    killed_ = true;
    why_ = why;
    if (again("kill", retry_ms)) {
        act(Kill{});
        act(Look{});
        // What waits for I/O does not end before that fails.
        if (view_.holds) {
            act(Demote{.force = true});
        }
    }
}

void Machine::guard() {
    if (!here()) {
        return;
    }
    if (killed_) {
        return kill(why_);
    }
    // The view may be old: first the kernel is asked once more.
    if (now_ >= authority_until_ - policy_.lease_ms / 2 && again("look", 100)) {
        act(Look{});
    }
    if (may_run()) {
        return;
    }
    if (!view_.ready) {
        kill("it is not known whether this node may run it");
    } else if (!view_.holds || !view_.serves) {
        kill("this node is not Primary, and it must not run here");
    } else {
        kill("this node has lost contact with the others");
    }
}

// ---- the end ----

/// The office ends: nobody is to be the writer, or somebody else.
void Machine::release() {
    if (!view_.holds) {
        leave_ = false;
    } else if (busy_ == Operation::none && again("demote", retry_ms)) {
        act(Demote{});
    }
}

void Machine::drive_stop() {
    if (!stop_) {
        return;
    }
    if (here()) {
        if (stop_->kill) {
            if (again("kill", retry_ms)) {
                act(Kill{});
                act(Look{});
                // It waits for I/O, which fails then.
                if (now_ - stop_->since_ms >= reason_ms && view_.holds) {
                    act(Demote{.force = true});
                }
            }
        } else if (now_ - stop_->since_ms >= policy_.stop_ms) {
            answer(stop_->command, false,
                   "the guest has not shut down in time, and runs on: 'braidadm vm kill'");
            stop_.reset();
        } else if (again("shutdown", shutdown_again_ms)) {
            act(Shutdown{});
        }
        return;
    }
    if (busy_ == Operation::launch) {
        return;
    }
    if (record_.wanted != Wanted::stopped) {
        want(Wanted::stopped);
    }
    ended_since_ = 0;
    killed_ = false;
    said_.erase("shutdown");
    leave_ = true;
    release();
    const bool late = now_ - stop_->since_ms >= policy_.stop_ms + give_back_ms;
    if (!leave_ || late) {
        answer(stop_->command, true,
               leave_ ? "it is off, but this host is still Primary: " + why_ : "");
        stop_.reset();
    }
}

void Machine::drive_end() {
    if (leave_ && !stop_ && !here() && busy_ == Operation::none) {
        release();
    }
    if (ended_since_ == 0 || stop_ || busy_ == Operation::launch || out_) {
        return;
    }
    if (killed_) {
        // Where it may run is found out anew.
        killed_ = false;
        ended_since_ = 0;
        return;
    }
    if (ended_why_.empty() && now_ - ended_since_ < reason_ms) {
        return;
    }
    const std::string why = std::exchange(ended_why_, {});
    ended_since_ = 0;
    if (record_.wanted != Wanted::running) {
        leave_ = true;
        return;
    }
    if (why == "shutdown") {
        journal("the guest has shut down: the machine stays off until 'braidadm vm start'");
        want(Wanted::stopped);
        leave_ = true;
        return;
    }
    after_crash(why.empty() ? "it ended" : "it ended (" + why + ")");
}

/// Restarted here so many times, then elsewhere.
void Machine::after_crash(const std::string& why) {
    why_ = why;
    if (!policy_.ha) {
        journal(why + ": it is not restarted, as ha is off", true);
        want(Wanted::stopped);
        leave_ = true;
        return;
    }
    while (!crashes_.empty() && now_ - crashes_.front() >= policy_.window_ms) {
        crashes_.pop_front();
    }
    crashes_.push_back(now_);
    if (crashes_.size() <= policy_.restarts) {
        journal(why + ": it is started again", true);
        return;
    }
    journal(why + ": it was restarted too often on this host, which gives it up", true);
    gave_up_ = record_.stamp;
    leave_ = true;
}

}  // namespace braid::machine
