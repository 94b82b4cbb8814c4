// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/certificate.h"

#include <fmt/format.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>
#include <iterator>
#include <optional>
#include <utility>

#include "sys/certificate_gnutls.h"
#include "sys/gnutls_error.h"

namespace braid::sys {

namespace {

using std::chrono::sys_seconds;

using Key = Gnutls<gnutls_x509_privkey_t, gnutls_x509_privkey_deinit>;
using Certificate = Gnutls<gnutls_x509_crt_t, gnutls_x509_crt_deinit>;

constexpr std::string_view authority_name = "Braid cluster ";

struct Signer {
    Key key;
    Certificate certificate;
};

tl::unexpected<Error> failure(std::string message) {
    return tl::unexpected(Error{EINVAL, std::move(message)});
}

Key new_key() {
    gnutls_x509_privkey_t key = nullptr;
    require(gnutls_x509_privkey_init(&key));
    return Key(key);
}

Certificate new_certificate() {
    gnutls_x509_crt_t certificate = nullptr;
    require(gnutls_x509_crt_init(&certificate));
    return Certificate(certificate);
}

Result<Key> generate_key() {
    Key key = new_key();
    const unsigned bits = GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1);
    const int status = gnutls_x509_privkey_generate(key.get(), GNUTLS_PK_ECDSA, bits, 0);
    if (status < 0) {
        return tl::unexpected(gnutls_failure("cannot make a private key", status));
    }
    return key;
}

Result<Key> read_key(const std::string& pem) {
    Key key = new_key();
    const gnutls_datum_t text = gnutls_view(pem);
    const int status = gnutls_x509_privkey_import(key.get(), &text, GNUTLS_X509_FMT_PEM);
    if (status < 0) {
        return tl::unexpected(gnutls_failure("has no private key that can be read", status));
    }
    return key;
}

Result<std::vector<Certificate>> read_certificates(const std::string& pem) {
    gnutls_x509_crt_t* list = nullptr;
    unsigned count = 0;
    const gnutls_datum_t text = gnutls_view(pem);
    const int status = gnutls_x509_crt_list_import2(&list, &count, &text, GNUTLS_X509_FMT_PEM, 0);
    if (status < 0) {
        return tl::unexpected(gnutls_failure("has no certificate that can be read", status));
    }
    std::vector<Certificate> certificates;
    for (unsigned i = 0; i < count; i++) {
        certificates.emplace_back(list[i]);
    }
    gnutls_free(list);
    return certificates;
}

std::string text_of(const Key& key) {
    GnutlsText text;
    require(gnutls_x509_privkey_export2_pkcs8(key.get(), GNUTLS_X509_FMT_PEM, nullptr,
                                              GNUTLS_PKCS_PLAIN, text.out()));
    return text.text();
}

std::string text_of(const Certificate& certificate) {
    GnutlsText text;
    require(gnutls_x509_crt_export2(certificate.get(), GNUTLS_X509_FMT_PEM, text.out()));
    return text.text();
}

std::time_t seconds(sys_seconds time) {
    return static_cast<std::time_t>(time.time_since_epoch().count());
}

sys_seconds from_seconds(std::time_t time) {
    return sys_seconds(std::chrono::seconds(time));
}

/// The part of a certificate that does not depend on what it is for. The first status that is an
/// error, or 0.
int fill(const Certificate& certificate, const Key& key, const std::string& common_name,
         const Validity& validity) {
    gnutls_x509_crt_t crt = certificate.get();
    std::array<unsigned char, 16> serial{};
    std::array<unsigned char, 64> id{};
    std::size_t id_size = id.size();
    int status = gnutls_rnd(GNUTLS_RND_NONCE, serial.data(), serial.size());
    serial[0] = static_cast<unsigned char>((serial[0] & 0x3f) | 0x40);  // positive, not short
    const auto step = [&status](auto function, auto... arguments) {
        status = status < 0 ? status : function(arguments...);
    };
    step(gnutls_x509_crt_set_version, crt, 3U);
    step(gnutls_x509_crt_set_serial, crt, serial.data(), serial.size());
    step(gnutls_x509_crt_set_activation_time, crt, seconds(validity.from));
    step(gnutls_x509_crt_set_expiration_time, crt, seconds(validity.until));
    step(gnutls_x509_crt_set_dn_by_oid, crt, GNUTLS_OID_X520_COMMON_NAME, 0U, common_name.data(),
         static_cast<unsigned>(common_name.size()));
    step(gnutls_x509_crt_set_key, crt, key.get());
    step(gnutls_x509_privkey_get_key_id, key.get(), GNUTLS_KEYID_USE_SHA256, id.data(), &id_size);
    step(gnutls_x509_crt_set_subject_key_id, crt, id.data(), id_size);
    return status;
}

Result<Signer> read_authority(const std::string& pem) {
    auto key = read_key(pem);
    if (!key) {
        return tl::unexpected(key.error());
    }
    auto certificates = read_certificates(pem);
    if (!certificates) {
        return tl::unexpected(certificates.error());
    }
    if (gnutls_x509_crt_get_ca_status(certificates->front().get(), nullptr) <= 0) {
        return failure("its certificate is not an authority's");
    }
    return Signer{std::move(*key), std::move(certificates->front())};
}

std::string common_name(int (*get)(gnutls_x509_crt_t, const char*, unsigned, unsigned, void*,
                                   std::size_t*),
                        gnutls_x509_crt_t certificate) {
    std::array<char, 256> name{};
    std::size_t size = name.size();
    const int status = get(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name.data(), &size);
    return status < 0 ? std::string() : std::string(name.data(), size);
}

std::string fingerprint_of(gnutls_x509_crt_t certificate) {
    std::array<unsigned char, 32> digest{};
    std::size_t size = digest.size();
    require(gnutls_x509_crt_get_fingerprint(certificate, GNUTLS_DIG_SHA256, digest.data(), &size));
    std::string text;
    for (const unsigned char byte : digest) {
        fmt::format_to(std::back_inserter(text), "{:02x}", byte);
    }
    return text;
}

std::string day(sys_seconds time) {
    const std::time_t value = seconds(time);
    std::tm fields{};
    gmtime_r(&value, &fields);
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%F %R UTC", &fields)};
}

/// What is wrong about the time, or nothing.
std::optional<std::string> wrong_time(const CertificateInfo& info, sys_seconds now) {
    const std::string what =
        info.authority ? "the authority's certificate" : "the certificate of " + info.node;
    if (now < info.validity.from) {
        return fmt::format("{} is not valid before {}; is this node's clock right?", what,
                           day(info.validity.from));
    }
    if (now >= info.validity.until) {
        return fmt::format("{} expired at {}", what, day(info.validity.until));
    }
    return std::nullopt;
}

bool belongs_to(const Key& key, const Certificate& certificate) {
    std::array<unsigned char, 64> of_key{};
    std::array<unsigned char, 64> of_certificate{};
    std::size_t key_size = of_key.size();
    std::size_t certificate_size = of_certificate.size();
    require(gnutls_x509_privkey_get_key_id(key.get(), GNUTLS_KEYID_USE_SHA256, of_key.data(),
                                           &key_size));
    require(gnutls_x509_crt_get_key_id(certificate.get(), GNUTLS_KEYID_USE_SHA256,
                                       of_certificate.data(), &certificate_size));
    return of_key == of_certificate;
}

bool signed_by(const Certificate& certificate, const Certificate& authority) {
    gnutls_x509_crt_t issuer = authority.get();
    unsigned status = 0;
    return gnutls_x509_crt_verify(certificate.get(), &issuer, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS,
                                  &status) >= 0 &&
           status == 0;
}

}  // namespace

