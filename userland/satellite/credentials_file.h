// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/stat.h>

#include <functional>
#include <memory>
#include <string>

#include "sys/tls.h"

namespace braid::satellite {

/// The node's file of credentials: one that was replaced serves from the next connection on.
class CredentialsFile {
  public:
    /// `log` gets what is wrong with a new file, once for each file.
    CredentialsFile(std::string path, std::function<void(const std::string&)> log)
        : path_(std::move(path)), log_(std::move(log)) {}

    /// Those of the file; of the one before, while a new file is not in order; null if there
    /// were none yet. Costs a stat(2).
    [[nodiscard]] std::shared_ptr<const sys::TlsCredentials> current();

  private:
    void load();

    std::string path_;
    std::function<void(const std::string&)> log_;
    struct stat seen_ {};
    bool looked_ = false;
    std::shared_ptr<const sys::TlsCredentials> credentials_;
};

}  // namespace braid::satellite
