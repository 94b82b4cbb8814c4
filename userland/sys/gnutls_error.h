// SPDX-License-Identifier: GPL-2.0-or-later
//
// For the files that call GnuTLS.
#pragma once

#include <gnutls/gnutls.h>

#include <cerrno>
#include <memory>
#include <new>
#include <string>
#include <type_traits>

#include "sys/result.h"

namespace braid::sys {

/// Owns one of GnuTLS's objects, which are pointers to structures it does not show.
template <class Handle, void (*free_handle)(Handle)>
struct GnutlsFree {
    void operator()(Handle handle) const { free_handle(handle); }
};
template <class Handle, void (*free_handle)(Handle)>
using Gnutls = std::unique_ptr<std::remove_pointer_t<Handle>, GnutlsFree<Handle, free_handle>>;

/// Throws on a lack of memory, about which nobody can do anything.
inline void require(int gnutls_status) {
    if (gnutls_status < 0) {
        throw std::bad_alloc();
    }
}

inline Error gnutls_failure(const std::string& what, int gnutls_status) {
    return {EPROTO, what + ": " + gnutls_strerror(gnutls_status)};
}

/// Text that GnuTLS allocated.
class GnutlsText {
  public:
    GnutlsText() = default;
    ~GnutlsText() { gnutls_free(datum_.data); }
    GnutlsText(const GnutlsText&) = delete;
    GnutlsText& operator=(const GnutlsText&) = delete;

    gnutls_datum_t* out() { return &datum_; }
    [[nodiscard]] std::string text() const {
        return datum_.data == nullptr
                   ? std::string()
                   : std::string(reinterpret_cast<const char*>(datum_.data), datum_.size);
    }

  private:
    gnutls_datum_t datum_{};
};

/// A view for functions that take no const but do not write.
inline gnutls_datum_t gnutls_view(const std::string& text) {
    return {reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())),
            static_cast<unsigned>(text.size())};
}

}  // namespace braid::sys
