#include "png_file.h"

#include <png.h>

#include <stdexcept>
#include <string>

namespace erfnet {
namespace {

// zlib's fastest that compresses.
constexpr int kLevel = 1;

void Append(png_structp png, png_bytep data, png_size_t size) {
  auto* out = static_cast<std::vector<std::uint8_t>*>(png_get_io_ptr(png));
  out->insert(out->end(), data, data + size);
}

void NoFlush(png_structp) {}

[[noreturn]] void Raise(png_structp, png_const_charp message) {
  throw std::runtime_error(std::string("libpng does not write a picture: ") + message);
}

struct Writer {
  // libpng's errors become exceptions, which leave its C code (built with unwind tables on Debian) by Raise.
  Writer() : png(png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, Raise, nullptr)) {
    info = png == nullptr ? nullptr : png_create_info_struct(png);
    if (info == nullptr) {
      png_destroy_write_struct(&png, nullptr);
      throw std::bad_alloc();
    }
  }
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  png_structp png;
  png_infop info;
};

}  // namespace

std::vector<std::uint8_t> EncodePng(const Image& image, Rows rows) {
  std::vector<std::uint8_t> out;
  out.reserve(image.pixels.size() / 4);
  const Writer writer;
  png_set_write_fn(writer.png, &out, Append, NoFlush);
  png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(image.size.width),
               static_cast<png_uint_32>(image.size.height), 8,
               image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_compression_level(writer.png, kLevel);
  png_set_filter(writer.png, PNG_FILTER_TYPE_BASE, rows == Rows::kAsTheyAre ? PNG_FILTER_NONE : PNG_FILTER_SUB);
  png_write_info(writer.png, writer.info);
  const std::size_t stride = image.size.width * image.channels;
  for (std::size_t y = 0; y < image.size.height; ++y) {
    png_write_row(writer.png, image.pixels.data() + y * stride);
  }
  png_write_end(writer.png, writer.info);
  return out;
}

}  // namespace erfnet
