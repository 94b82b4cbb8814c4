// SPDX-License-Identifier: GPL-2.0-or-later
//
// What braidadm status has found out, and its two forms.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "cli/daemon_view.h"
#include "cli/states.h"

namespace braid::cli {

struct StatusReport {
    std::vector<ResourceStatus> resources{};  ///< that the kernel has
    std::vector<DaemonResource> witnesses{};  ///< where this node only votes
    std::vector<std::string> down{};          ///< asked for by name, configured, and not up
    std::optional<DaemonView> daemon{};
    std::optional<Failure> daemon_problem{};  ///< why there is no `daemon`
};

struct TextStyle {
    bool colour = false;
    bool verbose = false;
};

void print_status_text(std::ostream& out, const StatusReport& report, TextStyle style);

/// braidadm(8) has the list of members.
void print_status_json(std::ostream& out, const StatusReport& report);

/// "1.5 GiB".
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);

/// "[=====>....]" of so many per cent.
[[nodiscard]] std::string progress_bar(double percent);

/// Name of an entry; its number where the tables have none.
[[nodiscard]] std::string enum_name(const netlink::Enum& values, std::uint64_t value);

}  // namespace braid::cli
