// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/thin_pool.h"

#include <fmt/format.h>
#include <libdevmapper.h>

#include <cerrno>
#include <cstdarg>
#include <memory>
#include <string_view>
#include <system_error>

namespace braid::sys {

namespace {

struct DestroyTask {
    void operator()(dm_task* task) const { dm_task_destroy(task); }
};
struct DestroyPool {
    void operator()(dm_pool* pool) const { dm_pool_destroy(pool); }
};
using Memory = std::unique_ptr<dm_pool, DestroyPool>;

/// Where libdevmapper would write to stderr.
extern "C" void say_nothing(int, const char*, int, int, const char*, ...) {}

/// The line of a device's only target; nothing if there is no such device.
Result<std::optional<std::string>> status_of(const std::string& name) {
    const std::unique_ptr<dm_task, DestroyTask> task(dm_task_create(DM_DEVICE_STATUS));
    // Without no_flush the kernel would write metadata first, and wait for that.
    if (task == nullptr || dm_task_set_name(task.get(), name.c_str()) == 0 ||
        dm_task_no_flush(task.get()) == 0) {
        return tl::unexpected(Error{ENOMEM, fmt::format("{}: libdevmapper has no memory", name)});
    }
    if (dm_task_run(task.get()) == 0) {
        const int number = dm_task_get_errno(task.get());
        if (number == ENXIO) {
            return std::nullopt;
        }
        return tl::unexpected(Error{
            number == 0 ? EIO : number,
            fmt::format("{}: device mapper: {}", name,
                        number == 0 ? "not available" : std::generic_category().message(number))});
    }
    std::uint64_t start = 0;
    std::uint64_t length = 0;
    char* type = nullptr;
    char* status = nullptr;
    dm_get_next_target(task.get(), nullptr, &start, &length, &type, &status);
    if (type == nullptr || std::string_view(type) != "thin-pool" || status == nullptr) {
        return std::nullopt;
    }
    return status;
}

}  // namespace

std::optional<ThinPoolState> parse_thin_pool(const std::string& status) {
    const Memory memory(dm_pool_create("status", 1024));
    dm_status_thin_pool* parsed = nullptr;
    if (memory == nullptr || dm_get_status_thin_pool(memory.get(), status.c_str(), &parsed) == 0 ||
        parsed == nullptr) {
        return std::nullopt;
    }
    ThinPoolState state;
    state.data_used = parsed->used_data_blocks;
    state.data_total = parsed->total_data_blocks;
    state.metadata_used = parsed->used_metadata_blocks;
    state.metadata_total = parsed->total_metadata_blocks;
    state.full = parsed->out_of_data_space != 0;
    state.read_only = parsed->read_only != 0 || parsed->needs_check != 0;
    state.failed = parsed->fail != 0 || parsed->error != 0;
    state.errors_when_full = parsed->error_if_no_space != 0;
    return state;
}

Result<std::optional<ThinPoolState>> LibDevmapper::state(const std::string& group,
                                                         const std::string& pool) {
    dm_log_with_errno_init(&say_nothing);
    const Memory memory(dm_pool_create("names", 1024));
    if (memory == nullptr) {
        return tl::unexpected(Error{ENOMEM, "libdevmapper has no memory"});
    }
    // The first one is what it is called while it has volumes.
    for (const char* layer : {"tpool", ""}) {
        const char* name = dm_build_dm_name(memory.get(), group.c_str(), pool.c_str(), layer);
        const auto status =
            name == nullptr ? Result<std::optional<std::string>>(std::nullopt) : status_of(name);
        if (!status) {
            return tl::unexpected(status.error());
        }
        if (!*status) {
            continue;
        }
        const auto state = parse_thin_pool(**status);
        if (!state) {
            return tl::unexpected(
                Error{EPROTO, fmt::format("{}: its status makes no sense: {}", name, **status)});
        }
        return state;
    }
    return std::nullopt;
}

}  // namespace braid::sys
