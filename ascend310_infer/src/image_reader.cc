#include "image_reader.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "fault.h"
#include "file_bytes.h"
#include "jpeg_decoder.h"
#include "png_decoder.h"
#include "train_ids.h"

namespace erfnet {
namespace {

constexpr std::size_t kListed = 10;

bool StartsWith(const Bytes& bytes, std::initializer_list<std::uint8_t> signature) {
  return bytes.size() >= signature.size() && std::equal(signature.begin(), signature.end(), bytes.begin());
}

bool IsPng(const Bytes& bytes) { return StartsWith(bytes, {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}); }
bool IsJpeg(const Bytes& bytes) { return StartsWith(bytes, {0xff, 0xd8, 0xff}); }

Image DecodeImage(const Bytes& bytes) {
  if (IsPng(bytes)) {
    return DecodePngAsRgb(bytes);
  }
  if (IsJpeg(bytes)) {
    return DecodeJpeg(bytes);
  }
  throw Damaged("neither PNG nor JPEG");
}

std::string Listed(const std::array<bool, 256>& values) {
  std::string text;
  std::size_t count = 0;
  for (std::size_t value = 0; value < values.size(); ++value) {
    if (values.at(value) && ++count <= kListed) {
      text += (text.empty() ? "" : ", ") + std::to_string(value);
    }
  }
  return count > kListed ? text + " ..." : text;
}

Image DecodeLabel(const Bytes& bytes, const std::string& name) {
  if (!IsPng(bytes)) {
    throw NoPicture("is no PNG: labels are 8-bit PNGs of one channel; copy or convert it");
  }
  Image label = DecodePngAsIndices(bytes);
  const TrainIds& table = TrainIdsOf(name);
  std::array<bool, 256> wrong{};
  bool any = false;
  for (std::uint8_t& value : label.pixels) {
    if (table.of[value] == kNoLabel) {
      wrong.at(value) = any = true;
    }
    value = table.of[value];
  }
  if (any) {
    throw NoPicture("holds the values " + Listed(wrong) + ": it may hold " + table.allowed +
                    ", and 255 for none; make it again");
  }
  return label;
}

template <typename Decode>
Image Read(const std::filesystem::path& path, const Decode& decode) {
  try {
    return decode(ReadFile(path));
  } catch (const NoPicture& reason) {
    throw Fault(ExitCode::kBadData, path.string() + " " + reason.what());
  }
}

}  // namespace

Image ReadImage(const std::filesystem::path& path) { return Read(path, DecodeImage); }

Image ReadLabel(const std::filesystem::path& path) {
  return Read(path, [&path](const Bytes& bytes) { return DecodeLabel(bytes, path.filename().string()); });
}

}  // namespace erfnet
