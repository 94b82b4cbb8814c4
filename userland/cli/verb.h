// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a verb of braidadm is, and what it is given. Each verb is a file
// verb_<name>.cpp and a row of the table in braidadm.cpp.
#pragma once

#include <unistd.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sys/blkid.h"
#include "sys/block_device.h"
#include "sys/command.h"
#include "sys/config_files.h"
#include "sys/kernel_module.h"
#include "sys/local_socket.h"
#include "sys/netlink.h"
#include "sys/netlink_gen.h"

namespace CLI {
class App;
}

namespace braid::cli {

/// Exit status, as documented in braidadm(8).
enum class ExitCode {
    ok = 0,
    failure = 1,
    usage = 2,
    module_not_loaded = 3,
    no_daemon = 4,
    refused = 5,  ///< by the node daemon: it says why
    timed_out = 6,
    config_invalid = 10,
};

/// What a verb needs of the outside world.
struct Context {
    std::ostream& out;
    std::ostream& err;
    sys::KernelModule module;
    std::function<sys::NetlinkResult<std::unique_ptr<sys::Netlink>>()> open_netlink;
    std::function<sys::Result<std::unique_ptr<sys::BlockDevice>>(const std::string& path,
                                                                 sys::BlockDevice::Access access)>
        open_device = &sys::BlockDevice::open;
    std::shared_ptr<sys::Blkid> blkid = std::make_shared<sys::LibBlkid>();
    /// The name of this host in the configuration.
    std::string host = sys::host_name();
    /// A line to the node daemon, and its answer, which is waited for as long as `most`.
    std::function<sys::Result<std::string>(const std::string& line, std::chrono::milliseconds most)>
        ask_daemon = [](const std::string& line, std::chrono::milliseconds most) {
            return sys::ask_local(sys::daemon_socket, line, most);
        };
    /// The module's events, from now on.
    std::function<sys::NetlinkResult<std::unique_ptr<sys::NetlinkEvents>>()> open_events = [] {
        return sys::NetlinkSubscription::open(std::string(netlink::family_name),
                                              std::string(netlink::group_events));
    };
    /// How long the end of an operation in the kernel is waited for.
    std::chrono::milliseconds patience{30000};
    /// Programs of LVM and ZFS.
    sys::RunCommand run_command = [](const std::vector<std::string>& words) {
        return sys::run_command(words);
    };
    /// Standard input, to its end.
    std::function<std::string()> read_input = [] {
        return std::string(std::istreambuf_iterator<char>(std::cin), {});
    };
    /// Somebody looks at `out`, and may like colours.
    bool terminal = isatty(STDOUT_FILENO) == 1;
};

/// An error for a person, printed as "braidadm: what: cause", then `remedy` on a
/// line of its own.
struct Failure {
    ExitCode code = ExitCode::failure;
    std::string what;
    std::string cause;
    std::string remedy;
};

void print(std::ostream& err, const Failure& failure);
/// The exit status of what was tried; why it failed is printed.
[[nodiscard]] ExitCode finish(const Context& context, const sys::Result<void, Failure>& done);

using Action = std::function<ExitCode(Context&)>;

struct Verb {
    std::string_view name;
    std::string_view summary;
    /// Adds the verb's options to its command; the action runs after parsing.
    Action (*configure)(CLI::App& command);
};

Action configure_version(CLI::App& command);
Action configure_create_md(CLI::App& command);
Action configure_dump(CLI::App& command);
Action configure_dump_md(CLI::App& command);
Action configure_status(CLI::App& command);
Action configure_events(CLI::App& command);
Action configure_role(CLI::App& command);
Action configure_dstate(CLI::App& command);
Action configure_cstate(CLI::App& command);
Action configure_wait_connect(CLI::App& command);
Action configure_wait_sync(CLI::App& command);
Action configure_sh_nop(CLI::App& command);
Action configure_sh_resources(CLI::App& command);
Action configure_wipe_md(CLI::App& command);
Action configure_cert(CLI::App& command);
Action configure_init(CLI::App& command);
Action configure_primary(CLI::App& command);
Action configure_secondary(CLI::App& command);
Action configure_explain(CLI::App& command);
Action configure_history(CLI::App& command);
Action configure_migrate(CLI::App& command);
Action configure_end_migrate(CLI::App& command);
Action configure_resolve(CLI::App& command);
Action configure_add_peer(CLI::App& command);
Action configure_forget_peer(CLI::App& command);
Action configure_replace(CLI::App& command);
Action configure_up(CLI::App& command);
Action configure_down(CLI::App& command);
Action configure_adjust(CLI::App& command);
Action configure_attach(CLI::App& command);
Action configure_detach(CLI::App& command);
Action configure_resize(CLI::App& command);
Action configure_connect(CLI::App& command);
Action configure_disconnect(CLI::App& command);
Action configure_invalidate(CLI::App& command);
Action configure_verify(CLI::App& command);
Action configure_pause_sync(CLI::App& command);
Action configure_resume_sync(CLI::App& command);
Action configure_pool(CLI::App& command);
Action configure_drain(CLI::App& command);
Action configure_undrain(CLI::App& command);
Action configure_suspend_io(CLI::App& command);
Action configure_resume_io(CLI::App& command);

}  // namespace braid::cli
