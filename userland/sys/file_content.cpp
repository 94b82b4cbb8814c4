// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/file_content.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "sys/fd.h"

namespace braid::sys {

namespace {

tl::unexpected<Error> failure(const std::string& path, const char* what, int number) {
    return tl::unexpected(
        Error{number, path + ": " + what + ": " + std::generic_category().message(number)});
}

/// A file that goes away unless it has got its name.
class Temporary {
  public:
    explicit Temporary(const std::string& beside) : name_(beside + ".XXXXXX") {
        fd_ = Fd(mkostemp(name_.data(), O_CLOEXEC));
    }
    ~Temporary() {
        if (fd_) {
            unlink(name_.c_str());
        }
    }
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;

    [[nodiscard]] int fd() const { return fd_.get(); }

    /// False, with errno.
    [[nodiscard]] bool write_all(std::string_view content) const {
        while (!content.empty()) {
            const ssize_t written = ::write(fd_.get(), content.data(), content.size());
            if (written < 0 && errno != EINTR) {
                return false;
            }
            content.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
        }
        return true;
    }

    bool rename_to(const std::string& path, Existing existing) {
        const unsigned flags = existing == Existing::refuse ? RENAME_NOREPLACE : 0;
        if (renameat2(AT_FDCWD, name_.c_str(), AT_FDCWD, path.c_str(), flags) != 0) {
            return false;
        }
        fd_.reset();
        return true;
    }

  private:
    std::string name_;
    Fd fd_;
};

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t most) {
    // Not to wait for whoever writes into a FIFO.
    const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) {
        return failure(path, "cannot be opened", errno);
    }
    std::string content;
    std::array<char, 4096> part{};
    for (;;) {
        const ssize_t got = read(file.get(), part.data(), part.size());
        if (got == 0) {
            return content;
        }
        if (got < 0 && errno != EINTR) {
            return failure(path, "cannot be read", errno);
        }
        content.append(part.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
        if (content.size() > most) {
            return failure(path, "is no file that belongs here", EFBIG);
        }
    }
}

Result<void> write_file(const std::string& path, std::string_view content, mode_t mode,
                        Existing existing) {
    const std::string parent = std::filesystem::path(path).parent_path().string();
    const Fd directory(
        open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) {
        return failure(parent, "cannot be opened", errno);
    }
    Temporary file(path);
    if (file.fd() < 0) {
        return failure(path, "cannot be created", errno);
    }
    if (!file.write_all(content) || fchmod(file.fd(), mode) != 0 || fsync(file.fd()) != 0) {
        return failure(path, "cannot be written", errno);
    }
    if (!file.rename_to(path, existing)) {
        return failure(path, "cannot be put in place", errno);
    }
    // The name as well, or a crash may bring the old file back.
    if (fsync(directory.get()) != 0) {
        return failure(parent, "cannot be written", errno);
    }
    return {};
}

}  // namespace braid::sys
