#include "postprocess.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "classes.h"
#include "resize.h"

namespace erfnet {
namespace {

// Pixels that are looked at together: their best logits stay in the nearest cache.
constexpr std::size_t kBlock = 1024;

// Whether all `size` logits are finite, while best and classes of a block are brought up to date.
bool Compare(const float* logits, std::size_t size, std::int32_t channel, float* best, std::int32_t* classes) {
  std::int32_t finite = 1;
  for (std::size_t i = 0; i < size; ++i) {
    const float logit = logits[i];
    // No number compares as less than or equal to anything.
    finite &= static_cast<std::int32_t>(std::fabs(logit) <= std::numeric_limits<float>::max());
    const bool larger = logit > best[i];
    best[i] = larger ? logit : best[i];
    classes[i] = larger ? channel : classes[i];
  }
  return finite != 0;
}

}  // namespace

float FromHalf(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16U;
  const std::uint32_t exponent = (half >> 10U) & 0x1fU;
  const std::uint32_t fraction = half & 0x3ffU;
  if (exponent == 0) {
    const float value = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -value : value;
  }
  const std::uint32_t wide = exponent == 0x1f ? 0xffU : exponent + 112;
  const std::uint32_t bits = sign | (wide << 23U) | (fraction << 13U);
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

void FromHalves(const std::uint16_t* halves, std::size_t size, std::vector<float>& out) {
  out.resize(size);
  std::transform(halves, halves + size, out.begin(), FromHalf);
}

bool Argmax(const float* logits, std::size_t pixels, std::uint8_t* classes) {
  std::array<float, kBlock> best{};
  std::array<std::int32_t, kBlock> chosen{};
  bool finite = true;
  for (std::size_t start = 0; start < pixels; start += kBlock) {
    const std::size_t size = std::min(kBlock, pixels - start);
    best.fill(-std::numeric_limits<float>::infinity());
    chosen.fill(0);
    for (std::size_t channel = 0; channel < kOutputs; ++channel) {
      const float* row = logits + channel * pixels + start;
      finite &= Compare(row, size, static_cast<std::int32_t>(channel), best.data(), chosen.data());
    }
    for (std::size_t i = 0; i < size; ++i) {
      classes[start + i] = static_cast<std::uint8_t>(chosen[i]);
    }
  }
  return finite;
}

bool FromIds(const std::int32_t* ids, std::size_t pixels, std::uint8_t* classes) {
  bool known = true;
  for (std::size_t i = 0; i < pixels; ++i) {
    known &= ids[i] >= 0 && ids[i] < static_cast<std::int32_t>(kOutputs);
    classes[i] = static_cast<std::uint8_t>(ids[i]);
  }
  return known;
}

Image LabelAt(const Image& label, Size input, Size output) {
  Image resized = ResizeNearest(label, input);
  if (input == output) {
    return resized;
  }
  const std::size_t scale = input.height / output.height;
  Image small{output, 1, std::vector<std::uint8_t>(output.height * output.width)};
  for (std::size_t y = 0; y < output.height; ++y) {
    for (std::size_t x = 0; x < output.width; ++x) {
      small.pixels[y * output.width + x] =
          resized.pixels[(y * scale + scale / 2) * input.width + x * scale + scale / 2];
    }
  }
  return small;
}

}  // namespace erfnet
