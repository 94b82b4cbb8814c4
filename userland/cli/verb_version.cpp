// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm version: what is installed, what is loaded, and whether they fit.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

#include "cli/verb.h"
#include "sys/braid_client.h"

namespace braid::cli {

namespace {

using sys::ClientError;
using sys::ModuleInfo;
using sys::VersionRange;
using Kind = sys::NetlinkError::Kind;

constexpr std::string_view module_subject = "kernel module braid";

/// All that could be found out. What is unknown is empty, and `problem` says why.
struct Report {
    std::string kernel_release;
    std::optional<bool> loaded;
    std::optional<bool> installed;
    /// Known from sysfs, which needs no privilege, even where `module` is not.
    std::string module_version;
    std::optional<ModuleInfo> module;
    std::optional<Failure> problem;
};

Failure about_module(std::string cause, std::string remedy) {
    return {ExitCode::failure, std::string(module_subject), std::move(cause), std::move(remedy)};
}

Failure explain(const ClientError& error) {
    if (error.kind == Kind::no_family) {
        return {ExitCode::failure, fmt::format("netlink family {}", netlink::family_name),
                "does not exist in this network namespace, although the module is loaded",
                "If the module is just being loaded or unloaded, try again."};
    }
    if (error.kind == Kind::refused && error.number == EPERM) {
        return about_module("only root may ask it for more than its version: " + error.cause,
                            "Run braidadm as root (CAP_NET_ADMIN and CAP_SYS_ADMIN in the initial "
                            "user namespace).");
    }
    if (error.kind == Kind::refused && error.number == EPROTONOSUPPORT) {
        return about_module(error.cause,
                            "Install braid-utils and braid-dkms of the same version, then reload "
                            "the module.");
    }
    return about_module(
        error.attribute.empty() ? error.cause : fmt::format("{}: {}", error.attribute, error.cause),
        {});
}

Failure not_loaded(bool installed, const std::string& release) {
    Failure failure = about_module("not loaded", "Load it with 'modprobe braid'.");
    failure.code = ExitCode::module_not_loaded;
    if (!installed) {
        failure.cause =
            fmt::format("not loaded, and not installed for the running kernel {}", release);
        failure.remedy = fmt::format(
            "Install it with 'apt install braid-dkms linux-headers-{}', then load it with "
            "'modprobe braid'.",
            release);
    }
    return failure;
}

sys::ClientResult<ModuleInfo> ask_module(const Context& context) {
    const auto netlink = context.open_netlink();
    if (!netlink) {
        const sys::NetlinkError& error = netlink.error();
        return tl::unexpected(ClientError{error.kind, error.number, error.cause(), {}});
    }
    return sys::BraidClient(**netlink).module_get();
}

Report gather(const Context& context) {
    Report report;
    report.kernel_release = context.module.kernel_release();
    const auto version = context.module.loaded_version();
    if (!version) {
        report.problem = about_module(version.error().message, {});
        return report;
    }
    report.loaded = version->has_value();
    if (!*report.loaded) {
        const auto installed = context.module.installed();
        if (!installed) {
            report.problem = about_module("not loaded; " + installed.error().message,
                                          "Run 'depmod' as root to rebuild the index of modules.");
            report.problem->code = ExitCode::module_not_loaded;
            return report;
        }
        report.installed = *installed;
        report.problem = not_loaded(*installed, report.kernel_release);
        return report;
    }
    report.module_version = **version;
    // The family is not asked for before this point: the kernel might load the
    // module to find it, and a question must not change what it asks about.
    auto info = ask_module(context);
    if (info) {
        report.module_version = info->version;
        report.module = std::move(*info);
    } else {
        report.problem = explain(info.error());
    }
    return report;
}

std::string to_text(VersionRange range) {
    return range.min == range.max ? fmt::format("{}", range.min)
                                  : fmt::format("{} to {}", range.min, range.max);
}

void print_text(std::ostream& out, const Report& report) {
    out << fmt::format("braidadm:  {} (netlink API {})\n", BRAID_VERSION, to_text(sys::tool_api));
    if (report.module) {
        const ModuleInfo& module = *report.module;
        const auto features = sys::flag_names(netlink::enumeration::feature, module.features);
        out << fmt::format("module:    {} (netlink API {}, in use {})\n", module.version,
                           to_text(module.api), module.api_version)
            << fmt::format("protocol:  {}\n", to_text(module.protocol))
            << fmt::format("features:  {}\n",
                           features.empty() ? "none" : fmt::format("{}", fmt::join(features, " ")));
    } else if (report.loaded.value_or(false)) {
        out << fmt::format("module:    {}\n", report.module_version);
    }
}

void print_json(std::ostream& out, const Report& report) {
    using Json = nlohmann::ordered_json;
    Json module = Json::object();
    if (report.loaded) {
        module["loaded"] = *report.loaded;
    }
    if (report.installed) {
        module["installed"] = *report.installed;
    }
    if (report.loaded.value_or(false)) {
        module["version"] = report.module_version;
    }
    if (report.module) {
        module["api-min"] = report.module->api.min;
        module["api-max"] = report.module->api.max;
        module["api-version"] = report.module->api_version;
        module["protocol-min"] = report.module->protocol.min;
        module["protocol-max"] = report.module->protocol.max;
        module["features"] =
            sys::flag_names(netlink::enumeration::feature, report.module->features);
    }
    const Json document{
        {"tool",
         {{"version", BRAID_VERSION},
          {"api-min", sys::tool_api.min},
          {"api-max", sys::tool_api.max}}},
        {"kernel", {{"release", report.kernel_release}}},
        {"module", module},
    };
    out << document.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

ExitCode run_version(Context& context, bool json) {
    const Report report = gather(context);
    (json ? print_json : print_text)(context.out, report);
    if (!report.problem) {
        return ExitCode::ok;
    }
    print(context.err, *report.problem);
    return report.problem->code;
}

}  // namespace

Action configure_version(CLI::App& command) {
    // Shared with the action, which outlives this call and may be copied.
    auto json = std::make_shared<bool>(false);
    command.add_flag("--json", *json, "Print one JSON object instead of text");
    return [json](Context& context) { return run_version(context, *json); };
}

}  // namespace braid::cli
