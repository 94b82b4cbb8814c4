// SPDX-License-Identifier: GPL-2.0-or-later
//
// For people: a paragraph for each resource, with what is wrong and what to do at its end.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <ostream>

#include "cli/status_report.h"

namespace braid::cli {

namespace {

namespace enums = netlink::enums;
namespace enumeration = netlink::enumeration;

constexpr std::size_t bar_width = 20;

/// How a state is coloured: good ones green, bad ones red, others yellow.
std::string_view colour_of(std::string_view state) {
    constexpr std::array good{"UpToDate", "Connected", "Established", "Primary"};
    constexpr std::array bad{"Inconsistent", "Outdated", "Failed", "Off"};
    constexpr std::array plain{"Secondary", "Witness"};
    if (std::ranges::find(good, state) != good.end()) {
        return "\033[32m";
    }
    if (std::ranges::find(bad, state) != bad.end()) {
        return "\033[31m";
    }
    return std::ranges::find(plain, state) != plain.end() ? "" : "\033[33m";
}

std::string time_text(std::uint64_t seconds) {
    return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

bool runs(const sys::SyncProgress& sync) {
    return sync.state != enums::sync_state::none && sync.state != enums::sync_state::done &&
           sync.state != enums::sync_state::joining;
}

/// Prints a report; `daemon_` may be absent.
class TextPrinter {
  public:
    TextPrinter(std::ostream& out, const StatusReport& report, TextStyle style)
        : out_(out), report_(report), style_(style) {}

    void print() {
        for (const auto& each : report_.resources) {
            print_resource(each);
        }
        for (const auto& each : report_.witnesses) {
            print_witness(each);
        }
        for (const auto& each : report_.down) {
            out_ << each << " down\n\n";
        }
        print_daemon();
    }

  private:
    [[nodiscard]] std::string paint(std::string_view state) const {
        const std::string_view colour = style_.colour ? colour_of(state) : "";
        return colour.empty() ? std::string(state) : fmt::format("{}{}\033[0m", colour, state);
    }

    [[nodiscard]] std::string warn(std::string_view text) const {
        return style_.colour ? fmt::format("\033[31m{}\033[0m", text) : std::string(text);
    }

    void print_resource(const ResourceStatus& resource) {
        const auto& kernel = resource.kernel;
        out_ << fmt::format("{} role:{}", resource.name, paint(resource.role));
        if (resource.suspended) {
            out_ << " suspended:" << warn(kernel.suspended ? "user" : "yes");
        }
        if (resource.failing) {
            out_ << " force-io-failures:" << warn("yes");
        }
        if (kernel.migration != enums::migration::none) {
            out_ << " migration:" << enum_name(enumeration::migration, kernel.migration);
        }
        if (style_.verbose) {
            out_ << fmt::format(" node-id:{} epoch:{} writer:{} service:{}", resource.node,
                                kernel.config ? kernel.config->epoch : 0,
                                resource.writer.value_or("none"),
                                enum_name(enumeration::service, kernel.service));
        }
        out_ << '\n';
        const auto* daemon = report_.daemon ? report_.daemon->resource(resource.name) : nullptr;
        for (const auto& each : resource.devices) {
            print_device(each, resource.devices.size() > 1, daemon);
        }
        if (resource.own_sync) {
            print_progress("  ", *resource.own_sync);
        }
        print_connections(resource, daemon);
        print_reasons(resource, daemon);
        out_ << '\n';
    }

    void print_device(const DeviceStatus& device, bool several, const DaemonResource* daemon) {
        out_ << "  ";
        if (several || device.volume != 0 || style_.verbose) {
            out_ << fmt::format("volume:{} ", device.volume);
        }
        if (style_.verbose) {
            out_ << fmt::format("minor:{} ", device.minor);
        }
        out_ << "disk:"
             << (device.client ? std::string("Diskless client:yes") : paint(device.disk));
        if (daemon != nullptr &&
            (daemon->promotion.cause == "no-quorum" || daemon->held.cause == "no-quorum")) {
            out_ << " quorum:" << warn("no");
        }
        if (style_.verbose) {
            out_ << fmt::format(" size:{} open:{}", human_bytes(device.size),
                                device.open ? "yes" : "no");
        }
        out_ << '\n';
    }

    void print_connections(const ResourceStatus& resource, const DaemonResource* daemon) {
        std::size_t width = 0;
        for (const auto& each : resource.connections) {
            width = std::max(width, each.name.size());
        }
        for (const auto& member : witnesses(daemon)) {
            width = std::max(width, member.name.size());
        }
        for (const auto& each : resource.connections) {
            print_connection(each, width);
        }
        for (const auto& member : witnesses(daemon)) {
            out_ << fmt::format("  {:<{}} role:Witness {}\n", member.name, width,
                                member.up ? std::string("reached") : warn("not reached"));
            print_not_connected(member.name);
        }
    }

    void print_connection(const ConnectionStatus& connection, std::size_t width) {
        const bool connected = connection.state == "Connected";
        out_ << fmt::format("  {:<{}} ", connection.name, width);
        if (!connected || style_.verbose) {
            out_ << "connection:" << paint(connection.state) << (connected ? " " : "");
        }
        if (connected) {
            out_ << "role:" << paint(connection.role);
        }
        if (style_.verbose) {
            out_ << fmt::format(" node-id:{} epoch:{} streams:{} tls:{} lease:{}ms",
                                connection.node, connection.kernel.epoch,
                                connection.kernel.stream_count, connection.tls ? "yes" : "no",
                                connection.kernel.lease_ms);
        }
        out_ << '\n';
        if (!connected) {
            print_not_connected(connection.name);
        }
        for (const auto& each : connection.devices) {
            print_peer_device(each, connection);
        }
        if (connection.sync) {
            print_progress("    ", *connection.sync);
        }
    }

    void print_peer_device(const PeerDeviceStatus& device, const ConnectionStatus& connection) {
        const bool several = connection.devices.size() > 1 || device.volume != 0;
        const bool shown = connection.state == "Connected" && device.replication != "Established";
        out_ << "    ";
        if (several || style_.verbose) {
            out_ << fmt::format("volume:{} ", device.volume);
        }
        if (shown || style_.verbose) {
            out_ << fmt::format("replication:{} ", paint(device.replication));
        }
        out_ << "peer-disk:" << (device.client ? "Diskless peer-client:yes" : paint(device.disk));
        if (device.resync_suspended) {
            out_ << " resync-suspended:" << warn("user");
        }
        if (device.out_of_sync.value_or(0) > 0) {
            out_ << " out-of-sync:" << human_bytes(*device.out_of_sync);
        }
        out_ << '\n';
    }

    /// Why the daemon has no connection to a node, if it says so.
    void print_not_connected(const std::string& name) {
        const auto* peer = report_.daemon ? report_.daemon->peer(name) : nullptr;
        if (peer != nullptr && !peer->connected) {
            out_ << fmt::format("    not connected: {}{}\n",
                                peer->why.empty() ? "not tried yet" : peer->why,
                                peer->address.empty() ? "" : fmt::format(" ({})", peer->address));
        }
    }

    void print_progress(std::string_view indent, const sys::SyncProgress& sync) {
        if (runs(sync)) {
            const double percent = percent_done(sync);
            out_ << fmt::format("{}{} {} {:.1f}%, {} of {} left", indent,
                                sync.state == enums::sync_state::verifying ? "verify" : "resync",
                                progress_bar(percent), percent, human_bytes(sync.left),
                                human_bytes(sync.total));
            if (sync.rate > 0) {
                out_ << fmt::format(", {}/s", human_bytes(sync.rate));
            }
            if (sync.seconds_left) {
                out_ << fmt::format(", {} to go", time_text(*sync.seconds_left));
            }
            if (!sync.waits_for.empty()) {
                out_ << ", waits for " << sync.waits_for;
            }
            out_ << '\n';
        }
        if (sync.differing > 0) {
            out_ << indent
                 << warn(fmt::format("verify found {} to differ", human_bytes(sync.differing)))
                 << '\n';
        }
    }

    void print_reasons(const ResourceStatus& resource, const DaemonResource* daemon) {
        const auto& kernel = resource.kernel;
        if (resource.suspended || resource.failing) {
            note(resource.failing ? "I/O fails" : "I/O is held", kernel.reason);
        }
        if (kernel.suspended) {
            note("suspended", fmt::format("by an administrator; 'braidadm resume-io {}' ends that",
                                          resource.name));
        }
        if (kernel.suspect) {
            note("suspect", "this node's replica may have lost acknowledged writes");
        }
        if (!kernel.config) {
            note("no configuration", "the resource was not initialised, or no member was met yet");
        }
        if (daemon != nullptr) {
            print_daemon_reasons(*daemon, resource.role == "Primary");
        }
    }

    void print_daemon_reasons(const DaemonResource& daemon, bool primary) {
        if (!daemon.ready) {
            note("not ready", daemon.why);
        }
        if (primary && daemon.held.cause != "none") {
            note("to go on", daemon.held.text);
        }
        // That another node is Primary is no trouble; it is what a Secondary is for.
        if (!primary && daemon.promotion.cause != "none" &&
            (style_.verbose || daemon.promotion.cause != "writer-elsewhere")) {
            note("cannot become Primary", daemon.promotion.text);
        }
        for (const auto& fork : daemon.forks) {
            note("other history",
                 fmt::format("{} ({}), parted {}at epoch {}; {} changed here, {} there", fork.name,
                             fork.relation,
                             fork.age_ms > 0
                                 ? fmt::format("{} ago, ", time_text(static_cast<std::uint64_t>(
                                                               fork.age_ms / 1000)))
                                 : "",
                             fork.epoch, human_bytes(fork.ours), human_bytes(fork.theirs)));
        }
    }

    void note(std::string_view what, std::string_view why) {
        out_ << "  " << warn(what) << ": " << why << '\n';
    }

    void print_witness(const DaemonResource& resource) {
        out_ << fmt::format("{} role:Witness", resource.name);
        if (resource.epoch > 0) {
            out_ << fmt::format(" epoch:{} writer:{}", resource.epoch,
                                resource.writer.value_or("none"));
        }
        out_ << '\n';
        std::size_t width = 0;
        for (const auto& each : resource.members) {
            width = std::max(width, each.name.size());
        }
        for (const auto& each : resource.members) {
            if (each.node == resource.node) {
                continue;
            }
            out_ << fmt::format("  {:<{}} role:{} {}{}\n", each.name, width,
                                each.role == "witness"         ? "Witness"
                                : resource.writer == each.name ? "Primary"
                                                               : "Secondary",
                                each.up ? std::string("reached") : warn("not reached"),
                                each.role != "diskful" ? ""
                                : each.in_sync         ? " in-sync:yes"
                                                       : " in-sync:no");
            print_not_connected(each.name);
        }
        if (!resource.ready) {
            note("not ready", resource.why);
        }
        out_ << '\n';
    }

    void print_daemon() {
        if (report_.daemon_problem) {
            out_ << fmt::format(
                "braid-satellite: {}. Shown is what the kernel knows; nothing connects lost peers, "
                "and no role changes, until it answers.\n",
                report_.daemon_problem->cause);
            return;
        }
        for (const auto& each : report_.daemon->refusals) {
            out_ << fmt::format("refused: {}{}: {} ({} times, last {:%Y-%m-%d %H:%M:%S} UTC)\n",
                                each.address, each.node.empty() ? "" : " (" + each.node + ")",
                                each.why, each.count, fmt::gmtime(std::time_t{each.last}));
        }
    }

    /// Members that only vote, of which the kernel knows nothing.
    [[nodiscard]] static std::vector<DaemonMember> witnesses(const DaemonResource* daemon) {
        std::vector<DaemonMember> all;
        if (daemon != nullptr) {
            std::ranges::copy_if(daemon->members, std::back_inserter(all),
                                 [](const auto& each) { return each.role == "witness"; });
        }
        return all;
    }

    std::ostream& out_;
    const StatusReport& report_;
    TextStyle style_;
};

}  // namespace

std::string human_bytes(std::uint64_t bytes) {
    constexpr std::array units{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        return fmt::format("{} B", bytes);
    }
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    value /= 1024;
    while (value >= 1024 && unit + 1 < units.size()) {
        value /= 1024;
        unit++;
    }
    return fmt::format("{:.1f} {}", value, units.at(unit));
}

std::string progress_bar(double percent) {
    const auto full = static_cast<std::size_t>(std::clamp(percent, 0.0, 100.0) / 100.0 * bar_width);
    std::string bar(full, '=');
    if (full < bar_width) {
        bar += '>';
        bar.append(bar_width - full - 1, '.');
    }
    return "[" + bar + "]";
}

void print_status_text(std::ostream& out, const StatusReport& report, TextStyle style) {
    TextPrinter(out, report, style).print();
}

}  // namespace braid::cli
