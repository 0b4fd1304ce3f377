// What is wrong with an encoded picture, and its limits.
#ifndef ASCEND310_INFER_NO_PICTURE_H_
#define ASCEND310_INFER_NO_PICTURE_H_

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace erfnet {

using Bytes = std::vector<std::uint8_t>;

// The message continues the name of the file: reason and remedy.
class NoPicture : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What cannot be decoded, and why.
inline NoPicture Damaged(const std::string& why) {
  return NoPicture{"is damaged or no picture (" + why + "): copy it again"};
}

// Pillow refuses above twice its MAX_IMAGE_PIXELS, 2^30 / 4 / 3.
inline constexpr std::size_t kMostPixels = std::size_t{2} * 89478485;

// Throws NoPicture for what may be a bomb: a small file that unpacks to gigabytes.
inline void CheckPixels(std::size_t height, std::size_t width) {
  if (height == 0 || width == 0 || height > kMostPixels / width) {
    throw NoPicture("is " + std::to_string(height) + "x" + std::to_string(width) +
                    " (height x width): pictures have 1 to " + std::to_string(kMostPixels) +
                    " pixels; give a smaller one");
  }
}

}  // namespace erfnet

#endif  // ASCEND310_INFER_NO_PICTURE_H_
