// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/netlink.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace braid::sys {

namespace {

/// Far above any request, far below the kernel's send buffer.
constexpr std::size_t max_message_bytes = 16384;

/// Room for thousands of events.
constexpr int event_buffer_bytes = 1 << 20;

/// A dump that is interrupted this often is given up.
constexpr int dump_attempts = 5;

using Kind = NetlinkError::Kind;

tl::unexpected<NetlinkError> failure(Kind kind, int number, std::string message) {
    return tl::unexpected(NetlinkError{kind, number, std::move(message), {}});
}

tl::unexpected<NetlinkError> transport_failure(std::string_view action, int libnl_error) {
    return failure(Kind::transport, EIO, std::string(action) + ": " + nl_geterror(libnl_error));
}

template <class T>
std::optional<T> number(const nlattr* attribute) {
    if (attribute == nullptr || nla_len(attribute) != sizeof(T)) {
        return std::nullopt;
    }
    T value{};
    std::memcpy(&value, nla_data(attribute), sizeof(T));
    return value;
}

std::optional<std::string> text(const nlattr* attribute) {
    if (attribute == nullptr || nla_len(attribute) < 1) {
        return std::nullopt;
    }
    const std::string_view value(static_cast<const char*>(nla_data(attribute)),
                                 static_cast<std::size_t>(nla_len(attribute)));
    const std::size_t end = value.find('\0');
    if (end == std::string_view::npos) {
        return std::nullopt;
    }
    return std::string(value.substr(0, end));
}

/// The path to the attribute at `wanted`, below the attributes in [first, first + length).
void find_path(const nlattr* first, int length, const std::byte* wanted,
               std::vector<std::uint16_t>& path) {
    int remaining = length;
    for (const nlattr* at = first; nla_ok(at, remaining) != 0; at = nla_next(at, &remaining)) {
        const auto* start = reinterpret_cast<const std::byte*>(at);
        if (wanted < start || wanted >= start + at->nla_len) {
            continue;
        }
        path.push_back(static_cast<std::uint16_t>(nla_type(at)));
        if (wanted != start) {
            const std::size_t depth = path.size();
            if (nla_is_nested(at) != 0) {
                find_path(static_cast<const nlattr*>(nla_data(at)), nla_len(at), wanted, path);
            }
            if (path.size() == depth) {
                path.clear();  // in the middle of a value: no attribute starts there
            }
        }
        return;
    }
}

/// The error that the kernel sent, with the attributes (`first`, `length`) of its
/// extended ack. They are optional, and none of them is worth an error if odd.
NetlinkError refusal(int number_of_error, const nlattr* first, int length,
                     const NetlinkMessage& request) {
    NetlinkError error{Kind::refused, number_of_error, {}, {}};
    error.message = text(nla_find(first, length, NLMSGERR_ATTR_MSG)).value_or("");
    if (auto offset = number<std::uint32_t>(nla_find(first, length, NLMSGERR_ATTR_OFFS))) {
        error.attribute = request.attribute_at(*offset);
    }
    if (auto type = number<std::uint32_t>(nla_find(first, length, NLMSGERR_ATTR_MISS_TYPE))) {
        const auto nest = number<std::uint32_t>(nla_find(first, length, NLMSGERR_ATTR_MISS_NEST));
        error.attribute = nest ? request.attribute_at(*nest) : std::vector<std::uint16_t>();
        error.attribute.push_back(static_cast<std::uint16_t>(*type));
    }
    return error;
}

void check_fits(int libnl_error) {
    if (libnl_error != 0) {
        throw std::length_error("netlink message too long");
    }
}

/// One datagram of the kernel; empty if there is none and the socket does not wait.
NetlinkResult<std::vector<std::byte>> receive_from(nl_sock* socket) {
    for (;;) {
        sockaddr_nl sender{};
        unsigned char* received = nullptr;
        const int length = nl_recv(socket, &sender, &received, nullptr);
        const std::unique_ptr<unsigned char, decltype(&std::free)> owner(received, &std::free);
        if (length == -NLE_AGAIN) {
            return std::vector<std::byte>();
        }
        if (length == -NLE_NOMEM) {  // libnl's word for ENOBUFS
            return failure(Kind::lost, ENOBUFS, "the kernel sent more than was received in time");
        }
        if (length < 0) {
            return transport_failure("cannot receive from the kernel", length);
        }
        if (length == 0) {
            return failure(Kind::transport, EIO, "the kernel closed the netlink socket");
        }
        // Any process may send to this socket; only the kernel has port 0.
        if (sender.nl_pid == 0) {
            const auto* first = reinterpret_cast<const std::byte*>(received);
            return std::vector<std::byte>(first, first + length);
        }
    }
}

}  // namespace

