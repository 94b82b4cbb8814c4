// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace braid::sys {

namespace {

/// What the shell says where there is no such program.
constexpr int not_found = 127;

Result<std::string> content_of(const Fd& file) {
    std::string content;
    std::array<char, 16384> buffer{};
    for (;;) {
        const ssize_t count =
            pread(file.get(), buffer.data(), buffer.size(), static_cast<off_t>(content.size()));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return tl::unexpected(
                Error{errno, "output: " + std::generic_category().message(errno)});
        }
        if (count == 0) {
            return content;
        }
        content.append(buffer.data(), static_cast<std::size_t>(count));
    }
}

}  // namespace

std::string shell_word(std::string_view text) {
    std::string word = "'";
    for (const char each : text) {
        word += each == '\'' ? std::string("'\\''") : std::string(1, each);
    }
    return word + "'";
}

std::string shell_command(const std::vector<std::string>& words) {
    std::string command;
    for (const std::string& word : words) {
        command += (command.empty() ? "" : " ") + shell_word(word);
    }
    return command;
}

Result<CommandEnd> run_command(const std::vector<std::string>& words, std::chrono::seconds limit) {
    const Fd out(memfd_create("output", MFD_CLOEXEC));
    if (!out) {
        return tl::unexpected(
            Error{errno, "memfd_create: " + std::generic_category().message(errno)});
    }
    EventLoop loop;
    CommandEnd result;
    Process::Setup setup{"exec " + shell_command(words)};
    setup.environment = {"LC_ALL=C", "LVM_SUPPRESS_FD_WARNINGS=1"};
    setup.limit = limit;
    setup.standard_output = out.get();
    const auto process = Process::start(loop, std::move(setup), [&](const ProcessEnd& end) {
        result.end = end;
        loop.stop();
    });
    if (!process) {
        return tl::unexpected(process.error());
    }
    loop.run();
    auto content = content_of(out);
    if (!content) {
        return tl::unexpected(content.error());
    }
    result.out = std::move(*content);
    return result;
}

Result<std::string> output_of(const RunCommand& run, const std::vector<std::string>& words) {
    auto ended = run(words);
    if (!ended) {
        return tl::unexpected(ended.error());
    }
    const ProcessEnd& end = ended->end;
    if (end.success()) {
        return std::move(ended->out);
    }
    const bool absent = end.how == ProcessEnd::How::exited && end.number == not_found;
    return tl::unexpected(Error{
        absent ? ENOENT : EIO,
        absent
            ? fmt::format("{}: there is no such program", words.front())
            : fmt::format("{}: {}{}", words.front(), to_string(end),
                          end.output.empty() ? std::string()
                                             : fmt::format(": {}", fmt::join(end.output, " | ")))});
}

}  // namespace braid::sys
