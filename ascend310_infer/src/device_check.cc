#include "device_check.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <system_error>

#include "fault.h"

namespace erfnet {
namespace {

bool IsNode(const std::string& name) {
  const std::string start = "davinci";
  return name.size() > start.size() && name.compare(0, start.size(), start) == 0 &&
         std::all_of(name.begin() + static_cast<std::ptrdiff_t>(start.size()), name.end(),
                     [](char letter) { return letter >= '0' && letter <= '9'; });
}

std::size_t CountNodes(const std::filesystem::path& dev) {
  std::error_code error;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator entry(dev, error), end; !error && entry != end; entry.increment(error)) {
    if (IsNode(entry->path().filename().string())) {
      ++count;
    }
  }
  return count;
}

}  // namespace

void CheckDevice(const Device& device, const std::filesystem::path& dev) {
  if (!device.ascend) {
    return;
  }
  const std::size_t count = CountNodes(dev);
  if (static_cast<std::size_t>(*device.ascend) >= count) {
    throw Fault(ExitCode::kNoDevice, "there is no Ascend device " + std::to_string(*device.ascend) + " here (" +
                                         std::to_string(count) + " of " + (dev / "davinciN").string() +
                                         "): give the id of one that `npu-smi info` lists, or --device cpu");
  }
}

}  // namespace erfnet