std::string NetlinkError::cause() const {
    return message.empty() ? std::generic_category().message(number) : message;
}

void NetlinkMessage::Free::operator()(nl_msg* message) const {
    nlmsg_free(message);
}

NetlinkMessage::NetlinkMessage(std::uint16_t family, std::uint8_t command, std::uint8_t version)
    : message_(nlmsg_alloc_size(max_message_bytes)) {
    if (!message_ ||
        genlmsg_put(get(), NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, 0, command, version) == nullptr) {
        throw std::bad_alloc();
    }
}

NetlinkMessage::NetlinkMessage(const nlmsghdr& received)
    // libnl only reads what it copies, but takes no const.
    : message_(nlmsg_convert(const_cast<nlmsghdr*>(&received))) {
    if (!message_) {
        throw std::bad_alloc();
    }
}

void NetlinkMessage::put(std::uint16_t type, std::uint32_t value) {
    check_fits(nla_put_u32(get(), type, value));
}

void NetlinkMessage::put(std::uint16_t type, std::uint64_t value) {
    check_fits(nla_put_u64(get(), type, value));
}

void NetlinkMessage::put_flag(std::uint16_t type) {
    check_fits(nla_put_flag(get(), type));
}

void NetlinkMessage::put(std::uint16_t type, std::string_view value) {
    check_fits(nla_put_string(get(), type, std::string(value).c_str()));
}

void NetlinkMessage::put(std::uint16_t type, std::span<const std::byte> value) {
    check_fits(nla_put(get(), type, static_cast<int>(value.size()), value.data()));
}

void NetlinkMessage::put_nest(std::uint16_t type, const std::function<void()>& fill) {
    nlattr* nest = nla_nest_start(get(), type | NLA_F_NESTED);
    check_fits(nest == nullptr ? -NLE_NOMEM : 0);
    fill();
    nla_nest_end(get(), nest);
}

std::uint8_t NetlinkMessage::command() const {
    return static_cast<const genlmsghdr*>(nlmsg_data(nlmsg_hdr(get())))->cmd;
}

NetlinkAttributes NetlinkMessage::attributes() const {
    const nlmsghdr* header = nlmsg_hdr(get());
    return {nlmsg_attrdata(header, GENL_HDRLEN), nlmsg_attrlen(header, GENL_HDRLEN)};
}

const nlattr* NetlinkAttributes::find(std::uint16_t type) const {
    return nla_find(first_, length_, type);
}

std::optional<std::uint16_t> NetlinkAttributes::u16(std::uint16_t type) const {
    return number<std::uint16_t>(find(type));
}

std::optional<std::uint32_t> NetlinkAttributes::u32(std::uint16_t type) const {
    return number<std::uint32_t>(find(type));
}

std::optional<std::int32_t> NetlinkAttributes::s32(std::uint16_t type) const {
    return number<std::int32_t>(find(type));
}

std::optional<std::uint64_t> NetlinkAttributes::u64(std::uint16_t type) const {
    return number<std::uint64_t>(find(type));
}

std::optional<std::string> NetlinkAttributes::string(std::uint16_t type) const {
    return text(find(type));
}

std::optional<std::span<const std::byte>> NetlinkAttributes::bytes(std::uint16_t type) const {
    const nlattr* attribute = find(type);
    if (attribute == nullptr) {
        return std::nullopt;
    }
    return std::span(static_cast<const std::byte*>(nla_data(attribute)),
                     static_cast<std::size_t>(nla_len(attribute)));
}

bool NetlinkAttributes::has(std::uint16_t type) const {
    return find(type) != nullptr;
}

std::vector<NetlinkAttributes> NetlinkAttributes::nests(std::uint16_t type) const {
    std::vector<NetlinkAttributes> found;
    int remaining = length_;
    for (const nlattr* at = first_; nla_ok(at, remaining) != 0; at = nla_next(at, &remaining)) {
        if (nla_type(at) == type) {
            found.emplace_back(static_cast<const nlattr*>(nla_data(at)), nla_len(at));
        }
    }
    return found;
}

std::vector<std::uint16_t> NetlinkMessage::attribute_at(std::uint32_t offset) const {
    nlmsghdr* header = nlmsg_hdr(get());
    std::vector<std::uint16_t> path;
    if (offset < header->nlmsg_len) {
        find_path(nlmsg_attrdata(header, GENL_HDRLEN), nlmsg_attrlen(header, GENL_HDRLEN),
                  reinterpret_cast<const std::byte*>(header) + offset, path);
    }
    return path;
}

