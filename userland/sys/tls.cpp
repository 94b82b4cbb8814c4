// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/tls.h"

#include <fmt/format.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "sys/certificate_gnutls.h"
#include "sys/gnutls_error.h"

namespace braid::sys {

namespace {

/// Only what both ends' kernels can go on with; the first that both have is used.
constexpr const char* priorities =
    "NONE:+VERS-TLS1.3:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD:+SHA256:+SHA384:"
    "+GROUP-X25519:+GROUP-SECP256R1:+SIGN-ECDSA-SECP256R1-SHA256:+CTYPE-X509";

/// Version of what is spoken inside; another one is offered beside it.
const std::string application = "braid/1";

/// A stranger makes us read no more than this: ten times what a handshake of nodes takes.
constexpr std::size_t handshake_bytes_max = 32768;

constexpr std::size_t record_header_bytes = 5;

constexpr int sol_tls = 282;

using CredentialsHandle =
    Gnutls<gnutls_certificate_credentials_t, gnutls_certificate_free_credentials>;
using SessionHandle = Gnutls<gnutls_session_t, gnutls_deinit>;

tl::unexpected<Error> failure(int number, std::string message) {
    return tl::unexpected(Error{number, std::move(message)});
}

std::string verification_text(unsigned status) {
    if ((status & GNUTLS_CERT_EXPIRED) != 0) {
        return "its certificate or the authority's has expired";
    }
    if ((status & GNUTLS_CERT_NOT_ACTIVATED) != 0) {
        return "its certificate is not valid yet; are the clocks of both nodes right?";
    }
    if ((status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNATURE_FAILURE)) != 0) {
        return "its certificate is not of this cluster's authority";
    }
    GnutlsText text;
    require(gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, text.out(), 0));
    return text.text();
}

}  // namespace

struct TlsCredentials::Handle {
    CredentialsHandle credentials;
};

Result<std::shared_ptr<const TlsCredentials>> TlsCredentials::from_pem(const std::string& pem) {
    auto made = std::make_shared<TlsCredentials>();
    const auto infos = describe_certificates(pem);
    if (!infos) {
        return tl::unexpected(infos.error());
    }
    made->own_ = infos->front();
    gnutls_certificate_credentials_t credentials = nullptr;
    require(gnutls_certificate_allocate_credentials(&credentials));
    made->handle_ = std::make_shared<Handle>();
    made->handle_->credentials.reset(credentials);
    // Its own certificate is the first and shown to peers, the authorities' follow and are not.
    const std::size_t rest = pem.find("-----BEGIN CERTIFICATE", pem.find("-----END CERTIFICATE"));
    if (made->own_.node.empty() || rest == std::string::npos) {
        return failure(EINVAL, "has no certificate of a node with its authority's");
    }
    const std::string own = pem.substr(0, rest);
    const std::string authorities = pem.substr(rest);
    const gnutls_datum_t own_text = gnutls_view(own);
    const gnutls_datum_t trusted = gnutls_view(authorities);
    int status =
        gnutls_certificate_set_x509_key_mem(credentials, &own_text, &own_text, GNUTLS_X509_FMT_PEM);
    if (status >= 0) {
        status = gnutls_certificate_set_x509_trust_mem(credentials, &trusted, GNUTLS_X509_FMT_PEM);
    }
    if (status < 0) {
        return tl::unexpected(gnutls_failure("cannot be used", status));
    }
    return made;
}

struct TlsSession::State {
    Role role = Role::client;
    std::shared_ptr<const TlsCredentials> credentials;
    int fd = -1;
    Check check;
    SessionHandle session;
    bool established = false;
    CertificateInfo peer;
    std::string refusal;
    /// Of the record that is being read: its header as far as it is known, what is left of it.
    std::array<unsigned char, record_header_bytes> header{};
    std::size_t header_bytes = 0;
    std::size_t body_left = 0;
    std::size_t taken = 0;

    static ssize_t pull(gnutls_transport_ptr_t self, void* to, std::size_t size);
    static int wait(gnutls_transport_ptr_t self, unsigned milliseconds);
    static ssize_t push(gnutls_transport_ptr_t self, const void* from, std::size_t size);
    static int verify(gnutls_session_t session);

