// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm cert: the certificates by which the nodes of a cluster know one another.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/utsname.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <cerrno>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "cli/daemon.h"
#include "cli/verb.h"
#include "satellite/pki.h"
#include "sys/file_content.h"

namespace braid::cli {

namespace {

using std::chrono::days;
using std::chrono::sys_seconds;
using sys::CertificateInfo;
using sys::Existing;

struct Options {
    std::string directory = satellite::pki_directory;
    std::string node;
    std::vector<std::string> nodes;  ///< to issue for
    std::string file;
    std::int64_t days = satellite::node_lifetime.count();
    bool force = false;
    bool json = false;

    [[nodiscard]] satellite::Pki pki() const { return satellite::Pki(directory); }
    [[nodiscard]] Existing existing() const { return force ? Existing::replace : Existing::refuse; }
    [[nodiscard]] std::chrono::days lifetime() const { return std::chrono::days(days); }
};

using Outcome = sys::Result<void, Failure>;
using Step = Outcome (*)(Context& context, const Options& options);

sys_seconds now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

std::string this_node() {
    utsname names{};
    return uname(&names) == 0 ? names.nodename : "";
}

tl::unexpected<Failure> failure(const std::string& action, const sys::Error& error,
                                std::string remedy = {}) {
    return tl::unexpected(
        Failure{ExitCode::failure, "cert " + action, error.message, std::move(remedy)});
}

std::string until(const CertificateInfo& info) {
    return fmt::format("{:%Y-%m-%d}",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(info.validity.until)));
}

/// A daemon that waits for a certificate, and the configuration that came with it, need not wait
/// longer. It looks for the certificate by itself, too: whatever goes wrong here is no failure.
void tell_satellite(Context& context) {
    constexpr std::chrono::seconds most{10};
    if (const auto told = ask_daemon(context, {{"verb", "reload"}}, most); !told) {
        context.out << fmt::format("braid-satellite was not told: {}. {}\n", told.error().cause,
                                   told.error().remedy);
    }
}

Outcome init(Context& context, const Options& options) {
    const auto made = options.pki().init(options.node, options.existing(), now());
    if (!made) {
        return failure("init", made.error(),
                       made.error().number == EEXIST
                           ? "Another authority makes all certificates of the cluster worthless; "
                             "if that is meant, say --force."
                           : "");
    }
    context.out << fmt::format(
        "Made cluster {} and the certificate of {}, valid until {}.\n"
        "{} holds the authority's private key. Keep a copy in a safe place, and the file\n"
        "itself on this node only: whoever has it can become a node of the cluster.\n"
        "For each other node: braidadm cert issue NODE\n",
        made->cluster, made->node, until(*made), options.pki().authority_file());
    tell_satellite(context);
    return {};
}

constexpr const char* where_issued =
    "Certificates are issued on the node where 'braidadm cert init' was run.";

tl::unexpected<Failure> not_issued(const sys::Error& error) {
    return failure("issue", error,
                   error.number == ENOENT   ? where_issued
                   : error.number == EEXIST ? "Name another file with --output, or say --force."
                                            : "");
}

Outcome issue_one(Context& context, const Options& options, const std::string& node) {
    if (options.file == "-") {
        const auto made = options.pki().make(node, options.lifetime(), now());
        if (!made) {
            return not_issued(made.error());
        }
        context.out << made->bundle;
        return {};
    }
    const std::string file = options.file.empty() ? node + ".pem" : options.file;
    const auto made =
        options.pki().issue(node, file, options.existing(), options.lifetime(), now());
    if (!made) {
        return not_issued(made.error());
    }
    context.out << fmt::format(
        "{}: private key and certificate of {}, valid until {}.\n"
        "Carry it there over a safe channel (scp), run 'braidadm cert install {}' there,\n"
        "and delete it here.\n",
        file, made->node, until(*made), file);
    return {};
}

Outcome issue(Context& context, const Options& options) {
    if (options.nodes.size() > 1 && !options.file.empty()) {
        return tl::unexpected(Failure{ExitCode::usage, "cert issue",
                                      "--output is for one node, and several are named",
                                      "Leave it out: each gets a file NODE.pem."});
    }
    for (const std::string& node : options.nodes) {
        if (auto done = issue_one(context, options, node); !done) {
            return done;
        }
    }
    return {};
}

Outcome install(Context& context, const Options& options) {
    const bool piped = options.file == "-";
    const auto bundle =
        piped ? sys::Result<std::string>(context.read_input()) : sys::read_file(options.file);
    if (!bundle) {
        return failure("install", bundle.error());
    }
    const auto done = options.pki().install(*bundle, piped ? "standard input" : options.file,
                                            options.node, options.existing(), now());
    if (!done) {
        return failure("install", done.error(),
                       done.error().number == EEXIST
                           ? "This node has a certificate; to replace it, say --force."
                           : "");
    }
    context.out << fmt::format("Installed the certificate of {} in cluster {}, valid until {}.\n",
                               done->node, done->cluster, until(*done));
    if (!piped) {
        context.out << fmt::format("Delete {}: it holds the private key.\n", options.file);
    }
    tell_satellite(context);
    return {};
}

Outcome renew(Context& context, const Options& options) {
    const satellite::Pki pki = options.pki();
    const auto made =
        pki.issue(options.node, pki.node_file(), Existing::replace, options.lifetime(), now());
    if (!made) {
        return failure("renew", made.error(),
                       made.error().number == ENOENT
                           ? fmt::format("{} There run 'braidadm cert issue {}', and here "
                                         "'braidadm cert install --force FILE'.",
                                         where_issued, options.node)
                           : "");
    }
    context.out << fmt::format("Renewed the certificate of {}, valid until {}.\n", made->node,
                               until(*made));
    return {};
}

nlohmann::ordered_json json_of(const CertificateInfo& info, sys_seconds at) {
    const auto time = [](sys_seconds value) {
        return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                           fmt::gmtime(std::chrono::system_clock::to_time_t(value)));
    };
    return {{"kind", info.authority ? "authority" : "node"},
            {"name", info.node},
            {"cluster", info.cluster},
            {"not-before", time(info.validity.from)},
            {"not-after", time(info.validity.until)},
            {"days-left", std::chrono::floor<days>(info.validity.until - at).count()},
            {"fingerprint", info.fingerprint}};
}

