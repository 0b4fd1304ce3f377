// What is written of each picture: label ids, colours, overlay, logits.
#ifndef ASCEND310_INFER_WRITING_H_
#define ASCEND310_INFER_WRITING_H_

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "arguments.h"
#include "image.h"

namespace erfnet {

// A picture as it goes to the disk. `classes` are at the model's size, one channel of train ids; `image` is needed for
// an overlay, `logits` (kOutputs x the size of `classes`) where they are saved.
struct Segmented {
  std::string name;
  Size image_size;
  const Image& classes;
  const Image& image;
  const std::vector<float>& logits;
};

// The pictures themselves, each of `classes` (train ids) at the picture's full size.
Image LabelIds(const Image& classes);
Image Colours(const Image& classes);
// Half colour, half picture, rounded to even as numpy's rint; ignored pixels stay as they are.
Image Overlay(const Image& image, const Image& classes);

// numpy's format 1.0, little-endian float32.
std::vector<char> NpyHeader(std::size_t channels, Size size);

// Writes what `saves` says into `folder`; gives the files by what is in them ("labels", ...). Throws Fault as NewFile.
std::map<std::string, std::filesystem::path> Write(const Segmented& segmented, const Saves& saves,
                                                   const std::filesystem::path& folder);

}  // namespace erfnet

#endif  // ASCEND310_INFER_WRITING_H_
