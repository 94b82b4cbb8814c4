// SPDX-License-Identifier: GPL-2.0-or-later
//
// Live migration, both ends: README.md, "Migration".
#include "machine/machine.h"
#include "machine/place.h"

namespace braid::machine {

namespace {

constexpr std::int64_t ask_ms = 10000;
constexpr std::int64_t again_ms = 500;
/// After its machine has ended the source waits so long for the target before it takes the grant
/// back and starts the machine anew.
constexpr std::int64_t release_ms = 15000;
/// A target to which nothing comes, or of which nothing is heard, forgets about it.
constexpr std::int64_t receive_ms = 60000;

}  // namespace

// ---- the source ----

void Machine::begin_migration(const Command& command) {
    std::uint64_t number = command.number;
    if (!here() || !view_.holds || !view_.serves) {
        const NodeId where = runs_elsewhere();
        return answer(number, false,
                      where == no_node ? "the machine does not run"
                                       : "it runs on " + name(where) + ": do it there");
    }
    if (out_ || stop_ || busy_ != Operation::none) {
        return answer(number, false, "another command is at work");
    }
    NodeId to = command.node;
    if (to == no_node) {
        const auto order = best_first(offers_, policy_.memory, policy_.prefer, record_);
        to = order.empty() ? no_node : order.front();
    }
    if (to == no_node) {
        return answer(number, false, "no other host could run it");
    }
    const auto offer = offers_.find(to);
    if (to == self_) {
        return answer(number, false, "it runs here already");
    }
    if (offer == offers_.end()) {
        return answer(number, false, name(to) + " is not reached");
    }
    if (!offer->second.able) {
        return answer(number, false,
                      name(to) + " cannot run it: no libvirt, no volumes, or it is drained");
    }
    if (offer->second.memory < policy_.memory) {
        return answer(number, false, name(to) + " has not enough memory free");
    }
    out_ = Out{.to = to,
               .number = ++next_number_,
               .command = command.number,
               .phase = Phase::asking,
               .since_ms = now_};
    why_.clear();
    act(Tell{to, Receive{out_->number}});
}

void Machine::on_ready(NodeId from, const Ready& ready) {
    if (!out_ || out_->to != from || out_->number != ready.number || out_->phase != Phase::asking) {
        return;
    }
    if (!ready.why.empty()) {
        return fail_out(name(from) + ": " + ready.why);
    }
    out_->phase = Phase::granting;
    out_->since_ms = now_;
    act(Grant{from});
}

/// The machine goes on here, or is started anew here: either way this node stays the writer.
void Machine::fail_out(const std::string& why) {
    if (!out_) {
        return;
    }
    why_ = "migration to " + name(out_->to) + ": " + why;
    journal(why_, true);
    if (out_->phase != Phase::asking) {
        act(WithdrawGrant{});
    }
    act(Tell{out_->to, Cancel{out_->number}});
    answer(out_->command, false, why);
    out_.reset();
}

void Machine::moved(const Done& done) {
    if (!out_) {
        return;
    }
    if (done.operation == Operation::grant) {
        // Membership answers at its end; before, the kernel's stage tells.
        if (!done.ok) {
            fail_out(done.text);
        }
        return;
    }
    if (!done.ok) {
        return fail_out(done.text);
    }
    out_->phase = Phase::ending;
    out_->since_ms = now_;
    act(Look{});
}

void Machine::drive_out() {
    if (!out_) {
        return;
    }
    const bool late = now_ - out_->since_ms >= ask_ms;
    if (killed_ || stop_) {
        return fail_out(stop_ ? "the machine is stopped" : why_);
    }
    switch (out_->phase) {
        case Phase::asking:
            return late ? fail_out("it does not answer") : void();
        case Phase::granting:
            if (view_.stage == membership::Stage::granted && view_.grant_to == out_->to) {
                out_->phase = Phase::moving;
                out_->since_ms = now_;
                busy_ = Operation::move;
                act(Move{out_->to});
            } else if (late) {
                fail_out("its kernel was not ready in time");
            }
            return;
        case Phase::moving:
            // Its end may be told before that it has moved.
            if (ended_since_ != 0 && now_ - ended_since_ >= ask_ms) {
                busy_ = Operation::none;
                fail_out("the machine ended meanwhile");
            }
            return;
        case Phase::ending:
            // Only what has ended cannot write: then, and not before, the target may.
            if (!here()) {
                out_->phase = Phase::releasing;
                out_->since_ms = now_;
                ended_since_ = 0;
                ended_why_.clear();
                break;
            }
            if (late) {
                kill("it was migrated, but does not end here");
            } else if (again("look", 100)) {
                act(Look{});
            }
            return;
        case Phase::releasing:
            break;
    }
    if (view_.writer == out_->to) {
        journal("the machine has moved to " + name(out_->to));
        answer(out_->command, true, "");
        out_.reset();
    } else if (now_ - out_->since_ms >= release_ms) {
        fail_out("it has not taken over in time: the machine is started anew");
    } else if (again("go", again_ms)) {
        act(Tell{out_->to, Go{out_->number}});
    }
}

void Machine::cancel_migration(const Command& command) {
    std::uint64_t number = command.number;
    if (!out_) {
        return answer(number, false, "nothing is being migrated from here");
    }
    if (out_->phase == Phase::ending || out_->phase == Phase::releasing) {
        return answer(number, false, "it is too late: the memory was copied");
    }
    if (out_->phase == Phase::moving) {
        act(AbortMove{});
    } else {
        fail_out("cancelled");
    }
    answer(number, true, "");
}

// ---- the target ----

void Machine::on_receive(NodeId from, const Receive& receive) {
    std::string why;
    if (here()) {
        why = "the machine is there already";
    } else if (!offer().able) {
        why = view_.drained ? "it is drained" : "libvirt does not answer";
    } else if (seen_.memory < policy_.memory) {
        why = "not enough memory is free";
    } else {
        in_ = In{.from = from, .number = receive.number, .since_ms = now_};
    }
    act(Tell{from, Ready{receive.number, why}});
}

void Machine::drive_in() {
    if (!in_) {
        return;
    }
    in_->granted = in_->granted || view_.grant_to == self_;
    if (view_.grant_to == self_) {
        in_->since_ms = now_;
    }
    if (view_.holds && view_.serves) {
        // Writer by the source's token, which it gave after its machine had ended: this one's
        // memory is what the disks go with. By any other way it may be older than they are.
        const bool by_token = in_->go && view_.stage == membership::Stage::swapped;
        if (!by_token) {
            in_.reset();
            if (here()) {
                kill("this host became Primary otherwise than by the migration");
            }
        } else if (seen_.power == Power::paused && busy_ == Operation::none) {
            busy_ = Operation::resume;
            act(Resume{});
        } else if (seen_.power == Power::running) {
            journal("the machine has come from " + name(in_->from));
            in_.reset();
        } else if (!here() && busy_ == Operation::none) {
            in_.reset();
        }
        return;
    }
    const bool ended = in_->granted && view_.grant_to != self_ && view_.writer != self_;
    if (ended || now_ - in_->since_ms >= receive_ms) {
        in_.reset();
        return;
    }
    if (in_->go && here() && again("ask", again_ms)) {
        act(AskToken{view_.grant});
    }
}

}  // namespace braid::machine
