// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/message.h"

#include <nlohmann/json.hpp>

namespace braid::machine {

namespace {

using nlohmann::json;

/// A `Value` that is there and of the right type, or an exception of the library, caught below.
template <class Value>
Value get(const json& object, const char* name) {
    return object.at(name).get<Value>();
}

NodeId node_in(const json& value) {
    const auto node = value.get<std::uint32_t>();
    if (node > membership::node_max) {
        throw json::out_of_range::create(401, "node id", &value);
    }
    return node;
}

json json_of(const Record& record) {
    return {{"wanted", static_cast<unsigned>(record.wanted)},
            {"stamp", record.stamp},
            {"by", record.by}};
}

Record record_in(const json& object) {
    const auto wanted = get<unsigned>(object, "wanted");
    if (wanted > static_cast<unsigned>(Wanted::running)) {
        throw json::out_of_range::create(401, "wanted", &object);
    }
    return {Wanted(wanted), get<std::uint64_t>(object, "stamp"), node_in(object.at("by"))};
}

json json_of(const Offer& offer) {
    return {{"kind", "offer"},        {"record", json_of(offer.record)},
            {"able", offer.able},     {"runs", offer.runs},
            {"data", offer.data},     {"gave-up", offer.gave_up},
            {"memory", offer.memory}, {"sees", offer.sees}};
}

json json_of(const Receive& message) {
    return {{"kind", "receive"}, {"number", message.number}};
}

json json_of(const Ready& message) {
    return {{"kind", "ready"}, {"number", message.number}, {"why", message.why}};
}

json json_of(const Go& message) {
    return {{"kind", "go"}, {"number", message.number}};
}

json json_of(const Cancel& message) {
    return {{"kind", "cancel"}, {"number", message.number}};
}

Offer offer_in(const json& object) {
    Offer offer{.record = record_in(object.at("record")),
                .able = get<bool>(object, "able"),
                .runs = get<bool>(object, "runs"),
                .data = get<bool>(object, "data"),
                .gave_up = get<std::uint64_t>(object, "gave-up"),
                .memory = get<std::uint64_t>(object, "memory")};
    for (const json& node : object.at("sees")) {
        offer.sees.insert(node_in(node));
    }
    return offer;
}

std::optional<Message> message_in(const json& object) {
    const auto kind = get<std::string>(object, "kind");
    if (kind == "offer") {
        return offer_in(object);
    }
    const auto number = get<std::uint64_t>(object, "number");
    if (kind == "receive") {
        return Receive{number};
    }
    if (kind == "ready") {
        return Ready{number, get<std::string>(object, "why")};
    }
    if (kind == "go") {
        return Go{number};
    }
    if (kind == "cancel") {
        return Cancel{number};
    }
    return std::nullopt;
}

std::string text_of(const json& object) {
    return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::string encode(const Message& message) {
    return text_of(std::visit([](const auto& each) { return json_of(each); }, message));
}

std::optional<Message> decode(std::string_view text) {
    try {
        return message_in(json::parse(text));
    } catch (const json::exception&) {
        return std::nullopt;
    }
}

std::string encode_record(const Record& record) {
    return text_of(json_of(record)) + '\n';
}

std::optional<Record> decode_record(std::string_view text) {
    try {
        return record_in(json::parse(text));
    } catch (const json::exception&) {
        return std::nullopt;
    }
}

}  // namespace braid::machine