std::string name_of(const CertificateInfo& info) {
    return info.authority ? "authority of cluster " + info.cluster : "node " + info.node;
}

Outcome show(Context& context, const Options& options) {
    const satellite::Pki pki = options.pki();
    const auto all = pki.show();
    if (!all) {
        return failure("show", all.error());
    }
    if (all->empty()) {
        return failure("show", {ENOENT, pki.node_file() + ": this node has no certificate"},
                       "Make a cluster with 'braidadm cert init', or install what 'braidadm cert "
                       "issue' made for this node.");
    }
    auto json = nlohmann::ordered_json::array();
    std::string ended;
    for (const CertificateInfo& info : *all) {
        json.push_back(json_of(info, now()));
        if (!options.json) {
            context.out << fmt::format("{}\n  valid until  {}\n  SHA-256      {}\n", name_of(info),
                                       until(info), info.fingerprint);
        }
        if (const auto words = satellite::expiry(info, now())) {
            ended = *words == "expired" ? name_of(info) : ended;
            context.err << fmt::format("braidadm: warning: {}: {}\n", name_of(info), *words);
        }
    }
    if (options.json) {
        context.out << json.dump(2) << '\n';
    }
    if (!ended.empty()) {
        return failure("show", {EINVAL, ended + ": the certificate has expired"},
                       "Renew it: braidadm(8), cert renew.");
    }
    return {};
}

/// One of the verb's own verbs.
struct Row {
    const char* name;
    const char* summary;
    Step step;
    /// Adds what it takes beside --directory.
    void (*configure)(CLI::App& command, Options& options);
};

void add_node(CLI::App& command, Options& options) {
    command.add_option("--node", options.node, "Name of this node (default: its host name)")
        ->type_name("NAME")
        ->default_str("");
    options.node = this_node();
}

void add_force(CLI::App& command, Options& options) {
    command.add_flag("--force", options.force, "Replace what is there");
}

void add_days(CLI::App& command, Options& options) {
    command.add_option("--days", options.days, "Lifetime of the certificate (default: 1095)")
        ->check(CLI::Range(1, 20 * 365))
        ->type_name("N")
        ->default_str("");
}

const Row rows[] = {
    {"init", "Make a cluster: its authority and this node's certificate", init,
     [](CLI::App& command, Options& options) {
         add_node(command, options);
         add_force(command, options);
     }},
    {"issue", "Make the certificates of other nodes, as files to carry there", issue,
     [](CLI::App& command, Options& options) {
         command.add_option("NODE", options.nodes, "Their host names")->required();
         command
             .add_option("--output", options.file,
                         "The file (default: NODE.pem), or - for standard output")
             ->type_name("FILE");
         add_days(command, options);
         add_force(command, options);
     }},
    {"install", "Check and install a file that 'cert issue' made for this node", install,
     [](CLI::App& command, Options& options) {
         command.add_option("FILE", options.file, "The file, or - for standard input")->required();
         add_node(command, options);
         add_force(command, options);
     }},
    {"renew", "Replace this node's certificate where the authority is", renew,
     [](CLI::App& command, Options& options) {
         add_node(command, options);
         add_days(command, options);
     }},
    {"show", "Show the certificates, and warn of those that expire", show,
     [](CLI::App& command, Options& options) {
         command.add_flag("--json", options.json, "Print JSON instead of text");
     }},
};

}  // namespace

Action configure_cert(CLI::App& command) {
    command.require_subcommand(0, 1);
    std::vector<std::pair<const CLI::App*, std::function<Outcome(Context&)>>> steps;
    for (const Row& row : rows) {
        auto options = std::make_shared<Options>();
        CLI::App* own = command.add_subcommand(row.name, row.summary);
        own->allow_extras();
        own->add_option(
               "--directory", options->directory,
               fmt::format("Where certificates are kept (default: {})", satellite::pki_directory))
            ->type_name("DIR")
            ->default_str("");
        row.configure(*own, *options);
        steps.emplace_back(
            own, [options, step = row.step](Context& context) { return step(context, *options); });
    }
    return [steps](Context& context) {
        for (const auto& [own, step] : steps) {
            if (!own->parsed()) {
                continue;
            }
            return finish(context, step(context));
        }
        print(context.err, {ExitCode::usage, "cert", "what is to be done is missing",
                            "Run 'braidadm cert --help' for usage."});
        return ExitCode::usage;
    };
}

}  // namespace braid::cli