NetlinkResult<bool> NetlinkReplies::add(std::span<const std::byte> datagram) {
    // Copied for its alignment, and because libnl's iterators take no const.
    std::vector<std::byte> buffer(datagram.begin(), datagram.end());
    auto* header = reinterpret_cast<nlmsghdr*>(buffer.data());
    int remaining = static_cast<int>(buffer.size());
    for (; nlmsg_ok(header, remaining) != 0; header = nlmsg_next(header, &remaining)) {
        if (header->nlmsg_seq != nlmsg_hdr(request_.get())->nlmsg_seq) {
            continue;  // the rest of an answer that was given up
        }
        auto done = add_message(*header);
        if (!done || *done) {
            return done;
        }
    }
    if (remaining > 0) {
        return failure(Kind::malformed, EBADMSG, "the kernel's answer is cut off");
    }
    return false;
}

NetlinkResult<bool> NetlinkReplies::add_message(const nlmsghdr& header) {
    interrupted_ = interrupted_ || (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    switch (header.nlmsg_type) {
        case NLMSG_ERROR:
        case NLMSG_DONE:
            return finish(header);
        case NLMSG_NOOP:
            return false;
        case NLMSG_OVERRUN:
            return failure(Kind::malformed, EOVERFLOW, "the kernel lost a part of its answer");
        default:
            if (header.nlmsg_len < NLMSG_HDRLEN + GENL_HDRLEN) {
                return failure(Kind::malformed, EBADMSG,
                               "a message in the kernel's answer is too short");
            }
            replies_.emplace_back(header);
            return false;
    }
}

/// The message that ends the answer: an acknowledgement or error, or a dump's end.
NetlinkResult<bool> NetlinkReplies::finish(const nlmsghdr& header) const {
    const bool dump_end = header.nlmsg_type == NLMSG_DONE;
    const auto* payload = static_cast<const std::byte*>(nlmsg_data(&header));
    const int length = nlmsg_datalen(&header);
    // Both begin with the error; an error goes on with the header of the request.
    int skip = dump_end ? sizeof(int) : sizeof(nlmsgerr);
    if (length < skip) {
        return failure(Kind::malformed, EBADMSG, "the kernel's acknowledgement is too short");
    }
    int error = 0;
    std::memcpy(&error, payload, sizeof(error));
    if (error >= 0) {
        return true;
    }
    if (!dump_end && (header.nlmsg_flags & NLM_F_CAPPED) == 0) {
        // The request's payload follows its header.
        nlmsgerr echoed{};
        std::memcpy(&echoed, payload, sizeof(echoed));
        const std::uint32_t most = static_cast<std::uint32_t>(length - skip);
        const std::uint32_t echoed_payload = echoed.msg.nlmsg_len - sizeof(nlmsghdr);
        skip += static_cast<int>(std::min(NLMSG_ALIGN(echoed_payload), most));
    }
    const bool has_attributes = (header.nlmsg_flags & NLM_F_ACK_TLVS) != 0;
    const auto* first = reinterpret_cast<const nlattr*>(payload + skip);
    return tl::unexpected(refusal(-error, first, has_attributes ? length - skip : 0, request_));
}

void NetlinkSocket::Free::operator()(nl_sock* socket) const {
    nl_socket_free(socket);
}

NetlinkResult<std::unique_ptr<Netlink>> NetlinkSocket::open() {
    std::unique_ptr<NetlinkSocket> opened(new NetlinkSocket(nl_socket_alloc()));
    nl_sock* socket = opened->socket_.get();
    if (socket == nullptr) {
        throw std::bad_alloc();
    }
    if (const int error = genl_connect(socket); error != 0) {
        return transport_failure("cannot open a generic netlink socket", error);
    }
    // Errors with words, and without an echo of the request. Kernels without the
    // options (all that Braid supports have them) would send the bare number.
    const int on = 1;
    for (const int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK}) {
        setsockopt(nl_socket_get_fd(socket), SOL_NETLINK, option, &on, sizeof(on));
    }
    return opened;
}

