// The version of a MINDIR file's format, and which of them a MindSpore Lite reads.
#ifndef ASCEND310_INFER_MINDIR_VERSION_H_
#define ASCEND310_INFER_MINDIR_VERSION_H_

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>

namespace erfnet {

struct MindirHeader {
  // ModelProto.mind_ir_version (field 13); MindSpore before 2.0 did not write it.
  std::optional<std::uint64_t> version;
  // ModelProto.producer_name and .producer_version, what wrote the file.
  std::string producer;
  // All of it is Checkpoint.value (field 1), messages that begin with a tag: a checkpoint, not a MINDIR.
  bool checkpoint = false;
};

// Scans the top level of a protobuf message; nothing where it is none. `size` bytes are there, and fields that do not
// fit in are no message. Of fields that are long, only their lengths are looked at.
std::optional<MindirHeader> ScanMindir(std::istream& file, std::uint64_t size);

// The newest mind_ir_version that MindSpore Lite of a version such as "2.0.0" reads, where that is known.
std::optional<std::uint64_t> NewestReadable(const std::string& lite_version);

// Throws Fault (kBadModel) where the file is missing, empty, no MINDIR, or newer than this Lite reads.
void CheckMindir(const std::filesystem::path& model, const std::string& lite_version);

}  // namespace erfnet

#endif  // ASCEND310_INFER_MINDIR_VERSION_H_
