// SPDX-License-Identifier: GPL-2.0-or-later
//
// Small files that are replaced as a whole: a reader, or whoever comes after a crash, finds the
// old content or the new one and nothing in between.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "sys/result.h"

namespace braid::sys {

enum class Existing {
    refuse,   ///< EEXIST if the file is there
    replace,  ///< whether it is there or not
};

/// The whole file. EFBIG if it is longer than `most` bytes; errors name the path.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t most = 1 << 20);

/// Writes the file with this mode, whatever the umask is. On stable storage when it returns;
/// after an error the old file is untouched.
[[nodiscard]] Result<void> write_file(const std::string& path, std::string_view content,
                                      mode_t mode, Existing existing);

}  // namespace braid::sys
