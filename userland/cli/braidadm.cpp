// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/braidadm.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <map>
#include <ostream>
#include <utility>
#include <vector>

#include "config/nearest.h"

namespace braid::cli {

namespace {

constexpr std::array verb_table{
    Verb{"version", "Show the versions of braidadm and of the kernel module", configure_version},
    Verb{"status", "Show the state of resources, and why it is so", configure_status},
    Verb{"events", "Show the state of resources, then every change of it", configure_events},
    Verb{"role", "Show the role of this node and of its peers", configure_role},
    Verb{"dstate", "Show the states of this node's and its peers' disks", configure_dstate},
    Verb{"cstate", "Show the states of the connections to peers", configure_cstate},
    Verb{"wait-connect", "Wait until all peers are connected", configure_wait_connect},
    Verb{"wait-sync", "Wait until all replicas are in sync", configure_wait_sync},
    Verb{"dump", "Show the configuration, checked and with all that is inherited", configure_dump},
    Verb{"up", "Bring resources up: all that the configuration says of this host", configure_up},
    Verb{"down", "Take resources down on this host", configure_down},
    Verb{"adjust", "Make the kernel have what the configuration says", configure_adjust},
    Verb{"connect", "Let a resource connect to its peers", configure_connect},
    Verb{"disconnect", "End a resource's connections, and keep them ended", configure_disconnect},
    Verb{"attach", "Attach the disks of a resource", configure_attach},
    Verb{"detach", "Detach the disks of a resource", configure_detach},
    Verb{"resize", "Use disks that have grown", configure_resize},
    Verb{"invalidate", "Give up this node's replica, and have it copied anew from a peer",
         configure_invalidate},
    Verb{"verify", "Compare a peer's replica with this node's", configure_verify},
    Verb{"pause-sync", "Stop the copying of a resync", configure_pause_sync},
    Verb{"resume-sync", "Go on copying", configure_resume_sync},
    Verb{"suspend-io", "Let the I/O of a resource wait, for a snapshot say", configure_suspend_io},
    Verb{"resume-io", "Let it go on", configure_resume_io},
    Verb{"create-md", "Make the metadata of a new replica", configure_create_md},
    Verb{"dump-md", "Show the metadata of a replica", configure_dump_md},
    Verb{"wipe-md", "Remove the metadata of a replica; its data stays", configure_wipe_md},
    Verb{"init", "Begin a resource with the data of this node", configure_init},
    Verb{"primary", "Let this node use the volumes", configure_primary},
    Verb{"secondary", "Stop using the volumes on this node", configure_secondary},
    Verb{"drain", "Prepare this host for a shutdown: Primary of nothing", configure_drain},
    Verb{"undrain", "Let this host become Primary again", configure_undrain},
    Verb{"explain", "Say why a resource is as it is, and what to do", configure_explain},
    Verb{"history", "Show the lineage of a resource, and those before it", configure_history},
    Verb{"migrate", "Let another node take the volumes over while both have them open",
         configure_migrate},
    Verb{"end-migrate", "Withdraw a migration", configure_end_migrate},
    Verb{"resolve", "End a fork: drop the changes of one side", configure_resolve},
    Verb{"add-peer", "Take a new member in", configure_add_peer},
    Verb{"forget-peer", "Take a member out for good", configure_forget_peer},
    Verb{"replace", "Give up a member's vote and replica for new ones", configure_replace},
    Verb{"pool", "Make, show and extend the storage pools of this host", configure_pool},
    Verb{"cert", "Make, install and show the certificates of nodes", configure_cert},
    Verb{"sh-nop", "Check the configuration, for scripts", configure_sh_nop},
    Verb{"sh-resources", "List the names of all resources, for scripts", configure_sh_resources},
};

/// Names that drbdadm and drbdsetup have for it.
constexpr std::array aliases{
    std::pair{"get-gi", "history"},
    std::pair{"show-gi", "history"},
};

/// Verbs of drbdadm for which something else is to be typed.
struct ForeignVerb {
    std::string_view name;
    std::string_view cause;
    std::string_view remedy;
};

constexpr std::array foreign_verbs{
    ForeignVerb{"invalidate-remote", "a replica can be given up only on its own host",
                "Run 'braidadm invalidate RES' on that peer."},
};

std::string_view nearest_verb(std::string_view word) {
    return std::ranges::min_element(
               verb_table, {},
               [&](const Verb& verb) { return config::edit_distance(word, verb.name); })
        ->name;
}

Failure usage_failure(std::string what, std::string cause, std::string_view help_of) {
    return {ExitCode::usage, std::move(what), std::move(cause),
            fmt::format("Run '{} --help' for usage.", help_of)};
}

Failure unknown_verb(const std::string& word) {
    const auto* foreign = std::ranges::find(foreign_verbs, word, &ForeignVerb::name);
    if (foreign != foreign_verbs.end()) {
        return {ExitCode::usage, word, std::string(foreign->cause), std::string(foreign->remedy)};
    }
    return usage_failure(word, fmt::format("no such verb; the nearest is '{}'", nearest_verb(word)),
                         "braidadm");
}

/// The command line: options of braidadm itself, and a command for each verb.
class CommandLine {
  public:
    CommandLine() : app_("Administer the Braid volumes of this node.", "braidadm") {
        app_.set_help_flag("-h,--help", "Show this help");
        app_.add_flag("-V,--version", show_version_,
                      "Do what the verb version does, but always succeed");
        app_.get_formatter()->label("SUBCOMMAND", "VERB");
        app_.get_formatter()->column_width(24);
        for (const Verb& verb : verb_table) {
            CLI::App* command =
                app_.add_subcommand(std::string(verb.name), std::string(verb.summary));
            command->group("Verbs");
            command->allow_extras();  // so that choose() can name what is left over
            actions_[command] = verb.configure(*command);
        }
        app_.allow_extras();
        app_.require_subcommand(0, 1);  // a second verb is an extra argument
    }