std::string certificate_node(gnutls_x509_crt_t certificate) {
    std::array<char, 256> name{};
    std::size_t size = name.size();
    const int type =
        gnutls_x509_crt_get_subject_alt_name(certificate, 0, name.data(), &size, nullptr);
    if (type != GNUTLS_SAN_DNSNAME || !is_node_name({name.data(), size})) {
        return {};
    }
    std::size_t more = 0;  // a certificate is one node's
    if (gnutls_x509_crt_get_subject_alt_name(certificate, 1, nullptr, &more, nullptr) !=
        GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
        return {};
    }
    return {name.data(), size};
}

CertificateInfo certificate_info(gnutls_x509_crt_t certificate) {
    CertificateInfo info;
    info.authority = gnutls_x509_crt_get_ca_status(certificate, nullptr) > 0;
    info.node = info.authority ? "" : certificate_node(certificate);
    const std::string issuer = common_name(gnutls_x509_crt_get_issuer_dn_by_oid, certificate);
    info.cluster = issuer.starts_with(authority_name) ? issuer.substr(authority_name.size()) : "";
    info.validity = {from_seconds(gnutls_x509_crt_get_activation_time(certificate)),
                     from_seconds(gnutls_x509_crt_get_expiration_time(certificate))};
    info.fingerprint = fingerprint_of(certificate);
    return info;
}

bool is_node_name(std::string_view name) {
    const auto word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
    return !name.empty() && name.size() <= 64 && word(name.front()) &&
           std::ranges::all_of(name,
                               [&](char c) { return word(c) || c == '.' || c == '-' || c == '_'; });
}

