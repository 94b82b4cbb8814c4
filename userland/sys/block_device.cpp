// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/block_device.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace braid::sys {

namespace {

tl::unexpected<Error> failure(const std::string& path, int number, const std::string& what = {}) {
    return tl::unexpected(
        Error{number, path + ": " + what + std::generic_category().message(number)});
}

class Descriptor {
  public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) {
            close(number_);
        }
    }
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    Descriptor& operator=(Descriptor&&) = delete;

    [[nodiscard]] int get() const { return number_; }

  private:
    int number_;
};

class OpenDevice : public BlockDevice {
  public:
    OpenDevice(std::string path, Descriptor file, bool block, std::uint64_t size,
               std::uint32_t block_size)
        : path_(std::move(path)),
          file_(std::move(file)),
          block_(block),
          size_(size),
          block_size_(block_size) {}

    [[nodiscard]] const std::string& path() const override { return path_; }
    [[nodiscard]] std::uint64_t size() const override { return size_; }
    [[nodiscard]] std::uint32_t logical_block_size() const override { return block_size_; }
    [[nodiscard]] bool regular_file() const override { return !block_; }

    [[nodiscard]] Result<std::vector<std::uint8_t>> read(std::uint64_t offset,
                                                         std::size_t length) const override {
        std::vector<std::uint8_t> bytes(length);
        for (std::size_t done = 0; done < length;) {
            const ssize_t count = pread(file_.get(), bytes.data() + done, length - done,
                                        static_cast<off_t>(offset + done));
            if (count <= 0) {
                const int number = count == 0 ? ENODATA : errno;
                return failure(path_, number, fmt::format("cannot read at {}: ", offset + done));
            }
            done += static_cast<std::size_t>(count);
        }
        return bytes;
    }

    [[nodiscard]] Result<void> write(std::uint64_t offset,
                                     std::span<const std::uint8_t> bytes) override {
        for (std::size_t done = 0; done < bytes.size();) {
            const ssize_t count = pwrite(file_.get(), bytes.data() + done, bytes.size() - done,
                                         static_cast<off_t>(offset + done));
            if (count <= 0) {
                const int number = count == 0 ? ENOSPC : errno;
                return failure(path_, number, fmt::format("cannot write at {}: ", offset + done));
            }
            done += static_cast<std::size_t>(count);
        }
        return {};
    }

    [[nodiscard]] Result<void> sync() override {
        if (fsync(file_.get()) != 0) {
            return failure(path_, errno, "cannot be flushed: ");
        }
        return {};
    }

  private:
    std::string path_;
    Descriptor file_;
    bool block_;
    std::uint64_t size_;
    std::uint32_t block_size_;
};

}  // namespace

Result<std::unique_ptr<BlockDevice>> BlockDevice::open(const std::string& path, Access access) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) {
        return failure(path, errno);
    }
    const bool block = S_ISBLK(status.st_mode);
    if (!block && !S_ISREG(status.st_mode)) {
        return tl::unexpected(Error{ENOTBLK, path + ": neither a block device nor a regular file"});
    }
    // Without O_CREAT, O_EXCL means something for block devices only.
    const int exclusive = block && access == Access::exclusive ? O_EXCL : 0;
    const int mode = access == Access::read ? O_RDONLY : O_RDWR;
    Descriptor file(::open(path.c_str(), mode | O_CLOEXEC | exclusive));
    if (file.get() < 0) {
        return failure(path, errno);
    }
    if (!block) {
        return std::make_unique<OpenDevice>(path, std::move(file), false,
                                            static_cast<std::uint64_t>(status.st_size), 512);
    }
    std::uint64_t size = 0;
    int block_size = 0;
    if (ioctl(file.get(), BLKGETSIZE64, &size) != 0 ||
        ioctl(file.get(), BLKSSZGET, &block_size) != 0) {
        return failure(path, errno);
    }
    if (access == Access::read) {
        // While another holds the device open, what was read once stays in the page cache, and the
        // kernel module writes its metadata past that.
        posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
    }
    return std::make_unique<OpenDevice>(path, std::move(file), true, size,
                                        static_cast<std::uint32_t>(block_size));
}

}  // namespace braid::sys
