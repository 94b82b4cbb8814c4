// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/daemon.h"

#include <cerrno>

namespace braid::cli {

namespace {

Failure no_daemon(const sys::Error& error) {
    const bool absent = error.number == ENOENT || error.number == ECONNREFUSED;
    return {ExitCode::no_daemon, "braid-satellite",
            absent ? "not running (" + error.message + ")" : error.message,
            absent ? "Start it with 'systemctl start braid-satellite'." : ""};
}

std::string line_of(const nlohmann::json& request) {
    return request.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

sys::Result<nlohmann::json, Failure> parse(const sys::Result<std::string>& answer) {
    if (!answer) {
        return tl::unexpected(no_daemon(answer.error()));
    }
    auto parsed = nlohmann::json::parse(*answer, nullptr, false);
    if (!parsed.is_object() || !parsed.contains("ok") || !parsed["ok"].is_boolean()) {
        return tl::unexpected(Failure{ExitCode::failure, "braid-satellite",
                                      "its answer makes no sense: " + answer->substr(0, 100),
                                      "Use braidadm and braid-satellite of the same version."});
    }
    return parsed;
}

}  // namespace

sys::Result<nlohmann::json, Failure> ask_daemon(const Context& context,
                                                const nlohmann::json& request,
                                                std::chrono::milliseconds most) {
    return parse(context.ask_daemon(line_of(request), most));
}

sys::Result<nlohmann::json, Failure> tell_daemon(const Context& context, const std::string& what,
                                                 const nlohmann::json& request,
                                                 std::chrono::milliseconds most) {
    auto answer = ask_daemon(context, request, most);
    if (answer && !(*answer)["ok"].get<bool>()) {
        return tl::unexpected(Failure{
            ExitCode::refused, what, answer->value("text", "refused, without a reason"), {}});
    }
    return answer;
}

ExitCode reload_daemon(const Context& context) {
    const auto told = tell_daemon(context, "braid-satellite", {{"verb", "reload"}});
    if (told) {
        return ExitCode::ok;
    }
    Failure failure = told.error();
    if (failure.code != ExitCode::no_daemon) {
        print(context.err, failure);
        return failure.code;
    }
    failure.what = "warning: " + failure.what;
    failure.cause +=
        ": until it runs, nothing connects this node to its peers, and nobody can become Primary "
        "here";
    print(context.err, failure);
    return ExitCode::ok;
}

}  // namespace braid::cli
