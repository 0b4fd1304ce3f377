// Pictures for the tests.
#ifndef ASCEND310_INFER_TESTS_MADE_IMAGES_H_
#define ASCEND310_INFER_TESTS_MADE_IMAGES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "image.h"
#include "png_file.h"

namespace erfnet {

// An image whose values are 0, `step`, ... modulo 256.
inline Image Ramp(Size size, std::size_t channels, unsigned step = 1) {
  Image image{size, channels, std::vector<std::uint8_t>(size.height * size.width * channels)};
  unsigned value = 0;
  for (std::uint8_t& pixel : image.pixels) {
    pixel = static_cast<std::uint8_t>(value);
    value += step;
  }
  return image;
}

inline std::string PngOf(const Image& image) {
  const std::vector<std::uint8_t> bytes = EncodePng(image, Rows::kAsTheyAre);
  return {bytes.begin(), bytes.end()};
}

}  // namespace erfnet

#endif  // ASCEND310_INFER_TESTS_MADE_IMAGES_H_
