// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/pki.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

namespace braid::satellite {

namespace {

using std::chrono::days;
using std::chrono::sys_seconds;
using sys::CertificateInfo;
using sys::Existing;
using sys::Result;

constexpr mode_t private_mode = 0600;

tl::unexpected<sys::Error> about(const std::string& path, sys::Error error) {
    error.message = path + ": " + error.message;
    return tl::unexpected(std::move(error));
}

sys::Validity lifetime_from(sys_seconds now, days lifetime) {
    return {now - clock_margin, now + lifetime};
}

std::string random_id() {
    std::random_device random;
    return fmt::format("{:08x}{:08x}", random(), random());
}

bool exists(const std::string& path) {
    std::error_code ignored;
    return std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
}

Result<CertificateInfo> info_of(const std::string& pem) {
    auto infos = sys::describe_certificates(pem);
    if (!infos) {
        return tl::unexpected(infos.error());
    }
    return std::move(infos->front());
}

}  // namespace

Result<void> Pki::make_directory() const {
    std::error_code error;
    const std::filesystem::path path(directory_);
    if (std::filesystem::create_directories(path, error)) {
        std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
    }
    if (error) {
        return tl::unexpected(sys::Error{error.value(), directory_ + ": " + error.message()});
    }
    return {};
}

Result<CertificateInfo> Pki::init(const std::string& node, Existing existing,
                                  sys_seconds now) const {
    for (const std::string& file : {authority_file(), node_file()}) {
        if (existing == Existing::refuse && exists(file)) {
            return tl::unexpected(sys::Error{EEXIST, file + ": is there already"});
        }
    }
    const auto authority = sys::make_authority(random_id(), lifetime_from(now, authority_lifetime));
    if (!authority) {
        return tl::unexpected(authority.error());
    }
    // Both are made before either is written: what can be refused is refused by then.
    const auto bundle = sys::issue_certificate(*authority, node, lifetime_from(now, node_lifetime));
    if (!bundle) {
        return tl::unexpected(bundle.error());
    }
    // The authority first: `cert renew` makes the node's from it after a crash in between.
    auto written = make_directory();
    if (written) {
        written = sys::write_file(authority_file(), *authority, private_mode, existing);
    }
    if (written) {
        written = sys::write_file(node_file(), *bundle, private_mode, existing);
    }
    if (!written) {
        return tl::unexpected(written.error());
    }
    return info_of(*bundle);
}

Result<Pki::Issued> Pki::make(const std::string& node, days lifetime, sys_seconds now) const {
    const auto authority = sys::read_file(authority_file());
    if (!authority) {
        return tl::unexpected(authority.error());
    }
    auto bundle = sys::issue_certificate(*authority, node, lifetime_from(now, lifetime));
    if (!bundle) {
        return about(authority_file(), bundle.error());
    }
    // An expired authority is told here and not on the node that it was carried to.
    auto info = sys::check_node_certificate(*bundle, now);
    if (!info) {
        return about(authority_file(), info.error());
    }
    return Issued{std::move(*info), std::move(*bundle)};
}

Result<CertificateInfo> Pki::issue(const std::string& node, const std::string& file,
                                   Existing existing, days lifetime, sys_seconds now) const {
    auto made = make(node, lifetime, now);
    if (!made) {
        return tl::unexpected(made.error());
    }
    if (auto written = sys::write_file(file, made->bundle, private_mode, existing); !written) {
        return tl::unexpected(written.error());
    }
    return std::move(made->info);
}

Result<CertificateInfo> Pki::install(const std::string& bundle, const std::string& source,
                                     const std::string& node, Existing existing,
                                     sys_seconds now) const {
    auto info = sys::check_node_certificate(bundle, now);
    if (!info) {
        return about(source, info.error());
    }
    if (info->node != node) {
        return about(
            source, {EINVAL, fmt::format("is for node {}, but this node is {}", info->node, node)});
    }
    auto written = make_directory();
    if (written) {
        written = sys::write_file(node_file(), bundle, private_mode, existing);
    }
    if (!written) {
        return tl::unexpected(written.error());
    }
    return info;
}

Result<std::vector<CertificateInfo>> Pki::show() const {
    std::vector<CertificateInfo> all;
    for (const std::string& file : {node_file(), authority_file()}) {
        if (!exists(file)) {
            continue;
        }
        const auto text = sys::read_file(file);
        if (!text) {
            return tl::unexpected(text.error());
        }
        auto infos = sys::describe_certificates(*text);
        if (!infos) {
            return about(file, infos.error());
        }
        for (CertificateInfo& info : *infos) {
            const auto same = [&](const CertificateInfo& other) {
                return other.fingerprint == info.fingerprint;
            };
            if (std::ranges::none_of(all, same)) {
                all.push_back(std::move(info));
            }
        }
    }
    return all;
}

std::optional<std::string> expiry(const CertificateInfo& info, sys_seconds now) {
    if (now >= info.validity.until) {
        return "expired";
    }
    const auto left = std::chrono::floor<days>(info.validity.until - now);
    if (left >= expiry_warning) {
        return std::nullopt;
    }
    return fmt::format("expires in {} days", left.count());
}

}  // namespace braid::satellite
