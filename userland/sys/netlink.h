// SPDX-License-Identifier: GPL-2.0-or-later
//
// Generic netlink over libnl-3, the only file (with its .cpp) that calls it.
//
// Requests are answered by the kernel in the context of the sender, so nothing
// here waits longer than the operation itself takes. No class here is
// thread-safe: one socket belongs to one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sys/result.h"

struct nl_msg;
struct nl_sock;
struct nlattr;
struct nlmsghdr;

namespace braid::sys {

struct NetlinkError {
    enum class Kind {
        transport,  ///< the socket failed: nothing is known about the request
        no_family,  ///< the family does not exist in this network namespace
        refused,    ///< the kernel answered with an error
        malformed,  ///< the answer is not what the protocol says
        lost,       ///< messages of a group did not fit: what they told has to be asked for
    };

    Kind kind = Kind::transport;
    /// errno value, > 0.
    int number = 0;
    /// The kernel's own words (extended ack), verbatim, or ours if it did not
    /// answer. Empty if the kernel gave only a number.
    std::string message;
    /// The attribute of the request that is wrong or missing, from the outermost
    /// nest inwards. Empty if the kernel named none.
    std::vector<std::uint16_t> attribute;

    /// `message`, or else the text for `number`.
    [[nodiscard]] std::string cause() const;
};

template <class T>
using NetlinkResult = Result<T, NetlinkError>;

/// The attributes of a message or of a nest in it, which must outlive this.
class NetlinkAttributes {
  public:
    NetlinkAttributes(const nlattr* first, int length) : first_(first), length_(length) {}

    /// The value of an attribute; nothing if it is absent, has another size, or
    /// (string) is not terminated.
    [[nodiscard]] std::optional<std::uint16_t> u16(std::uint16_t type) const;
    [[nodiscard]] std::optional<std::uint32_t> u32(std::uint16_t type) const;
    [[nodiscard]] std::optional<std::int32_t> s32(std::uint16_t type) const;
    [[nodiscard]] std::optional<std::uint64_t> u64(std::uint16_t type) const;
    [[nodiscard]] std::optional<std::string> string(std::uint16_t type) const;
    [[nodiscard]] std::optional<std::span<const std::byte>> bytes(std::uint16_t type) const;
    /// Whether the attribute is there.
    [[nodiscard]] bool has(std::uint16_t type) const;
    /// What is in each attribute of a type, in their order.
    [[nodiscard]] std::vector<NetlinkAttributes> nests(std::uint16_t type) const;

  private:
    [[nodiscard]] const nlattr* find(std::uint16_t type) const;

    const nlattr* first_;
    int length_;
};

/// One generic netlink message: a request being built, or a reply.
class NetlinkMessage {
  public:
    /// An empty message for `family` (an id that Netlink::resolve() gave).
    NetlinkMessage(std::uint16_t family, std::uint8_t command, std::uint8_t version);

    /// A copy of a received message, whose length was checked by the caller.
    explicit NetlinkMessage(const nlmsghdr& received);

    /// Appends an attribute. Throws std::length_error if the message exceeds
    /// 16 KiB.
    void put(std::uint16_t type, std::uint32_t value);
    void put(std::uint16_t type, std::uint64_t value);
    void put(std::uint16_t type, std::string_view value);
    void put(std::uint16_t type, std::span<const std::byte> value);
    void put_flag(std::uint16_t type);
    /// Appends a nest with what `fill` appends.
    void put_nest(std::uint16_t type, const std::function<void()>& fill);

    [[nodiscard]] std::uint8_t command() const;

    [[nodiscard]] NetlinkAttributes attributes() const;
    [[nodiscard]] std::optional<std::uint16_t> u16(std::uint16_t type) const {
        return attributes().u16(type);
    }
    [[nodiscard]] std::optional<std::uint32_t> u32(std::uint16_t type) const {
        return attributes().u32(type);
    }
    [[nodiscard]] std::optional<std::uint64_t> u64(std::uint16_t type) const {
        return attributes().u64(type);
    }
    [[nodiscard]] std::optional<std::string> string(std::uint16_t type) const {
        return attributes().string(type);
    }
    [[nodiscard]] bool has(std::uint16_t type) const { return attributes().has(type); }

