// SPDX-License-Identifier: GPL-2.0-or-later
//
// Programs in the place of LVM's and ZFS's: what was recorded of them, in the order in which it is
// asked for.
#pragma once

#include <gmock/gmock.h>

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "sys/command.h"

namespace braid::test {

class CommandReplay {
  public:
    ~CommandReplay() {
        for (const Step& step : steps_) {
            ADD_FAILURE() << "was not run: " << step.command;
        }
    }

    /// The next program, words with blanks between them; LVM's without its --config.
    void expect(const std::string& command, const std::string& out = "", int status = 0,
                const std::string& error = "") {
        steps_.push_back({command, out, status, error});
    }

    [[nodiscard]] sys::RunCommand run() {
        return [this](const std::vector<std::string>& words) { return next(words); };
    }

    /// What LVM was told of devices, by each of its commands.
    std::vector<std::string> configs;

  private:
    struct Step {
        std::string command;
        std::string out;
        int status;
        std::string error;
    };

    sys::Result<sys::CommandEnd> next(const std::vector<std::string>& words) {
        std::string command;
        for (std::size_t i = 0; i < words.size(); i++) {
            if (words[i] == "--config") {
                configs.push_back(words.at(++i));
                continue;
            }
            command += (command.empty() ? "" : " ") + words[i];
        }
        if (steps_.empty()) {
            ADD_FAILURE() << "nobody expected: " << command;
            return tl::unexpected(sys::Error{EIO, command + ": not expected"});
        }
        const Step step = std::move(steps_.front());
        steps_.pop_front();
        EXPECT_EQ(command, step.command);
        sys::CommandEnd end;
        end.out = step.out;
        end.end.number = step.status;
        if (!step.error.empty()) {
            end.end.output = {step.error};
        }
        return end;
    }

    std::deque<Step> steps_;
};

/// As LVM 2.03.16 prints it where lvm.conf has a filter of the administrator's.
inline const std::string lvm_settings = R"(devices {
	dir="/dev"
	use_devicesfile=0
	global_filter="r|^/dev/ram1|"
	filter=["a|.*|"]
	# types is undefined.
	scan_lvs=0
}
)";
inline const std::string lvmconfig = "lvmconfig --typeconfig full devices";
inline const std::string vgs =
    "vgs --reportformat json --units b --nosuffix -o vg_name,vg_size,vg_free,vg_extent_size";
inline const std::string lvs =
    "lvs --reportformat json --units b --nosuffix -o "
    "vg_name,lv_name,lv_size,pool_lv,lv_layout,lv_active,lv_tags,lv_metadata_size,"
    "chunk_size,data_percent,metadata_percent,lv_health_status,lv_when_full,zero";

/// Recorded: a group of 124 MiB, with a pool of 48 MiB that is full, and two volumes.
inline const std::string two_groups = R"(  {
      "report": [
          {
              "vg": [
                  {"vg_name":"vg-b", "vg_size":"100663296", "vg_free":"100663296", "vg_extent_size":"4194304"},
                  {"vg_name":"vga", "vg_size":"130023424", "vg_free":"54525952", "vg_extent_size":"4194304"}
              ]
          }
      ]
  }
)";
inline const std::string full_pool = R"(  {
      "report": [
          {
              "lv": [
                  {"vg_name":"vga", "lv_name":"r0_00000", "lv_size":"67108864", "pool_lv":"thin", "lv_layout":"thin,sparse", "lv_active":"active", "lv_tags":"braid:r0/0", "lv_metadata_size":"", "chunk_size":"0", "data_percent":"75.00", "metadata_percent":"", "lv_health_status":"", "lv_when_full":"", "zero":"zero"},
                  {"vg_name":"vga", "lv_name":"r1_00000", "lv_size":"8388608", "pool_lv":"", "lv_layout":"linear", "lv_active":"active", "lv_tags":"braid:r1/0", "lv_metadata_size":"", "chunk_size":"0", "data_percent":"", "metadata_percent":"", "lv_health_status":"", "lv_when_full":"", "zero":"unknown"},
                  {"vg_name":"vga", "lv_name":"thin", "lv_size":"50331648", "pool_lv":"", "lv_layout":"thin,pool", "lv_active":"active", "lv_tags":"", "lv_metadata_size":"8388608", "chunk_size":"65536", "data_percent":"100.00", "metadata_percent":"10.64", "lv_health_status":"out_of_data", "lv_when_full":"error", "zero":"zero"}
              ]
          }
      ]
  }
)";
inline const std::string no_volumes = R"({"report":[{"lv":[]}]})";

}  // namespace braid::test
