// The command line of erfnet_infer.
#ifndef ASCEND310_INFER_ARGUMENTS_H_
#define ASCEND310_INFER_ARGUMENTS_H_

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace erfnet {

struct Device {
  // Without an id the CPU.
  std::optional<int> ascend;
};

enum class Precision { kFp32, kFp16 };

// What is written of each picture.
struct Saves {
  bool labels = false;
  bool color = false;
  bool overlay = false;
  bool logits = false;
};

struct Arguments {
  std::filesystem::path model;
  // Folders or files, at least one.
  std::vector<std::filesystem::path> images;
  std::filesystem::path output;
  std::optional<std::filesystem::path> labels;
  std::string split = "val";
  std::optional<std::size_t> limit;
  Device device;
  // 0: as many as the process may use cores.
  int threads = 0;
  Precision precision = Precision::kFp32;
  Saves saves{/*labels=*/true};
  bool json = false;
  // Only what was asked for is printed then.
  bool help = false;
  bool version = false;
};

// Throws Fault (kUsage) naming the argument, the reason and the remedy.
Arguments ParseArguments(int argc, const char* const* argv);

// What --help prints.
std::string Usage();

}  // namespace erfnet

#endif  // ASCEND310_INFER_ARGUMENTS_H_
