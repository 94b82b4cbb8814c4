// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a verb of braidadm is, and what it is given. Each verb is a file
// verb_<name>.cpp and a row of the table in braidadm.cpp.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>

#include "sys/blkid.h"
#include "sys/block_device.h"
#include "sys/kernel_module.h"
#include "sys/netlink.h"

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
Action configure_sh_nop(CLI::App& command);
Action configure_sh_resources(CLI::App& command);
Action configure_wipe_md(CLI::App& command);
Action configure_cert(CLI::App& command);

}  // namespace braid::cli
