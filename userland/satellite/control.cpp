// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/control.h"

#include <utility>

namespace braid::satellite {

Control::Control(sys::EventLoop& loop, CredentialsFile& credentials, const std::string& own_name,
                 PeerSettings peer, std::function<double()> random, Callbacks callbacks)
    : loop_(loop),
      credentials_(credentials),
      peer_(std::move(peer)),
      connects_(own_name < peer_.name),
      callbacks_(std::move(callbacks)),
      redial_(peer_.paths.size(), std::move(random)),
      again_(loop) {
    if (connects_) {
        again_.start({}, [this] { dial(); });
    }
}

Control::~Control() {
    if (connection_) {
        connection_->close();
        loop_.dispose(std::move(connection_));
    }
}

void Control::dial() {
    auto own = credentials_.current();
    if (own == nullptr) {
        dialled(tl::unexpected(sys::Error{ENOENT, "this node has no certificate"}));
        return;
    }
    dial_ = std::make_unique<Dial>(loop_, gate_, std::move(own),
                                   Dial::To{peer_.name, peer_.paths.at(redial_.path()), Hello{}},
                                   [this](auto result) { dialled(std::move(result)); });
}

void Control::dialled(sys::Result<std::shared_ptr<Connection>> result) {
    loop_.dispose(std::shared_ptr<Dial>(std::move(dial_)));
    if (result) {
        redial_.connected(sys::EventLoop::Clock::now());
        take(std::move(*result));
        return;
    }
    const bool news = std::exchange(why_, result.error().message) != result.error().message;
    again_.start(redial_.failed(), [this] { dial(); });
    if (news) {
        callbacks_.failed(why_);
    }
}

void Control::offered(const std::shared_ptr<Connection>& connection) {
    connection->send(encode(Answer{}));
    if (connection_) {
        drop("replaced by a new connection");
    }
    take(connection);
}

void Control::take(std::shared_ptr<Connection> connection) {
    connection_ = std::move(connection);
    connection_->hand_to({[] {},
                          [this](const std::string& message) { callbacks_.message(message); },
                          {},
                          [this](const std::string& why) { drop(why); }});
    connection_->settle();
    why_.clear();
    callbacks_.up();
}

void Control::drop(const std::string& why) {
    connection_->close();
    loop_.dispose(std::exchange(connection_, nullptr));
    why_ = why;
    if (connects_) {
        again_.start(redial_.lost(sys::EventLoop::Clock::now()), [this] { dial(); });
    }
    callbacks_.down(why);
}

bool Control::send(const std::string& message) {
    if (!connection_ || message.size() > message_max) {
        return false;
    }
    connection_->send(message);
    return true;
}

std::string Control::address() const {
    return connection_ ? connection_->address().text() : "";
}

void Control::network_changed() {
    redial_.forget();
    if (connects_ && !connection_) {
        dial_.reset();
        again_.start({}, [this] { dial(); });
    }
}

}  // namespace braid::satellite
