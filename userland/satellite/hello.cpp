// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/hello.h"

#include <cerrno>
#include <nlohmann/json.hpp>

namespace braid::satellite {

namespace {

using nlohmann::json;
using sys::Result;

tl::unexpected<sys::Error> malformed(const char* what) {
    return tl::unexpected(
        sys::Error{EPROTO, std::string("its first message makes no sense: ") + what});
}

Result<json> parse(std::string_view text) {
    json value = json::parse(text, nullptr, false);
    if (!value.is_object()) {
        return malformed("not a JSON object");
    }
    return value;
}

std::optional<std::string> string(const json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_string()) {
        return std::nullopt;
    }
    return found->get<std::string>();
}

std::optional<std::uint64_t> number(const json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number_unsigned()) {
        return std::nullopt;
    }
    return found->get<std::uint64_t>();
}

}  // namespace

std::string_view name_of(Transport transport) {
    return transport == Transport::ktls ? "ktls" : "plain";
}

std::string encode(const Hello& hello) {
    if (!hello.stream) {
        return json{{"kind", "control"}}.dump();
    }
    return json{{"kind", "stream"},
                {"resource", hello.stream->resource},
                {"session", hello.stream->session},
                {"number", hello.stream->number},
                {"transport", name_of(hello.stream->transport)}}
        .dump();
}

std::string encode(const Answer& answer) {
    return answer.refusal.empty() ? json{{"accepted", true}}.dump()
                                  : json{{"accepted", false}, {"why", answer.refusal}}.dump();
}

Result<Hello> decode_hello(std::string_view text) {
    const auto object = parse(text);
    if (!object) {
        return tl::unexpected(object.error());
    }
    const auto kind = string(*object, "kind");
    if (kind == "control") {
        return Hello{};
    }
    if (kind != "stream") {
        return malformed("unknown kind");
    }
    const auto resource = string(*object, "resource");
    const auto session = number(*object, "session");
    const auto stream = number(*object, "number");
    const auto transport = string(*object, "transport");
    if (!resource || session.value_or(0) == 0 || !stream || *stream > UINT32_MAX) {
        return malformed("resource, session or number");
    }
    if (transport != "ktls" && transport != "plain") {
        return malformed("unknown transport");
    }
    return Hello{StreamHello{*resource, *session, static_cast<std::uint32_t>(*stream),
                             transport == "ktls" ? Transport::ktls : Transport::plain}};
}

Result<Answer> decode_answer(std::string_view text) {
    const auto object = parse(text);
    if (!object) {
        return tl::unexpected(object.error());
    }
    const auto accepted = object->find("accepted");
    if (accepted == object->end() || !accepted->is_boolean()) {
        return malformed("neither accepted nor refused");
    }
    if (accepted->get<bool>()) {
        return Answer{};
    }
    return Answer{string(*object, "why").value_or("without a reason")};
}

}  // namespace braid::satellite
