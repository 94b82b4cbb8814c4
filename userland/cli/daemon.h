// SPDX-License-Identifier: GPL-2.0-or-later
//
// What braidadm asks the node daemon: README.md of the satellite, "What braidadm asks".
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/verb.h"

namespace braid::cli {

/// The answer to a request, or why there is none within `most`. That the daemon refuses is an
/// answer.
[[nodiscard]] sys::Result<nlohmann::json, Failure> ask_daemon(
    const Context& context, const nlohmann::json& request,
    std::chrono::milliseconds most = sys::daemon_patience);

/// As ask_daemon(); that the daemon refuses is a failure, about `what`.
[[nodiscard]] sys::Result<nlohmann::json, Failure> tell_daemon(
    const Context& context, const std::string& what, const nlohmann::json& request,
    std::chrono::milliseconds most = sys::daemon_patience);

/// After a change of the kernel's resources or of the configuration: the daemon looks at both. That
/// there is no daemon is a warning only.
[[nodiscard]] ExitCode reload_daemon(const Context& context);

}  // namespace braid::cli