NetlinkResult<std::uint16_t> NetlinkSocket::resolve(std::string_view family) {
    NetlinkMessage request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
    request.put(CTRL_ATTR_FAMILY_NAME, family);
    auto replies = transact(request);
    if (!replies) {
        NetlinkError error = std::move(replies.error());
        if (error.kind == Kind::refused && error.number == ENOENT) {
            error.kind = Kind::no_family;
        }
        return tl::unexpected(std::move(error));
    }
    const auto id = replies->empty() ? std::nullopt : replies->front().u16(CTRL_ATTR_FAMILY_ID);
    if (!id) {
        return failure(Kind::malformed, EBADMSG, "the kernel's answer has no family id");
    }
    return *id;
}

NetlinkResult<std::vector<NetlinkMessage>> NetlinkSocket::transact(const NetlinkMessage& request) {
    return exchange(request, NLM_F_REQUEST | NLM_F_ACK);
}

NetlinkResult<std::vector<NetlinkMessage>> NetlinkSocket::dump(const NetlinkMessage& request) {
    for (int attempt = 0; attempt < dump_attempts; attempt++) {
        auto replies = exchange(request, NLM_F_REQUEST | NLM_F_DUMP);
        if (replies || replies.error().number != EINTR) {
            return replies;
        }
    }
    return failure(Kind::refused, EAGAIN, "the objects kept changing while they were listed");
}

NetlinkResult<std::vector<NetlinkMessage>> NetlinkSocket::exchange(const NetlinkMessage& request,
                                                                   int flags) {
    nlmsghdr* header = nlmsg_hdr(request.get());
    header->nlmsg_flags = static_cast<std::uint16_t>(flags);
    header->nlmsg_seq = nl_socket_use_seq(socket_.get());
    if (const int error = nl_send_auto(socket_.get(), request.get()); error < 0) {
        return transport_failure("cannot send to the kernel", error);
    }
    NetlinkReplies replies(request);
    for (;;) {
        const auto datagram = receive_from(socket_.get());
        if (!datagram) {
            return tl::unexpected(datagram.error());
        }
        const auto done = replies.add(*datagram);
        if (!done) {
            return tl::unexpected(done.error());
        }
        if (*done) {
            break;
        }
    }
    if (replies.interrupted()) {
        return failure(Kind::refused, EINTR, "the objects changed while they were listed");
    }
    return replies.take();
}

void NetlinkSubscription::Free::operator()(nl_sock* socket) const {
    nl_socket_free(socket);
}

NetlinkResult<std::unique_ptr<NetlinkEvents>> NetlinkSubscription::open(const std::string& family,
                                                                        const std::string& group) {
    std::unique_ptr<NetlinkSubscription> opened(new NetlinkSubscription(nl_socket_alloc()));
    nl_sock* socket = opened->socket_.get();
    if (socket == nullptr) {
        throw std::bad_alloc();
    }
    if (const int error = genl_connect(socket); error != 0) {
        return transport_failure("cannot open a generic netlink socket", error);
    }
    const int number = genl_ctrl_resolve_grp(socket, family.c_str(), group.c_str());
    if (number == -NLE_OBJ_NOTFOUND) {
        return failure(Kind::no_family, ENOENT, "there is no group " + group + " of " + family);
    }
    if (number < 0) {
        return transport_failure("cannot find the group " + group, number);
    }
    nl_socket_disable_seq_check(socket);
    // Needs CAP_NET_ADMIN, as the family does; less room means that more is lost, and told.
    setsockopt(nl_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUFFORCE, &event_buffer_bytes,
               sizeof(event_buffer_bytes));
    if (const int error = nl_socket_add_membership(socket, number); error != 0) {
        return transport_failure("cannot join the group " + group, error);
    }
    if (const int error = nl_socket_set_nonblocking(socket); error != 0) {
        return transport_failure("cannot use the group " + group, error);
    }
    return opened;
}

int NetlinkSubscription::fd() const {
    return nl_socket_get_fd(socket_.get());
}

NetlinkResult<std::vector<NetlinkMessage>> NetlinkSubscription::receive() {
    std::vector<NetlinkMessage> events;
    for (;;) {
        auto datagram = receive_from(socket_.get());
        if (!datagram) {
            return tl::unexpected(std::move(datagram.error()));
        }
        if (datagram->empty()) {
            return events;
        }
        auto* header = reinterpret_cast<nlmsghdr*>(datagram->data());
        int remaining = static_cast<int>(datagram->size());
        for (; nlmsg_ok(header, remaining) != 0; header = nlmsg_next(header, &remaining)) {
            if (header->nlmsg_len >= NLMSG_HDRLEN + GENL_HDRLEN) {
                events.emplace_back(*header);
            }
        }
    }
}

}  // namespace braid::sys
