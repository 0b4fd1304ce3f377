// Resizing as Pillow does it: what training and evaluation see.
#ifndef ASCEND310_INFER_RESIZE_H_
#define ASCEND310_INFER_RESIZE_H_

#include "image.h"

namespace erfnet {

// RGB, bilinear, antialiased where it shrinks; bit for bit Pillow's Image.resize(BILINEAR).
Image ResizeBilinear(const Image& image, Size size);

// The nearest pixel, of any number of channels: Pillow's Image.resize(NEAREST).
Image ResizeNearest(const Image& image, Size size);

}  // namespace erfnet

#endif  // ASCEND310_INFER_RESIZE_H_
