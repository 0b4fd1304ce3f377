#include "tell.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <streambuf>

#include "expect_fault.h"

namespace erfnet {
namespace {

// Takes nothing, for the reason that errno then says.
class Closed : public std::streambuf {
 public:
  explicit Closed(int error) : error_(error) {}

 protected:
  int_type overflow(int_type /*letter*/) override {
    errno = error_;
    return traits_type::eof();
  }

 private:
  int error_;
};

TEST_CASE("tells all of it") {
  std::ostringstream out;
  Tell(out, "a line\n");
  CHECK(out.str() == "a line\n");
}

TEST_CASE("says why nothing more is taken") {
  std::ofstream full("/dev/full");
  ExpectFault([&] { Tell(full, "a line\n"); }, ExitCode::kDiskFull, {"standard output", "No space left on device"});
  Closed pipe(EPIPE);
  std::ostream closed(&pipe);
  ExpectFault([&] { Tell(closed, "a line\n"); }, ExitCode::kUnexpected, {"whoever read it has ended"});
  Closed broken(EIO);
  std::ostream device(&broken);
  ExpectFault([&] { Tell(device, "a line\n"); }, ExitCode::kUnexpected, {"Input/output error"});
}

}  // namespace
}  // namespace erfnet
