// Whether this host has the device that is asked for.
#ifndef ASCEND310_INFER_DEVICE_CHECK_H_
#define ASCEND310_INFER_DEVICE_CHECK_H_

#include <filesystem>

#include "arguments.h"

namespace erfnet {

// Throws Fault (kNoDevice) where the host has no such device. Logical ids count the device nodes that are here
// (`/dev/davinciN`), whatever their N: a container may have the fifth chip alone, which is device 0 there.
void CheckDevice(const Device& device, const std::filesystem::path& dev = "/dev");

}  // namespace erfnet

#endif  // ASCEND310_INFER_DEVICE_CHECK_H_