    void track(const unsigned char* bytes, std::size_t count);
    void judge();
    [[nodiscard]] Error error(int status) const;
    [[nodiscard]] Result<void> leave() const;
    [[nodiscard]] Result<void> key(int direction) const;
};

/// Never beyond the end of a record: the next one may be for the kernel.
ssize_t TlsSession::State::pull(gnutls_transport_ptr_t self, void* to, std::size_t size) {
    auto& state = *static_cast<State*>(self);
    const std::size_t header_left = record_header_bytes - state.header_bytes;
    const std::size_t most = std::min(size, header_left > 0 ? header_left : state.body_left);
    if (!state.established && state.taken > handshake_bytes_max) {
        gnutls_transport_set_errno(state.session.get(), EMSGSIZE);
        return -1;
    }
    const ssize_t got = recv(state.fd, to, most, MSG_DONTWAIT);
    if (got < 0) {
        gnutls_transport_set_errno(state.session.get(), errno);
        return -1;
    }
    state.track(static_cast<const unsigned char*>(to), static_cast<std::size_t>(got));
    return got;
}

void TlsSession::State::track(const unsigned char* bytes, std::size_t count) {
    taken += count;
    if (header_bytes < record_header_bytes) {
        std::copy_n(bytes, count, header.data() + header_bytes);
        header_bytes += count;
        body_left = std::size_t{header[3]} << 8 | header[4];
    } else {
        body_left -= count;
    }
    if (header_bytes == record_header_bytes && body_left == 0) {
        header_bytes = 0;
    }
}

int TlsSession::State::wait(gnutls_transport_ptr_t self, unsigned milliseconds) {
    // Never waits: sessions do not block.
    static_cast<void>(milliseconds);
    pollfd socket{static_cast<State*>(self)->fd, POLLIN, 0};
    return poll(&socket, 1, 0);
}

ssize_t TlsSession::State::push(gnutls_transport_ptr_t self, const void* from, std::size_t size) {
    auto& state = *static_cast<State*>(self);
    const ssize_t sent = ::send(state.fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
        gnutls_transport_set_errno(state.session.get(), errno);
    }
    return sent;
}

/// 0 if the peer is one to talk to; the reason is kept otherwise.
int TlsSession::State::verify(gnutls_session_t session) {
    auto& state = *static_cast<State*>(gnutls_session_get_ptr(session));
    state.judge();
    return state.refusal.empty() ? 0 : -1;
}

void TlsSession::State::judge() {
    unsigned count = 0;
    const gnutls_datum_t* chain = gnutls_certificate_get_peers(session.get(), &count);
    gnutls_x509_crt_t certificate = nullptr;
    require(gnutls_x509_crt_init(&certificate));
    const Gnutls<gnutls_x509_crt_t, gnutls_x509_crt_deinit> owner(certificate);
    if (chain == nullptr || gnutls_x509_crt_import(certificate, chain, GNUTLS_X509_FMT_DER) < 0) {
        refusal = "it shows no certificate";
        return;
    }
    peer = certificate_info(certificate);
    gnutls_typed_vdata_st purpose{};
    const char* oid = role == Role::server ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER;
    purpose.type = GNUTLS_DT_KEY_PURPOSE_OID;
    purpose.data = reinterpret_cast<unsigned char*>(const_cast<char*>(oid));
    unsigned status = 0;
    const int error = gnutls_certificate_verify_peers(session.get(), &purpose, 1, &status);
    if (error < 0) {
        refusal = gnutls_strerror(error);
    } else if (status != 0) {
        refusal = verification_text(status);
    } else if (peer.node.empty()) {
        refusal = "its certificate is not a node's";
    } else {
        refusal = check(peer);
    }
}

