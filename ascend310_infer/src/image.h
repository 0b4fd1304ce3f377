// 8-bit pictures in memory, row by row without padding.
#ifndef ASCEND310_INFER_IMAGE_H_
#define ASCEND310_INFER_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace erfnet {

struct Size {
  std::size_t height = 0;
  std::size_t width = 0;
  bool operator==(const Size& other) const { return height == other.height && width == other.width; }
  bool operator!=(const Size& other) const { return !(*this == other); }
};

// "512x1024", height first.
inline std::string TextOf(Size size) { return std::to_string(size.height) + "x" + std::to_string(size.width); }

// `channels` values for each pixel, one after another: 3 of RGB, 1 of a label map.
struct Image {
  Size size;
  std::size_t channels = 0;
  std::vector<std::uint8_t> pixels;
};

}  // namespace erfnet

#endif  // ASCEND310_INFER_IMAGE_H_
