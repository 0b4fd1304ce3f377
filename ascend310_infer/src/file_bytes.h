// A whole file in memory.
#ifndef ASCEND310_INFER_FILE_BYTES_H_
#define ASCEND310_INFER_FILE_BYTES_H_

#include <filesystem>

#include "no_picture.h"

namespace erfnet {

// Throws Fault (kBadData) where it cannot be read, is no ordinary file, or is larger than any picture may be.
Bytes ReadFile(const std::filesystem::path& path);

}  // namespace erfnet

#endif  // ASCEND310_INFER_FILE_BYTES_H_