Error TlsSession::State::error(int status) const {
    if (status == GNUTLS_E_AGAIN || status == GNUTLS_E_INTERRUPTED) {
        return {EAGAIN, {}};
    }
    if (!refusal.empty()) {
        return {EACCES, refusal};
    }
    if (status == GNUTLS_E_FATAL_ALERT_RECEIVED || status == GNUTLS_E_WARNING_ALERT_RECEIVED) {
        const char* name = gnutls_alert_get_name(gnutls_alert_get(session.get()));
        return {ECONNREFUSED,
                fmt::format("it refuses: {}; its log says why", name == nullptr ? "?" : name)};
    }
    if (status == GNUTLS_E_PREMATURE_TERMINATION) {
        return {ECONNRESET, "it closed the connection"};
    }
    if (status == GNUTLS_E_PULL_ERROR || status == GNUTLS_E_PUSH_ERROR) {
        const bool flood = !established && taken > handshake_bytes_max;
        return {ECONNRESET,
                flood ? "it sends too much before it is known" : "the connection is broken"};
    }
    if (status == GNUTLS_E_NO_CERTIFICATE_FOUND || status == GNUTLS_E_CERTIFICATE_REQUIRED) {
        return {EACCES, "it shows no certificate"};
    }
    return {EPROTO, gnutls_strerror(status)};
}

TlsSession::TlsSession(Role role, std::shared_ptr<const TlsCredentials> credentials, int fd,
                       Check check)
    : state_(std::make_unique<State>()) {
    state_->role = role;
    state_->credentials = std::move(credentials);
    state_->fd = fd;
    state_->check = std::move(check);
    const unsigned end = role == Role::server ? GNUTLS_SERVER : GNUTLS_CLIENT;
    gnutls_session_t session = nullptr;
    // The client shows its certificate whomever the server says it trusts: the refusal then
    // tells what is wrong.
    require(gnutls_init(&session, end | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS |
                                      GNUTLS_NO_AUTO_REKEY | GNUTLS_FORCE_CLIENT_CERT));
    state_->session.reset(session);
    require(gnutls_priority_set_direct(session, priorities, nullptr));
    require(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE,
                                   state_->credentials->handle_->credentials.get()));
    const gnutls_datum_t protocol = gnutls_view(application);
    require(gnutls_alpn_set_protocols(session, &protocol, 1, GNUTLS_ALPN_MANDATORY));
    gnutls_session_set_ptr(session, state_.get());
    gnutls_session_set_verify_function(session, &State::verify);
    gnutls_handshake_set_max_packet_length(session, handshake_bytes_max / 2);
    if (role == Role::server) {
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
        gnutls_certificate_send_x509_rdn_sequence(session, 1);  // which is: do not
    }
    gnutls_transport_set_ptr(session, state_.get());
    gnutls_transport_set_pull_function(session, &State::pull);
    gnutls_transport_set_pull_timeout_function(session, &State::wait);
    gnutls_transport_set_push_function(session, &State::push);
}

TlsSession::~TlsSession() = default;

Result<void> TlsSession::handshake() {
    int status = 0;
    do {
        status = gnutls_handshake(state_->session.get());
    } while (status < 0 && status != GNUTLS_E_AGAIN && gnutls_error_is_fatal(status) == 0);
    if (status >= 0) {
        state_->established = true;
        return {};
    }
    Error error = state_->error(status);
    if (error.number != EAGAIN && status != GNUTLS_E_FATAL_ALERT_RECEIVED) {
        gnutls_alert_send_appropriate(state_->session.get(), status);
    }
    return tl::unexpected(std::move(error));
}

Result<std::size_t> TlsSession::send(std::span<const char> bytes) {
    const ssize_t sent = gnutls_record_send(state_->session.get(), bytes.data(), bytes.size());
    if (sent < 0) {
        return tl::unexpected(state_->error(static_cast<int>(sent)));
    }
    return static_cast<std::size_t>(sent);
}

Result<std::size_t> TlsSession::receive(std::span<char> room) {
    const ssize_t got = gnutls_record_recv(state_->session.get(), room.data(), room.size());
    if (got < 0) {
        return tl::unexpected(state_->error(static_cast<int>(got)));
    }
    return static_cast<std::size_t>(got);
}

bool TlsSession::wants_write() const {
    return gnutls_record_get_direction(state_->session.get()) == 1;
}

