#include "prepare.h"

#include <array>
#include <cstdint>
#include <cstring>

#include "fault.h"
#include "resize.h"

namespace erfnet {
namespace {

constexpr std::size_t kChannels = 3;
constexpr float kUnit = static_cast<float>(1.0 / 255.0);

// IEEE 754 binary16, rounded to the nearest and to even, of 0 and of what is no less than 2^-14 and less than 65504.
std::uint16_t ToHalf(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  if (bits == 0) {
    return 0;
  }
  constexpr std::uint32_t kDropped = 13;                // bits of the fraction: 23 to 10
  constexpr std::uint32_t kBias = (127U - 15U) << 10U;  // of the exponents
  const std::uint32_t odd = (bits >> kDropped) & 1U;
  const std::uint32_t rounded = bits + (1U << (kDropped - 1U)) - 1U + odd;
  return static_cast<std::uint16_t>((rounded >> kDropped) - kBias);
}

template <typename Value, typename Convert>
std::array<Value, 256> TableOf(const Convert& convert) {
  std::array<Value, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    table.at(i) = convert(static_cast<float>(i) * kUnit);
  }
  return table;
}

// Calls write(index in the tensor, 8-bit value) for every value of `image`.
template <typename Write>
void ForEach(const Image& image, Layout layout, const Write& write) {
  const std::size_t pixels = image.size.height * image.size.width;
  const std::uint8_t* const in = image.pixels.data();
  if (layout == Layout::kNhwc) {
    for (std::size_t i = 0; i < pixels * kChannels; ++i) {
      write(i, in[i]);
    }
    return;
  }
  for (std::size_t channel = 0; channel < kChannels; ++channel) {
    for (std::size_t i = 0; i < pixels; ++i) {
      write(channel * pixels + i, in[i * kChannels + channel]);
    }
  }
}

void Convert(const Image& image, const TensorForm& form, void* out) {
  switch (form.type) {
    case ElementType::kFloat32:
      ForEach(image, form.layout, [values = static_cast<float*>(out)](std::size_t i, std::uint8_t value) {
        values[i] = static_cast<float>(value) * kUnit;
      });
      break;
    case ElementType::kFloat16: {
      static const auto kHalves = TableOf<std::uint16_t>(ToHalf);
      ForEach(image, form.layout, [values = static_cast<std::uint16_t*>(out)](std::size_t i, std::uint8_t value) {
        values[i] = kHalves[value];
      });
      break;
    }
    case ElementType::kUint8:
      ForEach(image, form.layout,
              [values = static_cast<std::uint8_t*>(out)](std::size_t i, std::uint8_t value) { values[i] = value; });
      break;
    case ElementType::kInt32:
      throw Fault(ExitCode::kBadModel,
                  "the model's input is int32: pictures are float32, float16 or uint8; export it again");
  }
}

}  // namespace

std::size_t BytesOf(const TensorForm& form) {
  std::size_t bytes = 4;
  if (form.type == ElementType::kFloat16) {
    bytes = 2;
  } else if (form.type == ElementType::kUint8) {
    bytes = 1;
  }
  return form.size.height * form.size.width * kChannels * bytes;
}

void Prepare(const Image& image, const TensorForm& form, void* out) {
  if (image.size == form.size) {
    Convert(image, form, out);
  } else {
    Convert(ResizeBilinear(image, form.size), form, out);
  }
}

}  // namespace erfnet
