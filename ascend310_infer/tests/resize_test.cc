#include "resize.h"

#include <doctest/doctest.h>

namespace erfnet {
namespace {

TEST_CASE("halves by the triangle over four pixels") {
  // By hand: weights 1, 3, 3, 1 of eighths within the line; at its ends 3, 3, 1 of sevenths.
  const Image line{{1, 6}, 3, {0, 0, 0, 80, 80, 80, 160, 160, 160, 240, 240, 240, 0, 0, 0, 80, 80, 80}};
  const Image half = ResizeBilinear(line, {1, 3});
  CHECK(half.pixels == std::vector<std::uint8_t>{57, 57, 57, 160, 160, 160, 69, 69, 69});
}

TEST_CASE("keeps a picture of one colour, whatever the sizes") {
  const Image image{{7, 5}, 3, std::vector<std::uint8_t>(105, 255)};
  for (const Size size : {Size{1, 1}, Size{3, 11}, Size{20, 2}, Size{7, 9}, Size{9, 5}, Size{7, 5}}) {
    const Image resized = ResizeBilinear(image, size);
    CHECK(resized.size == size);
    CHECK(resized.pixels == std::vector<std::uint8_t>(size.height * size.width * 3, 255));
  }
}

TEST_CASE("takes the nearest pixel, from the middle of a block") {
  const Image line{{1, 6}, 1, {0, 1, 2, 3, 4, 5}};
  CHECK(ResizeNearest(line, {1, 3}).pixels == std::vector<std::uint8_t>{1, 3, 5});
  CHECK(ResizeNearest(line, {2, 6}).pixels == std::vector<std::uint8_t>{0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5});
  CHECK(ResizeNearest({{1, 2}, 3, {1, 2, 3, 4, 5, 6}}, {1, 4}).pixels ==
        std::vector<std::uint8_t>{1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6});
}

}  // namespace
}  // namespace erfnet