Result<std::string> make_authority(const std::string& cluster, const Validity& validity) {
    const auto key = generate_key();
    if (!key) {
        return tl::unexpected(key.error());
    }
    const Certificate certificate = new_certificate();
    gnutls_x509_crt_t crt = certificate.get();
    int status = fill(certificate, *key, std::string(authority_name) + cluster, validity);
    const auto step = [&status](auto function, auto... arguments) {
        status = status < 0 ? status : function(arguments...);
    };
    step(gnutls_x509_crt_set_basic_constraints, crt, 1U, 0);
    step(gnutls_x509_crt_set_key_usage, crt, unsigned{GNUTLS_KEY_KEY_CERT_SIGN});
    step(gnutls_x509_crt_sign2, crt, crt, key->get(), GNUTLS_DIG_SHA256, 0U);
    if (status < 0) {
        return tl::unexpected(gnutls_failure("cannot make the authority's certificate", status));
    }
    return text_of(*key) + text_of(certificate);
}

Result<std::string> issue_certificate(const std::string& authority, const std::string& node,
                                      const Validity& validity) {
    if (!is_node_name(node)) {
        return failure(
            fmt::format("'{}' is not a node's name: letters, digits, '.', '-', '_'; "
                        "at most 64",
                        node));
    }
    const auto signer = read_authority(authority);
    if (!signer) {
        return tl::unexpected(signer.error());
    }
    const auto key = generate_key();
    if (!key) {
        return tl::unexpected(key.error());
    }
    gnutls_x509_crt_t issuer = signer->certificate.get();
    const Validity bounds = certificate_info(issuer).validity;
    const Certificate certificate = new_certificate();
    gnutls_x509_crt_t crt = certificate.get();
    int status =
        fill(certificate, *key, node,
             {std::max(validity.from, bounds.from), std::min(validity.until, bounds.until)});
    std::array<unsigned char, 64> issuer_id{};
    std::size_t id_size = issuer_id.size();
    const auto step = [&status](auto function, auto... arguments) {
        status = status < 0 ? status : function(arguments...);
    };
    step(gnutls_x509_crt_set_basic_constraints, crt, 0U, -1);
    step(gnutls_x509_crt_set_key_usage, crt, unsigned{GNUTLS_KEY_DIGITAL_SIGNATURE});
    step(gnutls_x509_crt_set_key_purpose_oid, crt, GNUTLS_KP_TLS_WWW_SERVER, 0U);
    step(gnutls_x509_crt_set_key_purpose_oid, crt, GNUTLS_KP_TLS_WWW_CLIENT, 0U);
    step(gnutls_x509_crt_set_subject_alt_name, crt, GNUTLS_SAN_DNSNAME, node.data(),
         static_cast<unsigned>(node.size()), unsigned{GNUTLS_FSAN_SET});
    step(gnutls_x509_crt_get_subject_key_id, issuer, issuer_id.data(), &id_size, nullptr);
    // By value: the call before has set it.
    step([&] { return gnutls_x509_crt_set_authority_key_id(crt, issuer_id.data(), id_size); });
    step(gnutls_x509_crt_sign2, crt, issuer, signer->key.get(), GNUTLS_DIG_SHA256, 0U);
    if (status < 0) {
        return tl::unexpected(gnutls_failure("cannot make the certificate of " + node, status));
    }
    return text_of(*key) + text_of(certificate) + text_of(signer->certificate);
}

Result<std::vector<CertificateInfo>> describe_certificates(const std::string& pem) {
    const auto certificates = read_certificates(pem);
    if (!certificates) {
        return tl::unexpected(certificates.error());
    }
    std::vector<CertificateInfo> infos;
    for (const Certificate& certificate : *certificates) {
        infos.push_back(certificate_info(certificate.get()));
    }
    return infos;
}

Result<CertificateInfo> check_node_certificate(const std::string& pem, sys_seconds now) {
    const auto key = read_key(pem);
    if (!key) {
        return tl::unexpected(key.error());
    }
    const auto certificates = read_certificates(pem);
    if (!certificates) {
        return tl::unexpected(certificates.error());
    }
    const Certificate& own = certificates->front();
    CertificateInfo info = certificate_info(own.get());
    if (info.node.empty()) {
        return failure("its first certificate is not a node's");
    }
    if (!belongs_to(*key, own)) {
        return failure("its private key and the certificate of " + info.node +
                       " do not belong together");
    }
    const auto authority =
        std::find_if(std::next(certificates->begin()), certificates->end(),
                     [&](const Certificate& certificate) { return signed_by(own, certificate); });
    if (authority == certificates->end()) {
        return failure("no authority in it has signed the certificate of " + info.node);
    }
    for (const auto& each : {info, certificate_info(authority->get())}) {
        if (const auto wrong = wrong_time(each, now)) {
            return failure(*wrong);
        }
    }
    return info;
}

}  // namespace braid::sys
