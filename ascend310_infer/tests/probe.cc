// What the acceptance tests ask the modules, one command a line on standard input, so that one process answers many:
//   image FILE | label FILE          the picture, as height, width and channels (uint32 each) and its values
//   bilinear FILE HEIGHT WIDTH | nearest FILE HEIGHT WIDTH
//   prepare FILE HEIGHT WIDTH fp32|fp16|uint8 nchw|nhwc      the bytes, as 1 x their number x 1
//   arguments WORD...               nothing, where they are accepted
//   pictures SPLIT LABELS|- PATH...  as NAME, image and label a line
// Fields are separated by tabs. Each answer is a status (0, or a fault's code), a length (uint32 each) and so many
// bytes.
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "arguments.h"
#include "fault.h"
#include "image_reader.h"
#include "pictures.h"
#include "prepare.h"
#include "resize.h"

namespace {

using Words = std::vector<std::string>;

std::string Packed(std::initializer_list<std::size_t> numbers) {
  std::string bytes;
  for (const std::size_t number : numbers) {
    const auto value = static_cast<std::uint32_t>(number);
    for (unsigned shift = 0; shift < 32; shift += 8) {
      bytes += static_cast<char>((value >> shift) & 255U);
    }
  }
  return bytes;
}

std::string Shown(const erfnet::Image& image) {
  return Packed({image.size.height, image.size.width, image.channels}) +
         std::string(image.pixels.begin(), image.pixels.end());
}

erfnet::Size SizeIn(const Words& words) { return {std::stoul(words.at(2)), std::stoul(words.at(3))}; }

std::string Prepared(const Words& words) {
  static const std::map<std::string, erfnet::ElementType> kTypes = {{"fp32", erfnet::ElementType::kFloat32},
                                                                    {"fp16", erfnet::ElementType::kFloat16},
                                                                    {"uint8", erfnet::ElementType::kUint8}};
  const erfnet::TensorForm form{SizeIn(words), kTypes.at(words.at(4)),
                                words.at(5) == "nchw" ? erfnet::Layout::kNchw : erfnet::Layout::kNhwc};
  std::string bytes(erfnet::BytesOf(form), '\0');
  erfnet::Prepare(erfnet::ReadImage(words.at(1)), form, bytes.data());
  return Packed({1, bytes.size(), 1}) + bytes;
}

std::string Pictures(const Words& words) {
  std::optional<std::filesystem::path> labels;
  if (words.at(2) != "-") {
    labels = words.at(2);
  }
  std::string lines;
  for (const auto& picture : erfnet::FindPictures({words.begin() + 3, words.end()}, labels, words.at(1))) {
    lines +=
        picture.name + "\t" + picture.image.string() + "\t" + (picture.label ? picture.label->string() : "-") + "\n";
  }
  return lines;
}

std::string Parsed(const Words& words) {
  std::vector<const char*> pointers;
  pointers.reserve(words.size() + 1);
  for (const std::string& word : words) {
    pointers.push_back(word.c_str());
  }
  pointers.push_back(nullptr);
  erfnet::ParseArguments(static_cast<int>(words.size()), pointers.data());
  return "";
}

std::string Answer(const Words& words) {
  const std::string& command = words.at(0);
  if (command == "image") {
    return Shown(erfnet::ReadImage(words.at(1)));
  }
  if (command == "label") {
    return Shown(erfnet::ReadLabel(words.at(1)));
  }
  if (command == "bilinear") {
    return Shown(erfnet::ResizeBilinear(erfnet::ReadImage(words.at(1)), SizeIn(words)));
  }
  if (command == "nearest") {
    return Shown(erfnet::ResizeNearest(erfnet::ReadImage(words.at(1)), SizeIn(words)));
  }
  if (command == "arguments") {
    return Parsed(words);
  }
  return command == "prepare" ? Prepared(words) : Pictures(words);
}

Words Split(const std::string& line) {
  Words words;
  std::size_t start = 0;
  while (start <= line.size()) {
    const std::size_t end = std::min(line.find('\t', start), line.size());
    words.push_back(line.substr(start, end - start));
    start = end + 1;
  }
  return words;
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::string answer;
    erfnet::ExitCode status = erfnet::ExitCode::kDone;
    try {
      answer = Answer(Split(line));
    } catch (const erfnet::Fault& fault) {
      status = fault.code();
      answer = fault.what();
    }
    std::cout << Packed({static_cast<std::size_t>(status), answer.size()}) << answer << std::flush;
  }
}
