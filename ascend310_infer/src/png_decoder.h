// PNG (RFC 2083) through libpng, with the values that Pillow gives.
#ifndef ASCEND310_INFER_PNG_DECODER_H_
#define ASCEND310_INFER_PNG_DECODER_H_

#include "image.h"
#include "no_picture.h"

namespace erfnet {

// Any 8-bit picture as RGB: greys and palettes unfolded, alpha left out, of 16 bits a channel the upper 8. Greys of 1
// and 16 bits are refused, as in training. Throws NoPicture.
Image DecodePngAsRgb(const Bytes& bytes);

// The values of an 8-bit picture with one channel, grey or palette, as they are stored. Throws NoPicture.
Image DecodePngAsIndices(const Bytes& bytes);

}  // namespace erfnet

#endif  // ASCEND310_INFER_PNG_DECODER_H_
