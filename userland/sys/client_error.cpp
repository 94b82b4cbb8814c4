// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/client_error.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>

namespace braid::sys {

const netlink::Attribute* find_attribute(const netlink::AttributeSet& set, std::uint16_t id) {
    const auto found = std::ranges::find(set.attributes, id, &netlink::Attribute::id);
    return found == set.attributes.end() ? nullptr : &*found;
}

std::string attribute_name(const netlink::AttributeSet* set,
                           const std::vector<std::uint16_t>& path) {
    std::string name;
    for (const std::uint16_t id : path) {
        const netlink::Attribute* row = set == nullptr ? nullptr : find_attribute(*set, id);
        name += name.empty() ? "" : ".";
        name += row == nullptr ? fmt::format("{}", id) : std::string(row->name);
        set = row == nullptr ? nullptr : row->nested;
    }
    return name;
}

void AttributeReader::fail(std::uint16_t id) {
    if (!error_) {
        error_ =
            ClientError{NetlinkError::Kind::malformed, EBADMSG,
                        "missing or malformed in the module's answer", attribute_name(&set_, {id})};
    }
}

void AttributeReader::take_error(std::uint16_t id, const AttributeReader& inner) {
    if (inner.error_ && !error_) {
        error_ = inner.error_;
        error_->attribute = attribute_name(&set_, {id}) + "." + error_->attribute;
    }
}

}  // namespace braid::sys
