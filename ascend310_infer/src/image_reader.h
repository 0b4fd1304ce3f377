// PNG and JPEG files into memory, as Pillow reads them for training.
#ifndef ASCEND310_INFER_IMAGE_READER_H_
#define ASCEND310_INFER_IMAGE_READER_H_

#include <filesystem>

#include "image.h"

namespace erfnet {

// A picture as RGB (3 channels), whatever the file holds. Throws Fault (kBadData) naming the file and what is wrong.
Image ReadImage(const std::filesystem::path& path);

// A label map as train ids (1 channel, 255 and other ignored ones as 19), from labelTrainIds or, where the file is
// named so, labelIds. Throws Fault (kBadData).
Image ReadLabel(const std::filesystem::path& path);

}  // namespace erfnet

#endif  // ASCEND310_INFER_IMAGE_READER_H_
