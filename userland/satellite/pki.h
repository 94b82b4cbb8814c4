// SPDX-License-Identifier: GPL-2.0-or-later
//
// The certificates of a cluster as files. A node needs one, node.pem: its private key, its
// certificate, the authority's certificate. Where the cluster was made there is authority.pem as
// well, with the authority's private key; it is needed to issue certificates and for nothing
// else. Every change replaces a file as a whole.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "sys/certificate.h"
#include "sys/file_content.h"
#include "sys/result.h"

namespace braid::satellite {

inline constexpr const char* pki_directory = "/etc/braid/pki";

/// A certificate is valid from this long before it was made: hosts start with clocks that are
/// wrong by a time zone until they have asked for the time.
inline constexpr std::chrono::hours clock_margin{24};

inline constexpr std::chrono::days authority_lifetime{20 * 365};
inline constexpr std::chrono::days node_lifetime{3 * 365};
/// How long before the end it is warned about.
inline constexpr std::chrono::days expiry_warning{60};

class Pki {
  public:
    explicit Pki(std::string directory = pki_directory) : directory_(std::move(directory)) {}

    [[nodiscard]] std::string node_file() const { return directory_ + "/node.pem"; }
    [[nodiscard]] std::string authority_file() const { return directory_ + "/authority.pem"; }

    /// A new cluster: an authority with a random id, and the certificate of this node. EEXIST if
    /// the directory has an authority or a certificate, which `replace` forgets for good.
    [[nodiscard]] sys::Result<sys::CertificateInfo> init(const std::string& node,
                                                         sys::Existing existing,
                                                         std::chrono::sys_seconds now) const;

    /// What a node needs: its private key, its certificate, and the authority's.
    struct Issued {
        sys::CertificateInfo info{};
        std::string bundle{};
    };
    /// Made here and kept nowhere. ENOENT where the authority's key is not.
    [[nodiscard]] sys::Result<Issued> make(const std::string& node, std::chrono::days lifetime,
                                           std::chrono::sys_seconds now) const;

    /// Writes that to `file`, mode 0600.
    [[nodiscard]] sys::Result<sys::CertificateInfo> issue(const std::string& node,
                                                          const std::string& file,
                                                          sys::Existing existing,
                                                          std::chrono::days lifetime,
                                                          std::chrono::sys_seconds now) const;

    /// Checks a bundle, which came from `source`, and puts it in place. EINVAL if it is another
    /// node's.
    [[nodiscard]] sys::Result<sys::CertificateInfo> install(const std::string& bundle,
                                                            const std::string& source,
                                                            const std::string& node,
                                                            sys::Existing existing,
                                                            std::chrono::sys_seconds now) const;

    /// All certificates in the files that are there, this node's first; empty if there are none.
    [[nodiscard]] sys::Result<std::vector<sys::CertificateInfo>> show() const;

  private:
    [[nodiscard]] sys::Result<void> make_directory() const;

    std::string directory_;
};

/// "expired" or "expires in N days", if that is near enough to tell an administrator.
[[nodiscard]] std::optional<std::string> expiry(const sys::CertificateInfo& info,
                                                std::chrono::sys_seconds now);

}  // namespace braid::satellite