const CertificateInfo& TlsSession::peer() const {
    return state_->peer;
}

std::string TlsSession::cipher() const {
    return gnutls_cipher_get_name(gnutls_cipher_get(state_->session.get()));
}

void TlsSession::bye() {
    gnutls_bye(state_->session.get(), GNUTLS_SHUT_WR);
}

Result<void> TlsSession::State::leave() const {
    if (!established || header_bytes != 0 || gnutls_record_check_pending(session.get()) != 0) {
        return failure(EPROTO, "it sent more than the end of the TLS session");
    }
    return {};
}

namespace {

/// One direction's keys in the kernel's form. TLS 1.3's nonce is salt and iv together.
template <class Info>
Result<void> set_key(int fd, int direction, unsigned short cipher, const gnutls_datum_t& key,
                     const gnutls_datum_t& nonce, const unsigned char* sequence) {
    Info info{};
    info.info.version = TLS_1_3_VERSION;
    info.info.cipher_type = cipher;
    constexpr std::size_t salt_bytes = 12 - sizeof(info.iv);
    if (key.size != sizeof(info.key) || nonce.size != salt_bytes + sizeof(info.iv)) {
        return failure(EPROTO, "GnuTLS gives keys of an unexpected size");
    }
    if constexpr (salt_bytes > 0) {
        std::copy_n(nonce.data, salt_bytes, info.salt);
    }
    std::copy_n(nonce.data + salt_bytes, sizeof(info.iv), info.iv);
    std::copy_n(key.data, sizeof(info.key), info.key);
    std::copy_n(sequence, sizeof(info.rec_seq), info.rec_seq);
    const int status = setsockopt(fd, sol_tls, direction, &info, sizeof(info));
    const int number = errno;
    gnutls_memset(&info, 0, sizeof(info));
    if (status != 0) {
        return failure(number, "the kernel does not take the TLS keys: " +
                                   std::generic_category().message(number));
    }
    return {};
}

}  // namespace

Result<void> TlsSession::State::key(int direction) const {
    gnutls_datum_t mac{};
    gnutls_datum_t nonce{};
    gnutls_datum_t key{};
    std::array<unsigned char, 8> sequence{};
    const int status = gnutls_record_get_state(session.get(), direction == TLS_RX ? 1 : 0, &mac,
                                               &nonce, &key, sequence.data());
    if (status < 0) {
        return tl::unexpected(gnutls_failure("cannot take over the TLS session", status));
    }
    switch (gnutls_cipher_get(session.get())) {
        case GNUTLS_CIPHER_AES_128_GCM:
            return set_key<tls12_crypto_info_aes_gcm_128>(fd, direction, TLS_CIPHER_AES_GCM_128,
                                                          key, nonce, sequence.data());
        case GNUTLS_CIPHER_AES_256_GCM:
            return set_key<tls12_crypto_info_aes_gcm_256>(fd, direction, TLS_CIPHER_AES_GCM_256,
                                                          key, nonce, sequence.data());
        case GNUTLS_CIPHER_CHACHA20_POLY1305:
            return set_key<tls12_crypto_info_chacha20_poly1305>(
                fd, direction, TLS_CIPHER_CHACHA20_POLY1305, key, nonce, sequence.data());
        default:
            return failure(EPROTO, "the kernel knows no such cipher");
    }
}

Result<void> TlsSession::to_kernel() {
    if (auto done = state_->leave(); !done) {
        return done;
    }
    constexpr std::string_view protocol = "tls";
    if (setsockopt(state_->fd, IPPROTO_TCP, TCP_ULP, protocol.data(), protocol.size()) != 0) {
        const int number = errno;
        return failure(number, "this kernel has no TLS for sockets (modprobe tls): " +
                                   std::generic_category().message(number));
    }
    for (const int direction : {TLS_TX, TLS_RX}) {
        if (auto done = state_->key(direction); !done) {
            return done;
        }
    }
    return {};
}

Result<void> TlsSession::to_plain() {
    return state_->leave();
}

}  // namespace braid::sys
