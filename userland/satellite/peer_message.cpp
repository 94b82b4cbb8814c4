// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/peer_message.h"

namespace braid::satellite {

namespace {

constexpr std::size_t header = 4;

std::uint8_t byte_at(std::string_view text, std::size_t i) {
    return static_cast<std::uint8_t>(text[i]);
}

}  // namespace

std::string encode(const PeerMessage& message) {
    std::string text;
    text.reserve(header + message.resource.size() + message.bytes.size());
    text.push_back(static_cast<char>(message.kind));
    text.push_back(static_cast<char>(message.from));
    text.push_back(static_cast<char>(message.to));
    text.push_back(static_cast<char>(message.resource.size()));
    text += message.resource;
    text.append(message.bytes.begin(), message.bytes.end());
    return text;
}

std::optional<PeerMessage> decode_peer_message(std::string_view text) {
    if (text.size() < header) {
        return std::nullopt;
    }
    PeerMessage message;
    message.kind = PeerMessage::Kind(byte_at(text, 0));
    message.from = byte_at(text, 1);
    message.to = byte_at(text, 2);
    const std::size_t length = byte_at(text, 3);
    const bool known =
        message.kind == PeerMessage::Kind::here || message.kind == PeerMessage::Kind::gone ||
        message.kind == PeerMessage::Kind::said || message.kind == PeerMessage::Kind::machine;
    if (!known || message.from > membership::node_max || message.to > membership::node_max ||
        length == 0 || length > resource_name_max || text.size() < header + length) {
        return std::nullopt;
    }
    message.resource = text.substr(header, length);
    const std::string_view rest = text.substr(header + length);
    if (!rest.empty() &&
        (message.kind == PeerMessage::Kind::here || message.kind == PeerMessage::Kind::gone)) {
        return std::nullopt;
    }
    message.bytes.assign(rest.begin(), rest.end());
    return message;
}

}  // namespace braid::satellite
