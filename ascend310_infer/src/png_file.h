// 8-bit pictures as PNG files in memory.
#ifndef ASCEND310_INFER_PNG_FILE_H_
#define ASCEND310_INFER_PNG_FILE_H_

#include <cstdint>
#include <vector>

#include "image.h"

namespace erfnet {

// How rows are prepared for compression: label maps compress best as they are, photographs as differences.
enum class Rows { kAsTheyAre, kDifferences };

// A picture of 1 channel (grey) or 3 (RGB), compressed little: fast before small.
std::vector<std::uint8_t> EncodePng(const Image& image, Rows rows);

}  // namespace erfnet

#endif  // ASCEND310_INFER_PNG_FILE_H_
