#include "jpeg_decoder.h"

#include <jpeglib.h>

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it before
// Behind jpeglib.h, which it needs.
#include <jerror.h>

#include <string>

namespace erfnet {
namespace {

constexpr std::size_t kRgb = 3;

// libjpeg jumps back on errors, over whatever lies between: the functions below that call it hold no objects.
class Decoder {
 public:
  explicit Decoder(const Bytes& bytes) : bytes_(bytes.data()), size_(bytes.size()) {
    jpeg_.err = jpeg_std_error(&errors_);
    errors_.error_exit = OnError;
    errors_.emit_message = OnMessage;
    jpeg_.client_data = this;
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { jpeg_destroy_decompress(&jpeg_); }

  Image Read() {
    if (!TryHeader()) {
      Fail();
    }
    CheckPixels(jpeg_.image_height, jpeg_.image_width);
    if (jpeg_.num_components != 1 && jpeg_.num_components != static_cast<int>(kRgb)) {
      throw NoPicture("is a JPEG with " + std::to_string(jpeg_.num_components) +
                      " channels: images are 8-bit RGB; convert it");
    }
    const Size size{jpeg_.image_height, jpeg_.image_width};
    Image image{size, kRgb, std::vector<std::uint8_t>(size.height * size.width * kRgb)};
    if (!TryRows(image.pixels.data())) {
      Fail();
    }
    return image;
  }

 private:
  [[noreturn]] void Fail() const { throw Damaged(std::string(message_)); }

  // NOLINTBEGIN(modernize-avoid-setjmp-longjmp): libjpeg's way to end on errors
  bool TryHeader() {
    if (setjmp(jump_) != 0) {
      return false;
    }
    jpeg_create_decompress(&jpeg_);
    jpeg_mem_src(&jpeg_, bytes_, size_);
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }

  bool TryRows(std::uint8_t* pixels) {
    if (setjmp(jump_) != 0) {
      return false;
    }
    jpeg_.out_color_space = JCS_RGB;
    jpeg_start_decompress(&jpeg_);
    while (jpeg_.output_scanline < jpeg_.output_height) {
      JSAMPROW row = pixels + std::size_t{jpeg_.output_scanline} * jpeg_.output_width * kRgb;
      jpeg_read_scanlines(&jpeg_, &row, 1);
    }
    jpeg_finish_decompress(&jpeg_);
    return true;
  }

  [[noreturn]] static void OnError(j_common_ptr jpeg) {
    auto* const self = static_cast<Decoder*>(jpeg->client_data);
    jpeg->err->format_message(jpeg, self->message_);
    std::longjmp(self->jump_, 1);
  }
  // NOLINTEND(modernize-avoid-setjmp-longjmp)

  // libjpeg goes on behind the end of a file with grey.
  static void OnMessage(j_common_ptr jpeg, int /*level*/) {
    if (jpeg->err->msg_code == JWRN_JPEG_EOF) {
      OnError(jpeg);
    }
  }

  const std::uint8_t* bytes_;
  std::size_t size_;
  jpeg_decompress_struct jpeg_{};
  jpeg_error_mgr errors_{};
  std::jmp_buf jump_{};
  char message_[JMSG_LENGTH_MAX] = {};
};

}  // namespace

Image DecodeJpeg(const Bytes& bytes) { return Decoder(bytes).Read(); }

}  // namespace erfnet
