// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/blkid.h"

#include <blkid/blkid.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>

namespace braid::sys {

namespace {

using Probe = std::unique_ptr<blkid_struct_probe, decltype(&blkid_free_probe)>;

tl::unexpected<Error> failure(const std::string& path) {
    const int number = errno != 0 ? errno : EIO;
    return tl::unexpected(Error{number, path + ": cannot be searched for signatures: " +
                                            std::generic_category().message(number)});
}

std::string lookup(blkid_probe probe, const char* name) {
    const char* value = nullptr;
    return blkid_probe_lookup_value(probe, name, &value, nullptr) == 0 ? value : std::string();
}

}  // namespace

Result<std::vector<Signature>> LibBlkid::signatures(const std::string& path) {
    errno = 0;
    const Probe probe(blkid_new_probe_from_filename(path.c_str()), &blkid_free_probe);
    if (!probe) {
        return failure(path);
    }
    blkid_probe_enable_superblocks(probe.get(), 1);
    blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE);
    blkid_probe_enable_partitions(probe.get(), 1);
    std::vector<Signature> found;
    for (;;) {
        const int status = blkid_do_probe(probe.get());
        if (status < 0) {
            return failure(path);
        }
        if (status > 0) {
            return found;
        }
        Signature signature{lookup(probe.get(), "USAGE"), lookup(probe.get(), "TYPE")};
        if (signature.type.empty()) {
            signature = {"partition table", lookup(probe.get(), "PTTYPE")};
        }
        const auto same = [&](const Signature& other) { return other.type == signature.type; };
        if (std::ranges::none_of(found, same)) {  // a backup of the same
            found.push_back(std::move(signature));
        }
    }
}

}  // namespace braid::sys
