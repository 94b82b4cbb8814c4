// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/link.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sys/netlink_gen.h"

namespace braid::satellite {

namespace {

namespace link_state = netlink::enums::link_state;

/// How soon the kernel is asked again to retire a stream: the other one's hello is on its way.
constexpr std::chrono::milliseconds retire_interval{100};

std::string text_of(const sys::ClientError& error) {
    return error.attribute.empty() ? error.cause : error.attribute + ": " + error.cause;
}

}  // namespace

Link::Link(Environment environment, Control& control, LinkSettings settings)
    : env_(std::move(environment)),
      control_(control),
      settings_(std::move(settings)),
      redial_(control.peer().paths.size(), env_.random),
      again_(env_.loop),
      retire_again_(env_.loop) {
    wait({}, [this] { refresh(); });
}

Link::~Link() {
    for (auto& connection : handing_) {
        connection->abort();
        env_.loop.dispose(std::move(connection));
    }
}

std::optional<sys::PeerState> Link::look() {
    const auto peers = env_.kernel.peers(settings_.resource);
    if (!peers) {
        why_ = "the kernel: " + text_of(peers.error());
        return std::nullopt;
    }
    const auto found = std::ranges::find(*peers, settings_.node, &sys::PeerState::node);
    if (found == peers->end()) {
        why_ = "the kernel's resource has no such peer";
        return std::nullopt;
    }
    return *found;
}

void Link::refresh() {
    const auto link = look();
    if (!link) {
        failed(why_);
        return;
    }
    if (link->link == link_state::disconnected) {
        lost();
        return;
    }
    if (link->session != session_) {
        // Made before this program began, perhaps not all of it.
        session_ = link->session;
        made_ = std::clamp(link->stream_count, 1U, settings_.streams);
        dial_.reset();
        dial();
    }
    const bool up = link->link == link_state::connected;
    if (up && !up_) {
        redial_.connected(sys::EventLoop::Clock::now());
        why_.clear();
        logged_.clear();
        env_.log("connected");
    }
    up_ = up;
}

/// The kernel has no connection.
void Link::lost() {
    if (up_) {
        env_.log("disconnected");
    }
    const bool pending = dial_ != nullptr || !handing_.empty();
    up_ = false;
    replacements_.clear();
    retire_again_.stop();
    if (!control_.connects()) {
        if (why_.empty()) {
            why_ = fmt::format("{} has not connected", settings_.peer);
        }
        return;
    }
    if (made_ == 0 && (pending || waiting_)) {
        return;  // the first stream is being made, or will be after a pause
    }
    dial_.reset();
    const bool again = std::exchange(made_, 0) > 0;
    session_ = 0;
    wait(again ? redial_.lost(sys::EventLoop::Clock::now()) : sys::EventLoop::Clock::duration(),
         [this] { begin(); });
}

/// Whoever asks for the state meanwhile does not cut it short.
void Link::wait(sys::EventLoop::Clock::duration pause, std::function<void()> then) {
    waiting_ = true;
    again_.start(pause, [this, then = std::move(then)] {
        waiting_ = false;
        then();
    });
}

/// A new session.
void Link::begin() {
    session_ = env_.session();
    made_ = 0;
    dial();
}

/// The next stream of the session, or one in the place of another.
void Link::dial() {
    const bool replace = !replacements_.empty() && !replacements_.front().made;
    const bool more = control_.connects() && made_ < settings_.streams;
    // Without a session one is about to begin, and dials then.
    if (session_ == 0 || dial_ != nullptr || !handing_.empty() || (!more && !replace)) {
        return;
    }
    auto own = env_.credentials.current();
    if (own == nullptr) {
        failed("this node has no certificate");
        return;
    }
    const StreamHello hello{settings_.resource, session_, more ? made_ : settings_.streams,
                            settings_.transport};
    dial_ = std::make_unique<Dial>(
        env_.loop, control_.gate(), std::move(own),
        Dial::To{settings_.peer, control_.peer().paths.at(redial_.path()), Hello{hello}},
        [this, hello](auto result) { dialled(std::move(result), hello); });
}

void Link::dialled(sys::Result<std::shared_ptr<Connection>> result, const StreamHello& hello) {
    env_.loop.dispose(std::shared_ptr<Dial>(std::move(dial_)));
    if (!result) {
        failed(result.error().message);
        return;
    }
    Connection* connection = result->get();
    handing_.push_back(std::move(*result));
    connection->hand_to({[] {},
                         [this, connection](const std::string&) {
                             take(connection)->abort();
                             failed("it sent more than its answer");
                         },
                         [this, connection, hello] {
                             if (hand_over(*take(connection), hello)) {
                                 made(hello.number);
                             }
                         },
                         [this, connection](const std::string& why) {
                             take(connection);
                             failed(why);
                         }});
    connection->send(std::string(go));
}

std::string Link::objection(const StreamHello& hello) {
    if (hello.transport != settings_.transport) {
        return fmt::format("transport {} there, {} here, for resource {}", name_of(hello.transport),
                           name_of(settings_.transport), hello.resource);
    }
    if (hello.number == 0) {
        return control_.connects() ? "the other node connects" : "";
    }
    // One of a session that has ended meanwhile would end the one that there is.
    const auto link = look();
    return link && link->session == hello.session && link->link != link_state::disconnected
               ? ""
               : "it is of an earlier connection";
}

std::string Link::offered(const std::shared_ptr<Connection>& offer, const StreamHello& hello) {
    if (std::string why = objection(hello); !why.empty()) {
        return why;
    }
    Connection* connection = offer.get();
    handing_.push_back(offer);
    connection->hand_to({[] {},
                         [this, connection, hello](const std::string& message) {
                             const auto owner = take(connection);
                             if (message == go) {
                                 hand_over(*owner, hello);
                             } else {
                                 owner->abort();
                             }
                         },
                         {},
                         [this, connection](const std::string& why) {
                             take(connection);
                             env_.log("a stream was given up: " + why);
                         }});
    connection->send(encode(Answer{}));
    return {};
}

/// Out of the list, to whoever goes on with it.
std::shared_ptr<Connection> Link::take(const Connection* connection) {
    const auto found = std::ranges::find(handing_, connection, &std::shared_ptr<Connection>::get);
    auto taken = std::move(*found);
    handing_.erase(found);
    env_.loop.dispose(taken);  // it is calling
    return taken;
}

/// Everything of TLS's was said and heard: the socket becomes the kernel's.
bool Link::hand_over(Connection& connection, const StreamHello& hello) {
    if (hello.number > 0 && session_ != hello.session) {
        connection.abort();
        return false;  // given up meanwhile
    }
    const auto fd = connection.release(hello.transport);
    if (!fd) {
        connection.abort();
        failed(fd.error().message);
        return false;
    }
    const auto done =
        env_.kernel.peer_connect({settings_.resource, settings_.node, fd->get(), hello.session,
                                  settings_.checksums, settings_.key_limit});
    if (!done) {
        failed("the kernel does not take the socket: " + text_of(done.error()));
        return false;
    }
    session_ = hello.session;
    return true;
}

void Link::made(std::uint32_t number) {
    if (number < settings_.streams) {
        made_ = number + 1;
    } else if (!replacements_.empty()) {
        replacements_.front().made = true;
        retire();
    }
    dial();
}

void Link::failed(const std::string& why) {
    if (why != logged_) {
        env_.log(why);  // the same again and again is worth a line
        logged_ = why;
    }
    why_ = why;
    wait(redial_.failed(), [this] {
        refresh();
        dial();
    });
}

void Link::key_used(std::uint32_t stream) {
    refresh();
    const auto known = [&](const Replacement& each) { return each.stream == stream; };
    if (!up_ || std::ranges::any_of(replacements_, known)) {
        return;
    }
    const auto link = look();
    // Both ends may have replaced the same one before: then there is one too many.
    const bool spare = link && link->stream_count > settings_.streams;
    replacements_.push_back({stream, spare});
    if (spare) {
        retire();
    } else {
        dial();
    }
}

void Link::retire() {
    if (replacements_.empty() || !replacements_.front().made) {
        return;
    }
    namespace attr = netlink::attr::peer;
    const auto done = env_.kernel.run(netlink::op::peer_retire,
                                      {{attr::name, std::string_view(settings_.resource)},
                                       {attr::node_id, settings_.node},
                                       {attr::stream_id, replacements_.front().stream}});
    if (!done && done.error().number == EBUSY) {
        retire_again_.start(retire_interval, [this] { retire(); });
        return;
    }
    replacements_.pop_front();
    dial();
    retire();
}

void Link::network_changed() {
    redial_.forget();
    if (!up_) {
        dial_.reset();
        wait({}, [this] { refresh(); });
    }
}

}  // namespace braid::satellite
