// SPDX-License-Identifier: GPL-2.0-or-later
//
// All integers little endian:
//   0  4  "BRDM"
//   4  1  version, 1
//   5  1  kind: 0 a vote, otherwise 1 + index of the message in Message
//   6  .. fields in the order of fields() below
//   .. 4  crc32c of all before
#include "membership/message.h"

#include <algorithm>
#include <type_traits>

#include "core/bytes.h"

namespace braid::membership {

namespace {

tl::unexpected<std::string> wrong(std::string text) {
    return tl::unexpected<std::string>(std::move(text));
}

constexpr std::array<std::uint8_t, 4> magic{'B', 'R', 'D', 'M'};
constexpr std::uint8_t version = 1;
constexpr std::size_t head_bytes = 6;
constexpr std::size_t crc_bytes = 4;

class Encoder {
  public:
    Encoder() : bytes_(magic.begin(), magic.end()) {}

    template <class T>
    void number(const T& value) {
        auto rest = static_cast<std::uint64_t>(value);
        for (std::size_t i = 0; i < sizeof(T); i++, rest >>= 8)
            bytes_.push_back(static_cast<std::uint8_t>(rest));
    }
    void flag(const bool& value) { bytes_.push_back(value ? 1 : 0); }
    template <class E>
    void choice(const E& value, E /*last*/) {
        bytes_.push_back(static_cast<std::uint8_t>(value));
    }
    void raw(const Lineage& value) { bytes_.insert(bytes_.end(), value.begin(), value.end()); }
    template <class T>
    bool present(const std::optional<T>& value) {
        flag(value.has_value());
        return value.has_value();
    }
    template <class T>
    void count(const std::vector<T>& items, std::size_t /*most*/) {
        bytes_.push_back(static_cast<std::uint8_t>(items.size()));
    }

    Bytes finish() && {
        number(braid_crc32c(~0U, bytes_.data(), bytes_.size()));
        return std::move(bytes_);
    }

  private:
    Bytes bytes_;
};

class Decoder {
  public:
    explicit Decoder(std::span<const std::uint8_t> bytes) : rest_(bytes) {}

    template <class T>
    void number(T& value) {
        const auto bytes = take(sizeof(T));
        std::uint64_t sum = 0;
        for (std::size_t i = bytes.size(); i > 0; i--)
            sum = sum << 8 | bytes[i - 1];
        value = static_cast<T>(sum);
    }
    void flag(bool& value) {
        std::uint8_t byte = 0;
        number(byte);
        good_ = good_ && byte <= 1;
        value = byte == 1;
    }
    template <class E>
    void choice(E& value, E last) {
        std::uint8_t byte = 0;
        number(byte);
        good_ = good_ && byte <= static_cast<std::uint8_t>(last);
        value = good_ ? static_cast<E>(byte) : E{};
    }
    void raw(Lineage& value) {
        const auto bytes = take(value.size());
        std::copy(bytes.begin(), bytes.end(), value.begin());
    }
    template <class T>
    bool present(std::optional<T>& value) {
        bool is = false;
        flag(is);
        if (is && good_)
            value.emplace();
        return is && good_;
    }
    template <class T>
    void count(std::vector<T>& items, std::size_t most) {
        std::uint8_t many = 0;
        number(many);
        good_ = good_ && many <= most;
        items.resize(good_ ? many : 0);
    }

    /// Everything was there, nothing is left.
    [[nodiscard]] bool complete() const { return good_ && rest_.empty(); }

  private:
    std::span<const std::uint8_t> take(std::size_t bytes) {
        good_ = good_ && bytes <= rest_.size();
        if (!good_)
            return {};
        const auto taken = rest_.first(bytes);
        rest_ = rest_.subspan(bytes);
        return taken;
    }

