// Where hdfs.path leads: a directory of this machine, or a Hadoop file system.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config/settings.h"
#include "core/hadoop/webhdfs.h"
#include "sinks/bucket_path.h"

namespace sluice {

/// hdfs:, webhdfs: and swebhdfs: are reached over WebHDFS.
bool is_elsewhere(const Settings& settings);

/// Of hdfs.path and hdfs.filePrefix, without what names the file system. Errors: Invalid.
Result<std::unique_ptr<BucketPath>> make_bucket_path(const Settings& settings);

/// "hdfs.inUseSuffix", unless there shall be none.
std::string in_use_suffix(const Settings& settings);
/// Of hdfs.roundUnit; nothing when there is no such unit.
std::optional<RoundDown::Unit> round_unit(const Settings& settings);

/// How the file system is reached. Looks into Hadoop's files: those of HADOOP_CONF_DIR and of the
/// agent's --conf, of which the latter counts more. REQUIRES: is_elsewhere(). Errors: Invalid.
Result<WebHdfs::Options> webhdfs_options(const Settings& settings);

/// What `check` says about these keys.
void judge_target(const Settings& settings, std::vector<Finding>& findings);

}  // namespace sluice
