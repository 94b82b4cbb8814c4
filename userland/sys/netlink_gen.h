// SPDX-License-Identifier: GPL-2.0-or-later
/* Do not edit: scripts/gen-netlink wrote this from kernel/spec/braid.yaml. */
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace braid::netlink {

enum class AttributeType : std::uint8_t {
    pad,
    flag,
    u8,
    u16,
    u32,
    u64,
    s32,
    s64,
    string,
    binary,
    nest
};

/// A name for one value of an enum, or for one bit of flags.
struct EnumEntry {
    std::string_view name;
    std::uint64_t value;
};

struct Enum {
    std::string_view name;
    bool flags;
    std::span<const EnumEntry> entries;
};

struct AttributeSet;

/// One row of an attribute set. A multi attribute may occur several times: a list.
struct Attribute {
    std::string_view name;
    std::uint16_t id;
    AttributeType type;
    bool multi;
    const AttributeSet* nested;
    const Enum* enumeration;
};

struct AttributeSet {
    std::string_view name;
    std::span<const Attribute> attributes;
};

/// The attributes that may occur in the two directions of a do or a dump.
struct Messages {
    std::span<const std::uint16_t> request;
    std::span<const std::uint16_t> reply;
};

/// A row of the operation table. A notification has neither do nor dump, but a group and an event.
struct Operation {
    std::string_view name;
    std::uint8_t id;
    const AttributeSet* attributes;
    const Messages* call;
    const Messages* dump;
    std::string_view group;
    std::span<const std::uint16_t> event;
};

inline constexpr std::string_view family_name = "braid";
inline constexpr std::uint8_t family_version = 1;

namespace enums::feature {
/// The kernel was built with TLS sockets (CONFIG_TLS), so replication may run encrypted.
inline constexpr std::uint64_t ktls = 0x1;
/// Creation and destruction of objects can be logged (dynamic debug, or a debug build). Without it
/// a log that shows no leak proves nothing.
inline constexpr std::uint64_t object_log = 0x2;
}  // namespace enums::feature

namespace enums::detail {
inline constexpr auto feature = std::to_array<EnumEntry>({
    {"ktls", 0x1},
    {"object-log", 0x2},
});
}  // namespace enums::detail

namespace enumeration {
/// What this build of the module can do beyond its version.
inline constexpr Enum feature{"feature", true, enums::detail::feature};
}  // namespace enumeration

namespace attr::module {
/// Lowest version of this interface that is spoken. In a request by the caller, in a reply by the
/// module.
inline constexpr std::uint16_t api_min = 1;
/// Highest version of this interface that is spoken, as api-min.
inline constexpr std::uint16_t api_max = 2;
/// Version of the module, for people. Programs compare api-version.
inline constexpr std::uint16_t version = 3;
/// Highest version that caller and module have in common. Only where the caller gave its range.
inline constexpr std::uint16_t api_version = 4;
/// Lowest version of the replication protocol that is spoken.
inline constexpr std::uint16_t protocol_min = 5;
/// Highest version of the replication protocol that is spoken.
inline constexpr std::uint16_t protocol_max = 6;
/// What this build can do.
inline constexpr std::uint16_t features = 7;
}  // namespace attr::module

namespace set::detail {
inline constexpr auto module = std::to_array<Attribute>({
    {"api-min", 1, AttributeType::u32, false, nullptr, nullptr},
    {"api-max", 2, AttributeType::u32, false, nullptr, nullptr},
    {"version", 3, AttributeType::string, false, nullptr, nullptr},
    {"api-version", 4, AttributeType::u32, false, nullptr, nullptr},
    {"protocol-min", 5, AttributeType::u32, false, nullptr, nullptr},
    {"protocol-max", 6, AttributeType::u32, false, nullptr, nullptr},
    {"features", 7, AttributeType::u32, false, nullptr, &enumeration::feature},
});
}  // namespace set::detail

namespace set {
/// The module as a whole.
inline constexpr AttributeSet module{"module", detail::module};
}  // namespace set

inline constexpr auto attribute_sets = std::to_array<const AttributeSet*>({
    &set::module,
});

namespace op::detail::module_get_lists {
inline constexpr std::array<std::uint16_t, 2> call_request{
    attr::module::api_min,
    attr::module::api_max,
};
inline constexpr std::array<std::uint16_t, 7> call_reply{
    attr::module::version,
    attr::module::api_min,
    attr::module::api_max,
    attr::module::api_version,
    attr::module::protocol_min,
    attr::module::protocol_max,
    attr::module::features,
};
inline constexpr Messages call{call_request, call_reply};
}  // namespace op::detail::module_get_lists

namespace op {
/// Describe the module, and agree on a version of this interface. A range without a common version
/// is refused with EPROTONOSUPPORT; half a range, or one that ends before it begins, with EINVAL.
inline constexpr Operation module_get{
    "module-get", 1, &set::module,
    &op::detail::module_get_lists::call, nullptr,
    "", {}};
}  // namespace op

inline constexpr auto operations = std::to_array<const Operation*>({
    &op::module_get,
});

}  // namespace braid::netlink