    std::span<const std::uint8_t> rest_;
    bool good_ = true;
};

// One list of fields for both directions. T is the type, const when it is encoded.

template <class A, class T>
void fields(A& a, T& x) requires std::is_same_v<std::remove_const_t<T>, Ballot> {
    a.number(x.round);
    a.number(x.node);
    a.number(x.nonce);
}

template <class A, class T>
void fields(A& a, T& x) requires std::is_same_v<std::remove_const_t<T>, Value> {
    a.raw(x.lineage);
    a.number(x.epoch);
    a.number(x.id);
    a.number(x.writer);
    a.flag(x.caretaker);
    a.count(x.seats, node_max + 1);
    for (auto& seat : x.seats) {
        a.number(seat.node);
        a.choice(seat.role, Role::witness);
        a.number(seat.voter);
        a.number(seat.instance);
        a.number(seat.joined);
        a.number(seat.before);
        a.number(seat.dropped);
    }
    a.count(x.read_under, node_max + 1);
    for (auto& voter : x.read_under)
        a.number(voter);
    a.number(x.grant.number);
    a.number(x.grant.from);
    a.number(x.grant.to);
    a.number(x.grant.deadline_ms);
    a.count(x.history, ancestors_max);
    for (auto& ancestor : x.history) {
        a.raw(ancestor.lineage);
        a.number(ancestor.epoch);
        a.number(ancestor.id);
        a.number(ancestor.when_ms);
        a.flag(ancestor.complete);
        a.flag(ancestor.discarded);
    }
}

template <class A, class T>
void fields(A& a, T& x) requires std::is_same_v<std::remove_const_t<T>, std::optional<Value>> {
    if (a.present(x))
        fields(a, *x);
}

template <class A, class T>
void fields(A& a, T& x) requires std::is_same_v<std::remove_const_t<T>, Vote> {
    a.number(x.voter);
    a.number(x.enrolled);
    fields(a, x.promised);
    fields(a, x.accepted);
    fields(a, x.value);
    a.flag(x.chosen);
}

template <class A, class T>
void fields(A& a, T& x) requires std::is_same_v<std::remove_const_t<T>, Prepare> {
    a.raw(x.lineage);
    a.number(x.voter);
    fields(a, x.ballot);
}

template <class A, class T>
void fields(A& a, T& x) requires std::is_same_v<std::remove_const_t<T>, Promise> {
    a.raw(x.lineage);
    a.number(x.voter);
    fields(a, x.ballot);
    fields(a, x.accepted);
    fields(a, x.value);
    a.flag(x.chosen);
}

template <class A, class T>
void fields(A& a, T& x) requires std::is_same_v<std::remove_const_t<T>, Accept> {
    a.number(x.voter);
    fields(a, x.ballot);
    fields(a, x.next);
    fields(a, x.value);
}

template <class A, class T>
void fields(A& a, T& x) requires std::is_same_v<std::remove_const_t<T>, Accepted> {
    a.raw(x.lineage);
    a.number(x.voter);
    fields(a, x.ballot);
}

template <class A, class T>
void fields(A& a, T& x) requires std::is_same_v<std::remove_const_t<T>, Refused> {
    a.number(x.voter);
    fields(a, x.ballot);
    a.choice(x.why, Refusal::failed);
    fields(a, x.promised);
}

template <class A, class T>
void fields(A& a, T& x) requires std::is_same_v<std::remove_const_t<T>, Chosen> {
    fields(a, x.value);
}

template <class A, class T>
void fields(A& /*a*/, T& /*x*/) requires std::is_same_v<std::remove_const_t<T>, Query> {}

template <class A, class T>
void fields(A& a, T& x) requires std::is_same_v<std::remove_const_t<T>, Report> {
    a.number(x.run);
    a.number(x.sequence);
    a.number(x.voter);
    a.flag(x.blank);
    a.flag(x.tentative);
    a.flag(x.vote_failed);
    fields(a, x.known);
    a.raw(x.lineage);
    a.number(x.epoch);
    a.number(x.id);
    a.number(x.instance);
    a.number(x.last_epoch);
    a.flag(x.diskful);
    a.flag(x.suspect);
    a.flag(x.active);
    a.flag(x.done);
    a.flag(x.wants);
    a.number(x.prepared);
    a.count(x.dirty, node_max + 1);
    for (auto& bytes : x.dirty)
        a.number(bytes);
}

template <class T>
Bytes encode_as(std::uint8_t kind, const T& body) {
    Encoder encoder;
    encoder.number(version);
    encoder.number(kind);
    fields(encoder, body);
    return std::move(encoder).finish();
}

/// The kind, once head and checksum are right.
tl::expected<std::uint8_t, std::string> open(std::span<const std::uint8_t>& bytes) {
    if (bytes.size() < head_bytes + crc_bytes ||
        !std::equal(magic.begin(), magic.end(), bytes.begin()))
        return wrong("it is no message or vote of a Braid register");
    if (bytes[4] != version)
        return wrong("it has version " + std::to_string(bytes[4]) +
                     ", but this program knows only 1");
    const auto body = bytes.first(bytes.size() - crc_bytes);
    if (braid_get_le32(bytes.data() + body.size()) != braid_crc32c(~0U, body.data(), body.size()))
        return wrong("its checksum does not match");
    const std::uint8_t kind = bytes[5];
    bytes = body.subspan(head_bytes);
    return kind;
}

std::optional<std::string> fault_of(const std::optional<Value>& value) {
    return value ? fault(*value) : std::nullopt;
}

template <class T>
std::optional<std::string> fault_within(const T& message) {
    if constexpr (std::is_same_v<T, Promise>)
        return fault_of(message.value);
    else if constexpr (std::is_same_v<T, Report>)
        return fault_of(message.known);
    else if constexpr (std::is_same_v<T, Accept> || std::is_same_v<T, Chosen>)
        return fault(message.value);
    else
        return std::nullopt;
}

template <std::size_t I = 0>
tl::expected<Message, std::string> decode_kind(std::size_t index,
                                               std::span<const std::uint8_t> body) {
    if constexpr (I == std::variant_size_v<Message>) {
        return wrong("there is no message of kind " + std::to_string(index + 1));
    } else {
        if (index != I)
            return decode_kind<I + 1>(index, body);
        std::variant_alternative_t<I, Message> message;
        Decoder decoder(body);
        fields(decoder, message);
        if (!decoder.complete())
            return wrong("a message of kind " + std::to_string(index + 1) +
                         " has fields that cannot be");
        if (auto why = fault_within(message))
            return wrong("the value in a message cannot be: " + *why);
        return Message(std::move(message));
    }
}

}  // namespace

Bytes encode(const Vote& vote) {
    return encode_as(0, vote);
}

Bytes encode(const Message& message) {
    return std::visit(
        [&message](const auto& body) {
            return encode_as(static_cast<std::uint8_t>(message.index() + 1), body);
        },
        message);
}

tl::expected<Vote, std::string> decode_vote(std::span<const std::uint8_t> bytes) {
    const auto kind = open(bytes);
    if (!kind)
        return wrong(kind.error());
    if (*kind != 0)
        return wrong("it is a message, and not a vote");
    Vote vote;
    Decoder decoder(bytes);
    fields(decoder, vote);
    if (!decoder.complete() || vote.voter == 0)
        return wrong("it has fields that cannot be");
    if (auto why = fault_of(vote.value))
        return wrong("its value cannot be: " + *why);
    return vote;
}

tl::expected<Message, std::string> decode_message(std::span<const std::uint8_t> bytes) {
    const auto kind = open(bytes);
    if (!kind)
        return wrong(kind.error());
    if (*kind == 0)
        return wrong("it is a vote, and not a message");
    return decode_kind(*kind - 1U, bytes);
}

}  // namespace braid::membership
