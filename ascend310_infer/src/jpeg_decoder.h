// JPEG through libjpeg-turbo, with the values that Pillow gives.
#ifndef ASCEND310_INFER_JPEG_DECODER_H_
#define ASCEND310_INFER_JPEG_DECODER_H_

#include "image.h"
#include "no_picture.h"

namespace erfnet {

// RGB, of greys too; the orientation that a camera noted is left to who asks for it, as in training. CMYK is refused.
// Damage that the decoder bridges is accepted, as Pillow does, but not an end before the end. Throws NoPicture.
Image DecodeJpeg(const Bytes& bytes);

}  // namespace erfnet

#endif  // ASCEND310_INFER_JPEG_DECODER_H_
