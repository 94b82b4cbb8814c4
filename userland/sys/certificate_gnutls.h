// SPDX-License-Identifier: GPL-2.0-or-later
//
// Certificates in GnuTLS's form, for the files that call it.
#pragma once

#include <gnutls/x509.h>

#include "sys/certificate.h"

namespace braid::sys {

/// Name of the node whose certificate this is; empty if it is nobody's, or several.
[[nodiscard]] std::string certificate_node(gnutls_x509_crt_t certificate);

[[nodiscard]] CertificateInfo certificate_info(gnutls_x509_crt_t certificate);

}  // namespace braid::sys
