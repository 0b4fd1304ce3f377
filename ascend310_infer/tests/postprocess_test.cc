#include "postprocess.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "classes.h"

namespace erfnet {
namespace {

TEST_CASE("takes the first of the largest logits, at any number of pixels") {
  std::mt19937 random(1);
  // Few values, so that there are equal ones.
  std::uniform_int_distribution<int> values(-3, 3);
  for (const std::size_t pixels : {1U, 7U, 1023U, 1024U, 1025U, 5000U}) {
    std::vector<float> logits(kOutputs * pixels);
    for (float& logit : logits) {
      logit = static_cast<float>(values(random));
    }
    std::vector<std::uint8_t> classes(pixels, 255);
    REQUIRE(Argmax(logits.data(), pixels, classes.data()));
    for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
      std::size_t best = 0;
      for (std::size_t channel = 1; channel < kOutputs; ++channel) {
        best = logits[channel * pixels + pixel] > logits[best * pixels + pixel] ? channel : best;
      }
      REQUIRE(classes[pixel] == best);
    }
  }
}

TEST_CASE("finds a logit that is not finite, wherever it is") {
  constexpr std::size_t kPixels = 1500;
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    for (const std::size_t place : {std::size_t{0}, std::size_t{1499}, kOutputs * kPixels - 1}) {
      std::vector<float> logits(kOutputs * kPixels, std::numeric_limits<float>::lowest());
      std::vector<std::uint8_t> classes(kPixels);
      CHECK(Argmax(logits.data(), kPixels, classes.data()));
      logits[place] = bad;
      CHECK_FALSE(Argmax(logits.data(), kPixels, classes.data()));
    }
  }
}

TEST_CASE("takes classes that are chosen already, and no others") {
  std::vector<std::int32_t> ids = {0, 19, 7};
  std::vector<std::uint8_t> classes(3);
  CHECK(FromIds(ids.data(), 3, classes.data()));
  CHECK(classes == std::vector<std::uint8_t>{0, 19, 7});
  for (const std::int32_t unknown : {-1, 20, 256}) {
    ids[1] = unknown;
    CHECK_FALSE(FromIds(ids.data(), 3, classes.data()));
  }
}

TEST_CASE("widens 16-bit floats") {
  CHECK(FromHalf(0x3c00) == 1.0F);
  CHECK(FromHalf(0xc000) == -2.0F);
  CHECK(FromHalf(0x3555) == 0.333251953125F);
  CHECK(FromHalf(0x7bff) == 65504.0F);
  CHECK(FromHalf(0x0001) == std::ldexp(1.0F, -24));
  CHECK(FromHalf(0x83ff) == -std::ldexp(1023.0F, -24));
  CHECK(std::signbit(FromHalf(0x8000)));
  CHECK(std::isinf(FromHalf(0xfc00)));
  CHECK(std::isnan(FromHalf(0x7e00)));
}

TEST_CASE("shrinks labels to the middle of each block of the model's size") {
  Image label{{8, 16}, 1, std::vector<std::uint8_t>(128)};
  for (std::size_t i = 0; i < label.pixels.size(); ++i) {
    label.pixels[i] = static_cast<std::uint8_t>(i);
  }
  CHECK(LabelAt(label, {8, 16}, {8, 16}).pixels == label.pixels);
  const Image small = LabelAt(label, {8, 16}, {1, 2});
  CHECK(small.size == Size{1, 2});
  CHECK(small.pixels == std::vector<std::uint8_t>{4 * 16 + 4, 4 * 16 + 12});
}

}  // namespace
}  // namespace erfnet