    /// What to do, or what is wrong with the arguments.
    sys::Result<Action, Failure> choose(std::span<const std::string> arguments) {
        // Before CLI11 sees it: a mistyped verb is more helpful to name than
        // options that only exist in the verb that was meant.
        const auto word = std::ranges::find_if(
            arguments, [](const std::string& argument) { return !argument.starts_with('-'); });
        std::vector<std::string> words(arguments.begin(), arguments.end());
        if (word != arguments.end() && !is_verb(*word)) {
            const auto alias =
                std::ranges::find(aliases, *word, &decltype(aliases)::value_type::first);
            if (alias == aliases.end()) {
                return tl::unexpected(unknown_verb(*word));
            }
            words.at(static_cast<std::size_t>(word - arguments.begin())) = alias->second;
        }
        try {
            std::ranges::reverse(words);
            app_.parse(std::move(words));
        } catch (const CLI::CallForHelp&) {
            return [text = app_.help()](Context& context) {
                context.out << text;
                return ExitCode::ok;
            };
        } catch (const CLI::ParseError& error) {
            return tl::unexpected(usage_failure("arguments", error.what(), "braidadm"));
        }
        return chosen();
    }

  private:
    static bool is_verb(const std::string& word) {
        return std::ranges::find(verb_table, word, &Verb::name) != verb_table.end();
    }

    sys::Result<Action, Failure> chosen() {
        const auto commands = app_.get_subcommands();
        const std::string name =
            commands.empty() ? "braidadm" : "braidadm " + commands.front()->get_name();
        if (const auto extra = app_.remaining(true); !extra.empty()) {
            return tl::unexpected(
                usage_failure(extra.front(), fmt::format("not an argument of '{}'", name), name));
        }
        if (show_version_) {
            return [action = actions_.at(app_.get_subcommand("version"))](Context& context) {
                action(context);
                return ExitCode::ok;
            };
        }
        if (commands.empty()) {
            return tl::unexpected(usage_failure("arguments", "no verb given", "braidadm"));
        }
        return actions_.at(commands.front());
    }

    CLI::App app_;
    bool show_version_ = false;
    std::map<const CLI::App*, Action> actions_;
};

}  // namespace

std::span<const Verb> verbs() {
    return verb_table;
}

void print(std::ostream& err, const Failure& failure) {
    err << "braidadm: " << failure.what << ": " << failure.cause << '\n';
    if (!failure.remedy.empty()) {
        err << failure.remedy << '\n';
    }
}

ExitCode finish(const Context& context, const sys::Result<void, Failure>& done) {
    if (!done) {
        print(context.err, done.error());
        return done.error().code;
    }
    return ExitCode::ok;
}

ExitCode run(std::span<const std::string> arguments, Context& context) {
    CommandLine command_line;
    const auto action = command_line.choose(arguments);
    if (!action) {
        print(context.err, action.error());
        return action.error().code;
    }
    const ExitCode code = (*action)(context);
    if (!context.out.flush()) {
        print(context.err, {ExitCode::failure, "standard output", "cannot be written", {}});
        return ExitCode::failure;
    }
    return code;
}

}  // namespace braid::cli
