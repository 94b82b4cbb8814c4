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
    Verb{"dump", "Show the configuration, checked and with all that is inherited", configure_dump},
    Verb{"create-md", "Make the metadata of a new replica", configure_create_md},
    Verb{"dump-md", "Show the metadata of a replica", configure_dump_md},
    Verb{"wipe-md", "Remove the metadata of a replica; its data stays", configure_wipe_md},
    Verb{"cert", "Make, install and show the certificates of nodes", configure_cert},
    Verb{"sh-nop", "Check the configuration, for scripts", configure_sh_nop},
    Verb{"sh-resources", "List the names of all resources, for scripts", configure_sh_resources},
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
        if (word != arguments.end() && !is_verb(*word)) {
            return tl::unexpected(usage_failure(
                *word, fmt::format("no such verb; the nearest is '{}'", nearest_verb(*word)),
                "braidadm"));
        }
        try {
            app_.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
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
