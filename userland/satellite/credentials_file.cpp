// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/credentials_file.h"

#include <chrono>

#include "sys/file_content.h"

namespace braid::satellite {

namespace {

/// Files are replaced by a rename, so the inode tells most of it.
bool same(const struct stat& a, const struct stat& b) {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
           a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

}  // namespace

std::shared_ptr<const sys::TlsCredentials> CredentialsFile::current() {
    struct stat now {};
    if (stat(path_.c_str(), &now) != 0) {
        now = {};
    }
    if (!looked_ || !same(seen_, now)) {
        looked_ = true;
        seen_ = now;
        load();
    }
    return credentials_;
}

void CredentialsFile::load() {
    const auto text = sys::read_file(path_);
    if (!text) {
        log_(text.error().message);
        return;
    }
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    auto checked = sys::check_node_certificate(*text, now);
    if (!checked) {
        log_(path_ + ": " + checked.error().message);
    }
    auto loaded = sys::TlsCredentials::from_pem(*text);
    if (!loaded) {
        log_(path_ + ": " + loaded.error().message);
        return;
    }
    if (checked || credentials_ == nullptr) {
        credentials_ = *loaded;
    }
}

}  // namespace braid::satellite
