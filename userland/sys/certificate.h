// SPDX-License-Identifier: GPL-2.0-or-later
//
// X.509 certificates over GnuTLS. All take and give PEM text; files, names of files and lifetimes
// are the caller's.
//
// Keys are ECDSA on P-256: hardware of the last ten years makes it as fast as Ed25519, GnuTLS
// also allows it in FIPS mode, and everything else that may talk to a node later (gRPC's
// BoringSSL, browsers) accepts it, which cannot be said of Ed25519.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "sys/result.h"

namespace braid::sys {

struct Validity {
    std::chrono::sys_seconds from;
    std::chrono::sys_seconds until;

    bool operator==(const Validity&) const = default;
};

struct CertificateInfo {
    bool authority = false;
    /// Name of the node; empty for an authority.
    std::string node;
    /// Id of the cluster, of the authority that signed it or is it.
    std::string cluster;
    Validity validity;
    /// SHA-256 of the certificate, in hexadecimal.
    std::string fingerprint;
};

/// Whether a node can have this name: 1 to 64 letters, digits, dots, hyphens and underscores, the
/// first a letter or digit.
[[nodiscard]] bool is_node_name(std::string_view name);

/// A new cluster's authority: its private key and certificate.
[[nodiscard]] Result<std::string> make_authority(const std::string& cluster,
                                                 const Validity& validity);

/// What a node needs: a new private key, the node's certificate and the authority's. `authority`
/// is what make_authority() gave. The certificate is for server and client, and does not outlive
/// the authority's.
[[nodiscard]] Result<std::string> issue_certificate(const std::string& authority,
                                                    const std::string& node,
                                                    const Validity& validity);

/// The certificates in a text, in their order; at least one.
[[nodiscard]] Result<std::vector<CertificateInfo>> describe_certificates(const std::string& pem);

/// Checks what issue_certificate() gave: the key belongs to the first certificate, which is a
/// node's and was signed by an authority that follows it, and both are valid at that time.
/// Returns the node's.
[[nodiscard]] Result<CertificateInfo> check_node_certificate(const std::string& pem,
                                                             std::chrono::sys_seconds now);

}  // namespace braid::sys
