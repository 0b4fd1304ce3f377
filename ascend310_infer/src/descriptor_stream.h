// A stream of its own to where a standard stream leads, whatever libraries do to that.
#ifndef ASCEND310_INFER_DESCRIPTOR_STREAM_H_
#define ASCEND310_INFER_DESCRIPTOR_STREAM_H_

#include <unistd.h>

#include <cerrno>
#include <ext/stdio_filebuf.h>
#include <ios>
#include <ostream>
#include <system_error>

namespace erfnet {

// Writes to a copy of a descriptor. Throws std::system_error where it cannot be copied.
class DescriptorStream {
 public:
  explicit DescriptorStream(int descriptor) : buffer_(Copy(descriptor), std::ios::out), stream_(&buffer_) {}

  std::ostream& Stream() { return stream_; }
  int Descriptor() { return buffer_.fd(); }

 private:
  static int Copy(int descriptor) {
    const int copy = dup(descriptor);
    if (copy < 0) {
      throw std::system_error(errno, std::generic_category(), "a standard stream cannot be copied");
    }
    return copy;
  }

  __gnu_cxx::stdio_filebuf<char> buffer_;
  std::ostream stream_;
};

}  // namespace erfnet

#endif  // ASCEND310_INFER_DESCRIPTOR_STREAM_H_
