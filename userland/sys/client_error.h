// SPDX-License-Identifier: GPL-2.0-or-later
//
// Errors of the module's operations, and taking values out of its answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sys/netlink.h"
#include "sys/netlink_gen.h"

namespace braid::sys {

/// Why an operation failed.
struct ClientError {
    NetlinkError::Kind kind = NetlinkError::Kind::transport;
    /// errno value, > 0. EPERM: the operation needs CAP_NET_ADMIN and CAP_SYS_ADMIN.
    int number = 0;
    /// The kernel's own words where it gave some.
    std::string cause;
    /// Name of the attribute that is to blame, nests separated by dots; or empty.
    std::string attribute;
};

template <class T>
using ClientResult = Result<T, ClientError>;

/// "outer.inner" for a path of attribute ids; a number where the tables end.
[[nodiscard]] std::string attribute_name(const netlink::AttributeSet* set,
                                         const std::vector<std::uint16_t>& path);

[[nodiscard]] const netlink::Attribute* find_attribute(const netlink::AttributeSet& set,
                                                       std::uint16_t id);

/// Takes values out of an answer and remembers the first that is not there, or is not what the
/// tables say. Optional ones may be absent, and are then as if zero or empty.
class AttributeReader {
  public:
    AttributeReader(NetlinkAttributes attributes, const netlink::AttributeSet& set)
        : attributes_(attributes), set_(set) {}

    std::uint32_t u32(std::uint16_t id) { return checked(attributes_.u32(id), id); }
    std::uint64_t u64(std::uint16_t id) { return checked(attributes_.u64(id), id); }
    std::string string(std::uint16_t id) { return checked(attributes_.string(id), id); }
    [[nodiscard]] bool flag(std::uint16_t id) const { return attributes_.has(id); }

    std::optional<std::uint32_t> optional_u32(std::uint16_t id) {
        return has(id) ? std::optional(u32(id)) : std::nullopt;
    }
    std::optional<std::uint64_t> optional_u64(std::uint16_t id) {
        return has(id) ? std::optional(u64(id)) : std::nullopt;
    }
    std::optional<std::int32_t> optional_s32(std::uint16_t id) {
        return has(id) ? std::optional(checked(attributes_.s32(id), id)) : std::nullopt;
    }
    std::string optional_string(std::uint16_t id) { return has(id) ? string(id) : std::string(); }
    /// Exactly as many as the array has.
    template <class Array>
    Array array(std::uint16_t id) {
        Array value{};
        const auto found = attributes_.bytes(id);
        if (found && found->size() == value.size()) {
            std::copy(found->begin(), found->end(), value.begin());
        } else {
            fail(id);
        }
        return value;
    }

    [[nodiscard]] bool has(std::uint16_t id) const { return attributes_.has(id); }
    [[nodiscard]] std::vector<NetlinkAttributes> nests(std::uint16_t id) const {
        return attributes_.nests(id);
    }

    /// Takes over what another reader, of the nest `id`, missed.
    void take_error(std::uint16_t id, const AttributeReader& inner);

    [[nodiscard]] const std::optional<ClientError>& error() const { return error_; }

  private:
    template <class T>
    T checked(std::optional<T> value, std::uint16_t id) {
        if (!value) {
            fail(id);
        }
        return std::move(value).value_or(T());
    }
    void fail(std::uint16_t id);

    NetlinkAttributes attributes_;
    const netlink::AttributeSet& set_;
    std::optional<ClientError> error_;
};

}  // namespace braid::sys
