// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm wipe-md: forget a replica. Its data stays.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <memory>
#include <ostream>

#include "cli/metadata.h"
#include "cli/verb.h"

namespace braid::cli {

namespace {

Attempt<void> wipe(Context& context, const ReplicaOptions& options) {
    const auto own = options.choose_one(context);
    if (!own) {
        return tl::unexpected(own.error());
    }
    const auto devices = Devices::open(context, {own->volume.disk, own->volume.meta_disk},
                                       sys::BlockDevice::Access::exclusive);
    if (!devices) {
        return tl::unexpected(devices.error());
    }
    sys::BlockDevice& device = devices->holder();
    const auto copies = read_superblocks(device, devices->external());
    if (!copies) {
        return tl::unexpected(copies.error());
    }
    const bool none = std::ranges::all_of(
        *copies, [](const SuperblockCopy& copy) { return copy.result == BRAID_ONDISK_NONE; });
    if (none) {
        return tl::unexpected(Failure{
            ExitCode::failure, device.path(),
            fmt::format("has no {} Braid metadata", devices->external() ? "external" : "internal"),
            "Nothing was changed."});
    }
    if (auto erased = erase_superblocks(device, devices->external()); !erased) {
        return erased;
    }
    context.out << device.path() << ": metadata wiped\n";
    return {};
}

}  // namespace

Action configure_wipe_md(CLI::App& command) {
    auto options = std::make_shared<ReplicaOptions>();
    options->add_to(command);
    return [options](Context& context) { return finish(context, wipe(context, *options)); };
}

}  // namespace braid::cli
