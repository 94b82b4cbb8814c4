// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm suspend-io and resume-io: an administrator holds the I/O of resources on their Primary.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "cli/kernel_facts.h"
#include "cli/module.h"
#include "cli/verb.h"

namespace braid::cli {

namespace {

namespace op = netlink::op;
using Clock = std::chrono::steady_clock;
using Names = std::vector<std::string>;

struct Options {
    Names names;
    std::uint32_t timeout = 0;  ///< seconds; 0: as long as other operations are waited for
};

constexpr std::uint32_t timeout_max = 86400;

/// No event tells that the last request has ended.
constexpr std::chrono::milliseconds look_again{5};

Attempt<void> run(Module& module, const netlink::Operation& operation, const std::string& name) {
    const auto done =
        module.client().run(operation, {{netlink::attr::resource::name, std::string_view(name)}});
    if (done) {
        return {};
    }
    Failure failure = module_failure(name, done.error());
    if (!done.error().attribute.empty()) {
        failure.cause = done.error().cause;  // the only one there is, the name, is said
    }
    if (done.error().number == EPERM && failure.remedy.empty()) {
        failure.remedy = "Run this on the node that is Primary.";
    }
    return tl::unexpected(std::move(failure));
}

Attempt<sys::ResourceState> state_of(Module& module, const std::string& name) {
    const auto states = module.client().resources(name);
    if (!states) {
        return tl::unexpected(module_failure(name, states.error()));
    }
    if (states->empty()) {
        return tl::unexpected(
            Failure{ExitCode::failure, name, "not up", "Bring it up with 'braidadm up'."});
    }
    return states->front();
}

/// Until nothing is under way that began before it was suspended.
Attempt<void> drain(Module& module, const std::string& name, Clock::time_point until) {
    for (;;) {
        const auto state = state_of(module, name);
        if (!state) {
            return tl::unexpected(state.error());
        }
        if (!state->suspended) {
            return tl::unexpected(
                Failure{ExitCode::failure, name,
                        fmt::format("the suspension was ended meanwhile ({})", state->reason),
                        fmt::format("See 'braidadm status {}'.", name)});
        }
        if (state->in_flight == 0) {
            return {};
        }
        if (Clock::now() >= until) {
            return tl::unexpected(
                Failure{ExitCode::timed_out,
                        name,
                        fmt::format("not suspended: requests that are still under way: {} ({})",
                                    state->in_flight, state->reason),
                        {}});
        }
        std::this_thread::sleep_for(look_again);
    }
}

/// All of them hold new I/O before the first is waited for: their volumes are of one moment.
/// `begun`: those that were not suspended before.
Attempt<void> suspend(Module& module, const Names& names, Clock::time_point until, Names& begun) {
    for (const std::string& name : names) {
        const auto state = state_of(module, name);
        if (!state) {
            return tl::unexpected(state.error());
        }
        if (auto done = run(module, op::resource_suspend, name); !done) {
            return done;
        }
        if (!state->suspended) {
            begun.push_back(name);
        }
    }
    for (const std::string& name : names) {
        if (auto done = drain(module, name, until); !done) {
            return done;
        }
    }
    return {};
}

/// All or none.
Attempt<void> suspend_all(const Context& context, const Options& options) {
    const std::chrono::milliseconds most =
        options.timeout == 0 ? context.patience : std::chrono::seconds(options.timeout);
    const auto module = Module::open(context);
    if (!module) {
        return tl::unexpected(module.error());
    }
    Names begun;
    if (auto done = suspend(**module, options.names, Clock::now() + most, begun); !done) {
        Failure failure = std::move(done.error());
        for (const std::string& name : begun) {
            const auto resumed = run(**module, op::resource_resume, name);
            failure.remedy += fmt::format("{}{}: {}.", failure.remedy.empty() ? "" : "\n", name,
                                          resumed ? "I/O goes on" : resumed.error().cause);
        }
        return tl::unexpected(std::move(failure));
    }
    for (const std::string& name : options.names) {
        context.out << fmt::format("{0}: I/O is suspended until 'braidadm resume-io {0}'\n", name);
    }
    return {};
}

Attempt<void> resume(const Context& context, Module& module, const std::string& name) {
    if (auto done = run(module, op::resource_resume, name); !done) {
        return done;
    }
    const auto state = state_of(module, name);
    if (!state) {
        return tl::unexpected(state.error());
    }
    if (state->service == netlink::enums::service::held) {
        context.out << fmt::format("{}: resumed, but I/O is held: {}\n", name, state->reason);
    } else {
        context.out << fmt::format("{}: I/O goes on\n", name);
    }
    return {};
}

/// One that cannot be resumed does not keep the others suspended.
ExitCode resume_all(const Context& context, const Names& names) {
    const auto module = Module::open(context);
    if (!module) {
        return finish(context, tl::unexpected(module.error()));
    }
    ExitCode code = ExitCode::ok;
    for (const std::string& name : names) {
        if (const auto each = finish(context, resume(context, **module, name));
            each != ExitCode::ok) {
            code = each;
        }
    }
    return code;
}

void add_names(CLI::App& command, Names& names) {
    command.add_option("RES", names, "Names of resources")->required();
}

}  // namespace

Action configure_suspend_io(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_names(command, options->names);
    command
        .add_option("--timeout", options->timeout,
                    "Give up after so many seconds, and let I/O go on (30)")
        ->check(CLI::Range(1U, timeout_max));
    return [options](Context& context) { return finish(context, suspend_all(context, *options)); };
}

Action configure_resume_io(CLI::App& command) {
    auto names = std::make_shared<Names>();
    add_names(command, *names);
    return [names](Context& context) { return resume_all(context, *names); };
}

}  // namespace braid::cli
