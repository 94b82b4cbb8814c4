// SPDX-License-Identifier: GPL-2.0-or-later
//
// TLS 1.3 between nodes, over GnuTLS, on sockets that do not block; and how such a session is
// left, for the kernel's TLS or for none.
//
// Both sides show a certificate. There are no session tickets and no key updates, because kernel
// TLS cannot take either. Never are more bytes taken from the socket than the record that GnuTLS
// is about to read, so that what comes after it is still there for who gets the socket.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "sys/certificate.h"
#include "sys/result.h"

namespace braid::sys {

/// What a node shows and whom it believes.
class TlsCredentials {
  public:
    /// `pem` is what issue_certificate() gave; whether it is valid now is not looked at.
    [[nodiscard]] static Result<std::shared_ptr<const TlsCredentials>> from_pem(
        const std::string& pem);

    [[nodiscard]] const CertificateInfo& own() const { return own_; }

  private:
    friend class TlsSession;
    struct Handle;

    std::shared_ptr<Handle> handle_;
    CertificateInfo own_;
};

class TlsSession {
  public:
    enum class Role { client, server };

    /// Why a peer with this (genuine) certificate is not talked to; empty if it is.
    using Check = std::function<std::string(const CertificateInfo& peer)>;

    /// The session does not own the socket. `check` is called during the handshake, before the
    /// peer learns whether it is trusted.
    TlsSession(Role role, std::shared_ptr<const TlsCredentials> credentials, int fd, Check check);
    ~TlsSession();
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;

    /// EAGAIN until it is done: try again when the socket is ready for what wants_write() says.
    /// Any other error is final, and says what the peer did or why it was refused.
    [[nodiscard]] Result<void> handshake();

    /// How many bytes were taken or are there, EAGAIN as above; 0 received: the peer has closed.
    /// After EAGAIN a send has to be repeated with the same bytes.
    [[nodiscard]] Result<std::size_t> send(std::span<const char> bytes);
    [[nodiscard]] Result<std::size_t> receive(std::span<char> room);

    /// What the last EAGAIN waits for: to send, or else to receive.
    [[nodiscard]] bool wants_write() const;

    /// The peer's certificate, also of one that was refused, once it was shown.
    [[nodiscard]] const CertificateInfo& peer() const;

    /// Text such as "AES-128-GCM".
    [[nodiscard]] std::string cipher() const;

    /// Says that nothing more will be sent. Does not wait.
    void bye();

    /// Hands the socket's encryption to the kernel, both directions. Only between records: all
    /// sent, nothing received and not yet taken. The session is over afterwards, also on errors.
    [[nodiscard]] Result<void> to_kernel();

    /// As to_kernel(), but what follows on the socket is in the clear.
    [[nodiscard]] Result<void> to_plain();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace braid::sys
