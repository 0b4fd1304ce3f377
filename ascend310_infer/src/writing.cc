#include "writing.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "classes.h"
#include "files.h"
#include "png_file.h"
#include "resize.h"

namespace erfnet {
namespace {

std::uint8_t Half(unsigned sum) {
  // Half of an odd sum lies between two numbers: the even one.
  const unsigned below = sum / 2;
  return static_cast<std::uint8_t>(below + (sum & below & 1U));
}

void WritePng(const std::filesystem::path& path, const Image& image, Rows rows) {
  const std::vector<std::uint8_t> png = EncodePng(image, rows);
  WriteFile(path, png.data(), png.size());
}

void WriteNpy(const std::filesystem::path& path, const std::vector<float>& logits, Size size) {
  const std::vector<char> header = NpyHeader(kOutputs, size);
  NewFile file(path);
  file.Write(header.data(), header.size());
  file.Write(logits.data(), logits.size() * sizeof(float));
  file.Commit();
}

}  // namespace

Image LabelIds(const Image& classes) {
  Image ids{classes.size, 1, std::vector<std::uint8_t>(classes.pixels.size())};
  std::transform(classes.pixels.begin(), classes.pixels.end(), ids.pixels.begin(),
                 [](std::uint8_t train_id) { return kLabelIds[train_id]; });
  return ids;
}

Image Colours(const Image& classes) {
  Image colours{classes.size, 3, std::vector<std::uint8_t>(classes.pixels.size() * 3)};
  std::uint8_t* out = colours.pixels.data();
  for (const std::uint8_t train_id : classes.pixels) {
    std::memcpy(out, kPalette[train_id].data(), 3);
    out += 3;
  }
  return colours;
}

Image Overlay(const Image& image, const Image& classes) {
  Image mixed = image;
  std::uint8_t* out = mixed.pixels.data();
  for (const std::uint8_t train_id : classes.pixels) {
    if (train_id != kIgnored) {
      for (std::size_t part = 0; part < 3; ++part) {
        out[part] = Half(static_cast<unsigned>(out[part]) + kPalette[train_id][part]);
      }
    }
    out += 3;
  }
  return mixed;
}

std::vector<char> NpyHeader(std::size_t channels, Size size) {
  // numpy/lib/format.py: magic, version 1.0, length of the text, and text that ends with a newline at a multiple of 64.
  constexpr std::size_t kBefore = 10;
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(channels) + ", " +
                     std::to_string(size.height) + ", " + std::to_string(size.width) + "), }";
  text.append(63 - (kBefore + text.size()) % 64, ' ');
  text += '\n';
  std::string header = "\x93NUMPY";
  header += {'\x01', '\x00', static_cast<char>(text.size() & 0xffU), static_cast<char>(text.size() >> 8U)};
  header += text;
  return {header.begin(), header.end()};
}

std::map<std::string, std::filesystem::path> Write(const Segmented& segmented, const Saves& saves,
                                                   const std::filesystem::path& folder) {
  std::map<std::string, std::filesystem::path> files;
  if (saves.logits) {
    files["logits"] = folder / (segmented.name + ".npy");
    WriteNpy(files["logits"], segmented.logits, segmented.classes.size);
  }
  if (!saves.labels && !saves.color && !saves.overlay) {
    return files;
  }
  const Image full = ResizeNearest(segmented.classes, segmented.image_size);
  if (saves.labels) {
    files["labels"] = folder / (segmented.name + "_pred_labelIds.png");
    WritePng(files["labels"], LabelIds(full), Rows::kAsTheyAre);
  }
  if (saves.color) {
    files["color"] = folder / (segmented.name + "_prediction.png");
    WritePng(files["color"], Colours(full), Rows::kAsTheyAre);
  }
  if (saves.overlay) {
    files["overlay"] = folder / (segmented.name + "_overlay.png");
    WritePng(files["overlay"], Overlay(segmented.image, full), Rows::kDifferences);
  }
  return files;
}

}  // namespace erfnet