    /// Types from the outermost attribute to the one that starts `offset` bytes
    /// into the message, as an extended ack counts. Empty if none starts there.
    [[nodiscard]] std::vector<std::uint16_t> attribute_at(std::uint32_t offset) const;

    /// For the socket: the message in libnl's form. Never null.
    [[nodiscard]] nl_msg* get() const { return message_.get(); }

  private:
    struct Free {
        void operator()(nl_msg* message) const;
    };

    std::unique_ptr<nl_msg, Free> message_;
};

/// What the rest of the userland needs from generic netlink.
class Netlink {
  public:
    virtual ~Netlink() = default;

    /// Id of a family in the network namespace of the socket. Kind::no_family if
    /// there is none. The kernel may load a module to find one.
    virtual NetlinkResult<std::uint16_t> resolve(std::string_view family) = 0;

    /// Sends a request and returns the replies that came before the kernel's
    /// acknowledgement: most operations have one or none.
    virtual NetlinkResult<std::vector<NetlinkMessage>> transact(const NetlinkMessage& request) = 0;

    /// Lists objects. Kind::refused with EAGAIN if they kept changing, so that
    /// the list would not be consistent.
    virtual NetlinkResult<std::vector<NetlinkMessage>> dump(const NetlinkMessage& request) = 0;
};

/// Messages that the kernel sends to a group.
class NetlinkEvents {
  public:
    virtual ~NetlinkEvents() = default;

    /// Readable when there is something to receive.
    [[nodiscard]] virtual int fd() const = 0;

    /// What has come, without waiting. Kind::lost: some of it did not fit; the next call goes on.
    virtual NetlinkResult<std::vector<NetlinkMessage>> receive() = 0;
};

/// The real thing, in the network namespace in which it was opened.
class NetlinkSubscription final : public NetlinkEvents {
  public:
    /// Kind::no_family if there is no such family, or it has no such group.
    static NetlinkResult<std::unique_ptr<NetlinkEvents>> open(const std::string& family,
                                                              const std::string& group);

    [[nodiscard]] int fd() const override;
    NetlinkResult<std::vector<NetlinkMessage>> receive() override;

  private:
    struct Free {
        void operator()(nl_sock* socket) const;
    };

    explicit NetlinkSubscription(nl_sock* socket) : socket_(socket) {}

    std::unique_ptr<nl_sock, Free> socket_;
};

/// The real thing. Belongs to the network namespace in which it was opened.
class NetlinkSocket final : public Netlink {
  public:
    static NetlinkResult<std::unique_ptr<Netlink>> open();

    NetlinkResult<std::uint16_t> resolve(std::string_view family) override;
    NetlinkResult<std::vector<NetlinkMessage>> transact(const NetlinkMessage& request) override;
    NetlinkResult<std::vector<NetlinkMessage>> dump(const NetlinkMessage& request) override;

  private:
    struct Free {
        void operator()(nl_sock* socket) const;
    };

    explicit NetlinkSocket(nl_sock* socket) : socket_(socket) {}

    NetlinkResult<std::vector<NetlinkMessage>> exchange(const NetlinkMessage& request, int flags);

    std::unique_ptr<nl_sock, Free> socket_;
};

/// Replies to one request, collected from what the socket received. Apart from
/// the socket so that it can be tested with any bytes.
class NetlinkReplies {
  public:
    explicit NetlinkReplies(const NetlinkMessage& request) : request_(request) {}

    /// Takes one datagram of the kernel. True once the request is completely
    /// answered; an error if it was refused or if the bytes make no sense.
    NetlinkResult<bool> add(std::span<const std::byte> datagram);

    /// The objects of a dump changed while they were listed.
    [[nodiscard]] bool interrupted() const { return interrupted_; }

    [[nodiscard]] std::vector<NetlinkMessage> take() { return std::move(replies_); }

  private:
    NetlinkResult<bool> add_message(const nlmsghdr& header);
    [[nodiscard]] NetlinkResult<bool> finish(const nlmsghdr& header) const;

    const NetlinkMessage& request_;
    std::vector<NetlinkMessage> replies_;
    bool interrupted_ = false;
};

}  // namespace braid::sys
