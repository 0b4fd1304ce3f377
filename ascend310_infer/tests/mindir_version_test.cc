#include "mindir_version.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <random>
#include <sstream>
#include <string>

#include "expect_fault.h"
#include "temporary_folder.h"

namespace erfnet {
namespace {

using std::string_literals::operator""s;

// Fields of ModelProto: producer_name, producer_version, a graph of 3 bytes, little_endian, mind_ir_version.
const std::string kModel =
    "\x12\x09MindSpore\x1a\x06"
    "2.10.0\x3a\x03\x01\x02\x03\x50\x01\x68\x03";

std::optional<MindirHeader> Scan(const std::string& bytes) {
  std::istringstream file(bytes);
  return ScanMindir(file, bytes.size());
}

TEST_CASE("reads the version of the format, and what wrote it") {
  const auto header = Scan(kModel);
  REQUIRE(header.has_value());
  CHECK(header->version == 3);
  CHECK(header->producer == "MindSpore 2.10.0");
}

TEST_CASE("a file of before there was a version has none") {
  const auto header = Scan(kModel.substr(0, kModel.size() - 2));
  REQUIRE(header.has_value());
  CHECK_FALSE(header->version.has_value());
}

TEST_CASE("what is cut off inside a field is no model") {
  for (std::size_t size = 1; size < kModel.size(); ++size) {
    const bool at_field_end = size == 11 || size == 19 || size == 24 || size == 26;
    CHECK(Scan(kModel.substr(0, size)).has_value() == at_field_end);
  }
}

TEST_CASE("text, long lengths and endless numbers are no model") {
  CHECK_FALSE(Scan("import numpy as np\n").has_value());
  CHECK_FALSE(Scan("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").has_value());
  CHECK_FALSE(Scan(std::string(64, '\xff')).has_value());
  CHECK_FALSE(Scan(std::string(8, '\0')).has_value());
  // ONNX: ir_version 4 as a number.
  CHECK_FALSE(Scan("\x08\x04" + kModel).has_value());
}

// Checkpoint: two values of a tag and a tensor each.
const std::string kCheckpoint = "\x0a\x05\x0a\x01w\x12\x00\x0a\x05\x0a\x01x\x12\x00"s;

TEST_CASE("tells checkpoints from models") {
  CHECK(Scan(kCheckpoint).value_or(MindirHeader{}).checkpoint);
  CHECK_FALSE(Scan(kModel).value_or(MindirHeader{{}, "", true}).checkpoint);
  CHECK_FALSE(Scan("\x0a\x05"
                   "0.1.1")
                  .value_or(MindirHeader{{}, "", true})
                  .checkpoint);
  CHECK_FALSE(Scan(kCheckpoint + kModel).value_or(MindirHeader{{}, "", true}).checkpoint);
}

TEST_CASE("any bytes are scanned to an end") {
  std::mt19937 random(1);
  for (int run = 0; run < 2000; ++run) {
    std::string bytes = kModel;
    for (int change = 0; change < 3; ++change) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    const auto header = Scan(bytes);
    CHECK((!header || header->producer.size() < 500));
  }
}

TEST_CASE("knows which Lite reads what") {
  CHECK(NewestReadable("2.0.0") == 1);
  CHECK(NewestReadable("2.2.14") == 1);
  CHECK_FALSE(NewestReadable("2.20.0").has_value());
  CHECK_FALSE(NewestReadable("unknown").has_value());
}

TEST_CASE("refuses with both versions and the way that works") {
  const TemporaryFolder folder;
  const auto model = folder.Write("model.mindir", kModel);
  ExpectFault([&] { CheckMindir(model, "2.0.0"); }, ExitCode::kBadModel,
              {"model.mindir", "version 3", "MindSpore 2.10.0", "2.0.0", "up to version 1", "--format lite"});
  CheckMindir(model, "2.10.0");
  ExpectFault([&] { CheckMindir(folder.Write("a.ckpt", kCheckpoint), "2.0.0"); }, ExitCode::kBadModel,
              {"a.ckpt is a MindSpore checkpoint", "--checkpoint"});
  ExpectFault([&] { CheckMindir(folder.path() / "none", "2.0.0"); }, ExitCode::kBadModel,
              {"there is no model", "none"});
  ExpectFault([&] { CheckMindir(folder.path(), "2.0.0"); }, ExitCode::kBadModel, {"is no MINDIR"});
  ExpectFault([&] { CheckMindir(folder.Write("empty", ""), "2.0.0"); }, ExitCode::kBadModel, {"is no MINDIR"});
  REQUIRE(mkfifo((folder.path() / "pipe").c_str(), 0600) == 0);
  ExpectFault([&] { CheckMindir(folder.path() / "pipe", "2.0.0"); }, ExitCode::kBadModel, {"is no MINDIR"});
  ExpectFault([&] { CheckMindir(folder.path() / std::string(300, 'm'), "2.0.0"); }, ExitCode::kBadModel,
              {"cannot be read", "too long"});
}

}  // namespace
}  // namespace erfnet
