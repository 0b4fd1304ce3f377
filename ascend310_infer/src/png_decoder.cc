#include "png_decoder.h"

#include <png.h>

#include <csetjmp>
#include <cstring>
#include <string>

namespace erfnet {
namespace {

constexpr std::size_t kRgb = 3;
// Deflate makes no more of a byte: 258 of 2 bits (RFC 1951). Memory is taken only for what a file can hold.
constexpr std::size_t kMostOfAByte = 1032;

struct Header {
  png_uint_32 width;
  png_uint_32 height;
  int depth;
  int colour;
};

// libpng jumps back on errors, over whatever lies between: the functions below that call it hold no objects.
class Decoder {
 public:
  explicit Decoder(const Bytes& bytes)
      : size_(bytes.size()),
        left_(bytes.data()),
        end_(bytes.data() + bytes.size()),
        png_(png_create_read_struct(PNG_LIBPNG_VER_STRING, this, OnError, OnWarning)),
        info_(png_ == nullptr ? nullptr : png_create_info_struct(png_)) {
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
    png_set_read_fn(png_, this, OnRead);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { png_destroy_read_struct(&png_, &info_, nullptr); }

  Header ReadHeader() {
    if (!TryHeader()) {
      Fail();
    }
    CheckPixels(header_.height, header_.width);
    if (png_get_rowbytes(png_, info_) * header_.height / kMostOfAByte > size_) {
      throw Damaged("it is cut short");
    }
    return header_;
  }

  // All rows, as RGB or as they are.
  Image ReadPixels(std::size_t channels) {
    const std::size_t height = header_.height;
    const std::size_t width = header_.width;
    Image image{{height, width}, channels, std::vector<std::uint8_t>(height * width * channels)};
    if (!TryRows(image.pixels.data(), width * channels, channels == kRgb)) {
      Fail();
    }
    return image;
  }

 private:
  [[noreturn]] void Fail() const { throw Damaged(std::string(message_)); }

  // NOLINTBEGIN(modernize-avoid-setjmp-longjmp): libpng's way to end on errors
  bool TryHeader() {
    if (setjmp(png_jmpbuf(png_)) != 0) {
      return false;
    }
    png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_read_info(png_, info_);
    png_get_IHDR(png_, info_, &header_.width, &header_.height, &header_.depth, &header_.colour, nullptr, nullptr,
                 nullptr);
    return true;
  }

  bool TryRows(std::uint8_t* pixels, std::size_t row_bytes, bool as_rgb) {
    if (setjmp(png_jmpbuf(png_)) != 0) {
      return false;
    }
    if (as_rgb) {
      png_set_strip_16(png_);
      png_set_palette_to_rgb(png_);
      png_set_expand_gray_1_2_4_to_8(png_);
      png_set_gray_to_rgb(png_);
      png_set_strip_alpha(png_);
    }
    const int passes = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    if (png_get_rowbytes(png_, info_) != row_bytes) {
      png_error(png_, "rows of another length than they should have");
    }
    for (int pass = 0; pass < passes; ++pass) {
      for (std::size_t y = 0; y < header_.height; ++y) {
        png_read_row(png_, pixels + y * row_bytes, nullptr);
      }
    }
    return true;
  }

  [[noreturn]] static void OnError(png_structp png, png_const_charp message) {
    auto* const self = static_cast<Decoder*>(png_get_error_ptr(png));
    std::strncpy(self->message_, message, sizeof self->message_ - 1);
    png_longjmp(png, 1);
  }
  // NOLINTEND(modernize-avoid-setjmp-longjmp)

  static void OnWarning(png_structp /*png*/, png_const_charp /*message*/) {}

  static void OnRead(png_structp png, png_bytep out, std::size_t size) {
    auto* const self = static_cast<Decoder*>(png_get_io_ptr(png));
    if (size > static_cast<std::size_t>(self->end_ - self->left_)) {
      png_error(png, "it is cut short");
    }
    std::memcpy(out, self->left_, size);
    self->left_ += size;
  }

  std::size_t size_;
  const std::uint8_t* left_;
  const std::uint8_t* end_;
  char message_[128] = {};
  Header header_{};
  png_structp png_;
  png_infop info_;
};

std::string Kind(const Header& header) {
  const char* colour = "RGBA";
  switch (header.colour) {
    case PNG_COLOR_TYPE_GRAY:
      colour = "grey";
      break;
    case PNG_COLOR_TYPE_RGB:
      colour = "RGB";
      break;
    case PNG_COLOR_TYPE_PALETTE:
      colour = "palette";
      break;
    case PNG_COLOR_TYPE_GRAY_ALPHA:
      colour = "grey and alpha";
      break;
    default:
      break;
  }
  return "is a " + std::to_string(header.depth) + "-bit " + colour + " PNG";
}

}  // namespace

Image DecodePngAsRgb(const Bytes& bytes) {
  Decoder decoder(bytes);
  const Header header = decoder.ReadHeader();
  if (header.colour == PNG_COLOR_TYPE_GRAY && (header.depth == 1 || header.depth == 16)) {
    throw NoPicture(Kind(header) + ": images are 8-bit RGB; convert it");
  }
  return decoder.ReadPixels(kRgb);
}

Image DecodePngAsIndices(const Bytes& bytes) {
  Decoder decoder(bytes);
  const Header header = decoder.ReadHeader();
  if (header.depth != 8 || (header.colour != PNG_COLOR_TYPE_GRAY && header.colour != PNG_COLOR_TYPE_PALETTE)) {
    throw NoPicture(Kind(header) + ": labels are 8-bit PNGs of one channel; convert it");
  }
  return decoder.ReadPixels(1);
}

}  // namespace erfnet
