#include "resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "multiversion.h"

namespace erfnet {
namespace {

constexpr std::size_t kRgb = 3;
// Weights are whole numbers of 2^-22, as in Pillow (libImaging/Resample.c): 8 bits of value and 2 to spare make 32.
constexpr int kPrecision = 22;
constexpr int kHalf = 1 << (kPrecision - 1);

// Which values of a line each value of the resized line is made of: `counts[i]` from `firsts[i]` on, with the weights
// at `weights[i * stride]`.
struct Taps {
  std::size_t stride = 0;
  std::vector<std::size_t> firsts;
  std::vector<std::size_t> counts;
  std::vector<int> weights;
};

// NOLINTBEGIN(bugprone-incorrect-roundings): Pillow rounds so, and none of the values is negative
// A triangle over the two nearest values where it enlarges, over as many more as it shrinks.
Taps TapsOf(std::size_t from, std::size_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double support = std::max(scale, 1.0);
  Taps taps;
  taps.stride = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
  taps.weights.resize(to * taps.stride);
  std::vector<double> shares(taps.stride);
  for (std::size_t i = 0; i < to; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto first = static_cast<std::size_t>(std::max(center - support + 0.5, 0.0));
    const auto end = std::min(static_cast<std::size_t>(center + support + 0.5), from);
    double sum = 0;
    for (std::size_t j = first; j < end; ++j) {
      const double distance = (static_cast<double>(j) - center + 0.5) * (1.0 / support);
      shares[j - first] = std::max(1.0 - std::abs(distance), 0.0);
      sum += shares[j - first];
    }
    for (std::size_t j = 0; j < end - first; ++j) {
      taps.weights[i * taps.stride + j] = static_cast<int>(0.5 + shares[j] / sum * (1 << kPrecision));
    }
    taps.firsts.push_back(first);
    taps.counts.push_back(end - first);
  }
  return taps;
}
// NOLINTEND(bugprone-incorrect-roundings)

inline std::uint8_t Rounded(int sum) { return static_cast<std::uint8_t>(std::clamp(sum >> kPrecision, 0, 255)); }

// One line of RGB. A byte behind the line is read (and not used), so that a pixel is four lanes of a vector.
ERFNET_MULTIVERSION void ResizeLine(const std::uint8_t* line, const Taps& taps, std::uint8_t* out) {
  const std::size_t width = taps.firsts.size();
  for (std::size_t x = 0; x < width; ++x, out += kRgb) {
    const std::uint8_t* pixel = line + taps.firsts[x] * kRgb;
    const int* weight = taps.weights.data() + x * taps.stride;
    int sums[4] = {kHalf, kHalf, kHalf, kHalf};
    for (std::size_t tap = 0; tap < taps.counts[x]; ++tap, pixel += kRgb) {
      for (std::size_t lane = 0; lane < 4; ++lane) {
        sums[lane] += weight[tap] * pixel[lane];
      }
    }
    for (std::size_t channel = 0; channel < kRgb; ++channel) {
      out[channel] = Rounded(sums[channel]);
    }
  }
}

// sums += weight * line
ERFNET_MULTIVERSION void AddLine(const std::uint8_t* line, int weight, int* sums, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    sums[i] += weight * line[i];
  }
}

ERFNET_MULTIVERSION void RoundLine(const int* sums, std::uint8_t* out, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    out[i] = Rounded(sums[i]);
  }
}

// Rows `first` to `end` of the image at another width.
Image ResizeAcross(const Image& image, std::size_t width, std::size_t first, std::size_t end) {
  const Taps taps = TapsOf(image.size.width, width);
  const std::size_t from_bytes = image.size.width * kRgb;
  Image resized{{end - first, width}, kRgb, std::vector<std::uint8_t>((end - first) * width * kRgb)};
  std::vector<std::uint8_t> line(from_bytes + 1);
  for (std::size_t y = first; y < end; ++y) {
    std::memcpy(line.data(), image.pixels.data() + y * from_bytes, from_bytes);
    ResizeLine(line.data(), taps, resized.pixels.data() + (y - first) * width * kRgb);
  }
  return resized;
}

// `image` holds the rows from `first` on of what `taps` are for.
Image ResizeDown(const Image& image, const Taps& taps, std::size_t first) {
  const std::size_t height = taps.firsts.size();
  const std::size_t bytes = image.size.width * kRgb;
  Image resized{{height, image.size.width}, kRgb, std::vector<std::uint8_t>(height * bytes)};
  std::vector<int> sums(bytes);
  for (std::size_t y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), kHalf);
    for (std::size_t tap = 0; tap < taps.counts[y]; ++tap) {
      const std::uint8_t* line = image.pixels.data() + (taps.firsts[y] - first + tap) * bytes;
      AddLine(line, taps.weights[y * taps.stride + tap], sums.data(), bytes);
    }
    RoundLine(sums.data(), resized.pixels.data() + y * bytes, bytes);
  }
  return resized;
}

// Values are rounded between the passes, so their order shows. Since 13.0 Pillow goes down first where that drops more
// than twice as many rows as going across drops columns; before, never.
bool IsDownFirst(Size from, Size to) {
  const std::size_t columns = from.width > to.width ? from.width - to.width : 0;
  return from.height > to.height && from.height - to.height > 2 * columns;
}

// Which row or column the nearest pixel is in; `from` where Pillow's sum of steps has left the picture, and it 0.
std::vector<std::size_t> NearestOf(std::size_t from, std::size_t to) {
  const double step = static_cast<double>(from) / static_cast<double>(to);
  std::vector<std::size_t> nearest;
  double position = step * 0.5;
  for (std::size_t i = 0; i < to; ++i, position += step) {
    nearest.push_back(std::min(static_cast<std::size_t>(position), from));
  }
  return nearest;
}

}  // namespace

Image ResizeBilinear(const Image& image, Size size) {
  const Size& from = image.size;
  if (size.height == from.height) {
    return size.width == from.width ? image : ResizeAcross(image, size.width, 0, size.height);
  }
  const Taps taps = TapsOf(from.height, size.height);
  if (size.width == from.width) {
    return ResizeDown(image, taps, 0);
  }
  if (IsDownFirst(from, size)) {
    return ResizeAcross(ResizeDown(image, taps, 0), size.width, 0, size.height);
  }
  const std::size_t first = taps.firsts.front();
  const std::size_t end = taps.firsts.back() + taps.counts.back();
  return ResizeDown(ResizeAcross(image, size.width, first, end), taps, first);
}

Image ResizeNearest(const Image& image, Size size) {
  const std::vector<std::size_t> rows = NearestOf(image.size.height, size.height);
  const std::vector<std::size_t> columns = NearestOf(image.size.width, size.width);
  Image resized{size, image.channels, std::vector<std::uint8_t>(size.height * size.width * image.channels)};
  std::uint8_t* out = resized.pixels.data();
  for (const std::size_t row : rows) {
    for (const std::size_t column : columns) {
      if (row < image.size.height && column < image.size.width) {
        std::memcpy(out, &image.pixels[(row * image.size.width + column) * image.channels], image.channels);
      }
      out += image.channels;
    }
  }
  return resized;
}

}  // namespace erfnet
